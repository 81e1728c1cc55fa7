package main

import (
	"encoding/base64"
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"parley/kafka"
)

// A real broker that asks who is there lets a node in by each mechanism that the
// configuration names, and by none with a wrong secret, of which the node is told.
func TestKafkaLoginsOnARealBroker(t *testing.T) {
	realServers(t)
	broker := newOwnServer(t, "kafka")
	guarded := fmt.Sprintf("127.0.0.1:%d", quietPort(t))
	broker.guard(guarded)
	broker.start()
	enroll(t, broker.address, "alice", "wonderland")

	for _, c := range []struct {
		name string
		sasl SASLConfig
		in   bool
	}{
		{"PLAIN", SASLConfig{Mechanism: "PLAIN", User: "alice", Password: "wonderland"}, true},
		{"SCRAM-SHA-256", SASLConfig{Mechanism: "SCRAM-SHA-256", User: "alice", Password: "wonderland"}, true},
		{"SCRAM-SHA-512", SASLConfig{Mechanism: "SCRAM-SHA-512", User: "alice", Password: "wonderland"}, true},
		{"OAUTHBEARER", SASLConfig{Mechanism: "OAUTHBEARER", Token: Secret(unsecuredToken("alice", time.Hour))}, true},
		{"PLAIN, wrong password", SASLConfig{Mechanism: "PLAIN", User: "alice", Password: "x"}, false},
		{"SCRAM-SHA-256, wrong password", SASLConfig{Mechanism: "SCRAM-SHA-256", User: "alice", Password: "x"}, false},
		{"OAUTHBEARER, old token", SASLConfig{Mechanism: "OAUTHBEARER", Token: Secret(unsecuredToken("alice", -time.Hour))}, false},
		{"nobody", SASLConfig{}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			connection, err := KafkaConfig{Brokers: []string{guarded}, SASL: c.sasl}.connection(nil)
			if err != nil {
				t.Fatal(err)
			}
			producer, err := kafka.NewProducer(connection, kafka.ProducerOptions{ReplyTopic: "replies"})
			if err != nil {
				t.Fatal(err)
			}
			defer producer.Close(t.Context())
			if err := producer.Ping(t.Context()); (err == nil) != c.in {
				t.Errorf("got %v", err)
			} else if err != nil {
				t.Log(err)
			}
		})
	}
}

// guard gives a broker that has not been started a second address, where it asks
// for a login.
func (s *ownServer) guard(address string) {
	port := s.args[1]
	for _, setting := range []string{
		"listeners=PLAINTEXT://127.0.0.1:" + port + ",GUARDED://" + address + ",CONTROLLER://127.0.0.1:" + s.args[3],
		"advertised.listeners=PLAINTEXT://127.0.0.1:" + port + ",GUARDED://" + address,
		"listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,GUARDED:SASL_PLAINTEXT",
		"sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER",
		`listener.name.guarded.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_alice="wonderland";`,
		"listener.name.guarded.scram-sha-256.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;",
		"listener.name.guarded.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;",
		// Without a validator of its own Kafka takes tokens that nobody has signed.
		`listener.name.guarded.oauthbearer.sasl.jaas.config=org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker";`,
	} {
		s.args = append(s.args, "--set", setting)
	}
}

// enroll makes a user known to a broker for both kinds of SCRAM.
func enroll(t *testing.T, broker, user, password string) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(broker))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for _, mechanism := range []kadm.ScramMechanism{kadm.ScramSha256, kadm.ScramSha512} { // a request may name a user once
		set := kadm.UpsertSCRAM{User: user, Mechanism: mechanism, Iterations: 4096, Password: password}
		altered, err := kadm.NewClient(client).AlterUserSCRAMs(t.Context(), nil, []kadm.UpsertSCRAM{set})
		if err != nil {
			t.Fatal(err)
		}
		altered.EachError(func(a kadm.AlteredUserSCRAM) { t.Fatal(a.Err) })
	}
}

// unsecuredToken is a bearer token without a signature, that ends after a time.
func unsecuredToken(subject string, life time.Duration) string {
	now := time.Now()
	part := base64.RawURLEncoding.EncodeToString
	claims := fmt.Sprintf(`{"sub":%q,"iat":%d,"exp":%d}`, subject, now.Add(-2*time.Hour).Unix(), now.Add(life).Unix())
	return part([]byte(`{"alg":"none"}`)) + "." + part([]byte(claims)) + "."
}
