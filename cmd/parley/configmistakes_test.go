package main

import (
	"io"
	"os"
	"strings"
	"testing"
)

// load reads a configuration from a file with this text, if any, and these
// variables and flags. The file is called p.yaml, for short messages.
func load(t *testing.T, text string, environ, args []string) (Config, error) {
	t.Helper()
	if text != "" {
		t.Chdir(t.TempDir())
		if err := os.WriteFile("p.yaml", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append([]string{"--config", "p.yaml"}, args...)
	}
	return loadConfig("serve", args, environ, io.Discard)
}

// A person who got nearly everything wrong is told all of it at once: where it
// stands, what it is, and what would be right. No secret is among it.
func TestAPageOfMistakes(t *testing.T) {
	_, err := load(t, `node: "a b"
listn: ":80"
listen: 8080
admin: "127.0.0.1:99999"
tls: {cert: missing.pem}
kafka:
  brokers: [kafka, "h:0", "kafka://h:9092"]
  brokrs: []
  group_protocol: eager
  group_protocol: classic
  reply_topic: parley.replies
  client_id: ""
  group: "g g"
  create_topics: yes
  reply_partitions: many
  reply_retention: 30
  replication: 0
  delivery_timeout: 0s
  tls: {ca: nowhere.pem, key: k.pem}
  sasl: {mechanism: SCRAM-SHA-1, password: hunter2}
redis:
  url: "redis://u:hunter2@h:port/x"
  cluster: [h:6379]
  lease: 5m
services:
  $rpc: {}
  rpc.discover:
  basket: {topic: parley.replies, max_timeout: 1ns, forward: "localhost:3000"}
  orders:
    topic: a/b
    timeout: 10m
    dialect: springs
    partitioner: [murmur2]
    topik: x
    forward_headers: [cookie, X-Up, "x-*", ""]
sessions: {frame: 2MiB, resume: 1s, send_queue: 1MB}
limits: 5
origins: [example.com, "https://Example.com", "https://example.com/", "*"]
log: {level: loud, format: }
worker: {group: "g g", concurrency: 0, admin: "9090"}
`, []string{
		"PARLEY_KAFKA_BUFFERED_RECORDS=0", "PARLEY_BROKERS=h:9092", "PARLEY_SHUTDOWN=-1s", "PARLEY_SERVICES_ORDERS_TOPIK=x",
		"PARLEY_PORT=tcp://10.0.0.1:80", "PARLEY_TEST_KAFKA=h:1", "PARLEY_KAFKA_SASL_TOKN=hunter2", "HOME=/",
	}, []string{"--sessions.ping", "1", "--page=no", "--kafka.broker", "h:9092", "stray", "--limits.in_flight"})
	want := `p.yaml:2: listn: is not a key: did you mean listen?
p.yaml:8: kafka.brokrs: is not a key: did you mean kafka.brokers?
p.yaml:10: kafka.group_protocol: is set twice: also in line 9
p.yaml:14: kafka.create_topics: "yes" is not allowed: want true or false
p.yaml:15: kafka.reply_partitions: "many" is not a whole number
p.yaml:16: kafka.reply_retention: "30" is not a duration: want one such as 250ms, 30s or 1h30m
p.yaml:33: services.orders.partitioner: is a list: want text
p.yaml:34: services.orders.topik: is not a key: did you mean services.orders.topic?
p.yaml:36: sessions.send_queue: "1MB" is not a size: want one such as 512B, 64KiB or 1MiB
p.yaml:37: limits: is a single value: want a section with in_flight, sessions, view_keys or view_bytes
p.yaml:39: log.format: has no value: want text, or leave the key out for its default
PARLEY_BROKERS: is not a key: did you mean PARLEY_KAFKA_BROKERS?
PARLEY_KAFKA_SASL_TOKN: is not a key: did you mean PARLEY_KAFKA_SASL_TOKEN?
PARLEY_SERVICES_ORDERS_TOPIK: is not a key: want PARLEY_SERVICES_<NAME>_ and TOPIC, TIMEOUT, MAX_TIMEOUT, DIALECT, PARTITIONER, DESCRIPTION, SCHEMA_REQUEST, SCHEMA_REPLY, ALLOW, WAIT, CANCEL, FORWARD, ANSWER_VIEW_TOPIC, ANSWER_VIEW_UNTIL, ANSWER_EVENTS_TOPIC, ANSWER_EVENTS_KEY, ANSWER_EVENTS_UNTIL or FORWARD_HEADERS
--kafka.broker: is not a flag: did you mean --kafka.brokers?
"stray" is not a flag: want --name value
--limits.in_flight: has no value: want --limits.in_flight value
--sessions.ping: "1" is not a duration: want one such as 250ms, 30s or 1h30m
--page: "no" is not allowed: want true or false
p.yaml:1: node: "a b" is not a name: want 1 to 64 of a-z, A-Z, 0-9, '.', '_' and '-'
p.yaml:3: listen: "8080" is not an address: want host:port or :port, with port 0 to 65535
p.yaml:4: admin: "127.0.0.1:99999" is not an address: want host:port or :port, with port 0 to 65535
p.yaml:5: tls.key: is missing: want the private key of tls.cert
PARLEY_SHUTDOWN: shutdown: "-1s" is not allowed: want 0s to 10m
p.yaml:7: kafka.brokers: "kafka" is not an address: want host:port, with port 1 to 65535
p.yaml:7: kafka.brokers: "h:0" is not an address: want host:port, with port 1 to 65535
p.yaml:7: kafka.brokers: "kafka://h:9092" is not an address: want host:port, with port 1 to 65535
p.yaml:12: kafka.client_id: "" is not a name: want 1 to 64 of a-z, A-Z, 0-9, '.', '_' and '-'
p.yaml:13: kafka.group: "g g" is not a consumer group: want 1 to 249 characters without blanks
p.yaml:9: kafka.group_protocol: "eager" is not allowed: want classic or consumer
p.yaml:17: kafka.replication: "0" is not allowed: want 1 to 1000, or -1 for the broker's default
p.yaml:18: kafka.delivery_timeout: "0s" is not allowed: want 100ms to 10m
PARLEY_KAFKA_BUFFERED_RECORDS: kafka.buffered_records: "0" is not allowed: want 1 to 10000000
p.yaml:19: kafka.tls.cert: is missing: want the certificate of kafka.tls.key
p.yaml:19: kafka.tls.ca: "nowhere.pem" cannot be used: open nowhere.pem: no such file or directory
p.yaml:20: kafka.sasl.mechanism: "SCRAM-SHA-1" is not allowed: want PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER
p.yaml:23: redis.cluster: is set beside redis.url: want one of them
p.yaml:22: redis.url: "***" is not a Redis URL: want redis://host:port/db or, with TLS, rediss://host:port/db
p.yaml:24: redis.lease: "5m" is not allowed: want 200ms to 1m
p.yaml:26: services.$rpc: "$rpc" is not a name: want 1 to 64 of a-z, A-Z, 0-9, '.', '_' and '-'
p.yaml:28: services.basket.topic: "parley.replies" is not allowed: want another topic than kafka.reply_topic
p.yaml:28: services.basket.max_timeout: "1ns" is not allowed: want 1ms to 24h
p.yaml:28: services.basket.timeout: "30s" is not allowed: want no more than max_timeout, which is 1ns
p.yaml:28: services.basket.forward: "localhost:3000" is not where an HTTP service is: want a URL such as http://localhost:3000/api
p.yaml:30: services.orders.topic: "a/b" is not a topic: want 1 to 249 of a-z, A-Z, 0-9, '.', '_' and '-'
p.yaml:31: services.orders.timeout: "10m" is not allowed: want no more than max_timeout, which is 5m
p.yaml:32: services.orders.dialect: "springs" is not allowed: want parley
p.yaml:35: services.orders.forward_headers: "cookie" is not allowed: it is never forwarded
p.yaml:35: services.orders.forward_headers: "X-Up" is not a header: want a name in small letters, with a * at its end for any rest
p.yaml:35: services.orders.forward_headers: "" is not a header: want a name in small letters, with a * at its end for any rest
p.yaml:27: services.rpc.discover: "rpc.discover" is not allowed: JSON-RPC keeps names that start with "rpc."
p.yaml:24: subscriptions.gap: "30s" is not allowed: want more than redis.lease, which is 5m
p.yaml:36: sessions.resume: "1s" is not allowed: want more than redis.lease, which is 5m
p.yaml:36: sessions.send_queue: "1MiB" is not allowed: want no less than sessions.frame, which is 2MiB
p.yaml:24: streams.gap: "10s" is not allowed: want more than redis.lease, which is 5m
p.yaml:40: worker.group: "g g" is not a consumer group: want 1 to 249 characters without blanks
p.yaml:40: worker.concurrency: "0" is not allowed: want 1 to 100000
p.yaml:40: worker.admin: "9090" is not an address: want host:port or :port, with port 0 to 65535
p.yaml:38: origins: "example.com" is not an origin: want one such as https://example.com or http://localhost:3000
p.yaml:38: origins: "https://Example.com" is not an origin: want one such as https://example.com or http://localhost:3000
p.yaml:38: origins: "https://example.com/" is not an origin: want one such as https://example.com or http://localhost:3000
p.yaml:39: log.level: "loud" is not allowed: want debug, info, warn or error`
	if err == nil || err.Error() != want {
		t.Fatalf("got:\n%v\nwant:\n%v", err, want)
	}
	if strings.Contains(err.Error(), "hunter2") {
		t.Error("a secret is shown")
	}
}
