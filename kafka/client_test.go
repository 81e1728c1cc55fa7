package kafka

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
)

// Over TLS, with each password mechanism: the right password gets in, the wrong
// one does not, and it is asked for when it is needed.
func TestTLSAndSASL(t *testing.T) {
	alongside(t)
	https := httptest.NewTLSServer(http.NotFoundHandler()) // for its certificates
	defer https.Close()
	for _, mechanism := range []string{"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"} {
		t.Run(mechanism, func(t *testing.T) {
			k, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.EnableSASL(), kfake.Superuser(mechanism, "parley", "right"), kfake.TLS(https.TLS.Clone()))
			if err != nil {
				t.Fatal(err)
			}
			defer k.Close()
			var asked atomic.Int32
			c := Config{Brokers: k.ListenAddrs(), TLS: https.Client().Transport.(*http.Transport).TLSClientConfig.Clone()}
			login := func(secret string) *SASL {
				return &SASL{Mechanism: mechanism, User: "parley", Secret: func(context.Context) (string, error) { asked.Add(1); return secret, nil }}
			}
			try := func() error {
				ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
				defer cancel()
				_, err := EnsureTopics(ctx, c, true, []Topic{{Name: "t"}})
				return err
			}
			if c.SASL = login("right"); try() != nil || asked.Load() == 0 {
				t.Errorf("refused: %v; asked %d times", try(), asked.Load())
			}
			if c.SASL = login("wrong"); try() == nil {
				t.Error("a wrong password passed")
			}
			if c.SASL, c.TLS = login("right"), nil; try() == nil {
				t.Error("plain text passed")
			}
		})
	}
}

// No brokers and no secret are errors at once, before anything connects.
func TestBadConfig(t *testing.T) {
	if _, err := NewProducer(Config{}, ProducerOptions{}); err == nil {
		t.Error("no brokers passed")
	}
	if _, err := NewProducer(Config{Brokers: []string{"127.0.0.1:1"}, SASL: &SASL{Mechanism: "PLAIN"}}, ProducerOptions{}); err == nil {
		t.Error("no secret passed")
	}
}
