package main

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// loadYAML applies a text and nothing else.
func loadYAML(text string) (Config, problems) {
	l := loader{config: defaultConfig(), from: make(map[string]string)}
	l.yaml("p", []byte(text))
	return l.config, l.problems
}

// YAML can say more than a configuration needs: each of its odd corners is
// either read as a person would or refused in words.
func TestCornersOfYAML(t *testing.T) {
	for _, c := range []struct{ story, text, says string }{
		{"nothing", "", ""},
		{"a comment", "# node: a\n", ""},
		{"null", "null", ""},
		{"empty sections", "kafka:\n  # brokers: []\n  sasl:\nservices:\n  orders:\n", ""},
		{"a byte order mark", "\ufeffnode: a", ""},
		{"JSON", `{"node":"a","kafka":{"brokers":["h:1"]}}`, ""},
		{"a list for a file", "- a", "p:1: is a list: want a section with services, node, listen, admin, tls, auth, kafka, redis, subscriptions, sessions, streams, limits, worker, results, origins, page, nodes, shutdown or log"},
		{"text for a file", "node", "p:1: is a single value: want a section with services, node, listen, admin, tls, auth, kafka, redis, subscriptions, sessions, streams, limits, worker, results, origins, page, nodes, shutdown or log"},
		{"two documents", "node: a\n---\nnode: b\n", "p: is not YAML: it has a second document: want one"},
		{"a broken one", "node: a\nkafka: [", "p:3: is not YAML: did not find expected node content"},
		{"a tab", "kafka:\n\tgroup: a\n", "p:2: is not YAML: found character that cannot start any token"},
		{"no text", "node: \x00", "p: is not YAML: control characters are not allowed (value: 0)"},
		{"a broken second document", "node: a\n---\n[", "p:4: is not YAML: did not find expected node content"},
		{"no such anchor", "node: *a", "p:1: is not YAML: unknown anchor 'a' referenced"},
		{"the same key twice", "node: a\nkafka: {}\nnode: b\n", "p:3: node: is set twice: also in line 1"},
		{"the same section twice", "log: {}\nlog: {}\n", "p:2: log: is set twice: also in line 1"},
		{"the same service twice", "services:\n  a: {}\n  a: {}\n", "p:3: services.a: is set twice: also in line 2"},
		{"null for text", "node: ~\n", "p:1: node: has no value: want text, or leave the key out for its default"},
		{"null in a list", "origins: [~]", "p:1: origins: has nothing in its list: want text"},
		{"a section for text", "node: {a: b}", "p:1: node: is a section: want text"},
		{"a section for a duration", "shutdown: {a: b}", "p:1: shutdown: is a section: want a duration such as 30s"},
		{"a list for a number", "kafka: {replication: [1]}", "p:1: kafka.replication: is a list: want a whole number"},
		{"one value for a list", "origins: a", "p:1: origins: is a single value: want a list such as [a, b]"},
		{"a list in a list", "origins: [[a]]", "p:1: origins: has a list in its list: want text"},
		{"text for a section", "kafka: h:1", "p:1: kafka: is a single value: want a section with brokers, client_id, group, group_protocol, reply_topic, create_topics, reply_partitions, reply_retention, replication, delivery_timeout, buffered_records, tls or sasl"},
		{"a list of services", "services: [orders]", "p:1: services: is a list: want services by name"},
		{"text for a service", "services: {orders: topic}", "p:1: services.orders: is a single value: want a section with topic, timeout, max_timeout, dialect, partitioner, description, schema, allow, wait, cancel, forward, answer or forward_headers"},
		{"text for a section of a service", "services: {a.b: {answer: topic}}", "p:1: services.a.b.answer: is a single value: want a section with view or events"},
		{"an unknown key of one", "services: {a.b: {answer: {view: {topik: c}}}}", "p:1: services.a.b.answer.view.topik: is not a key: did you mean services.a.b.answer.view.topic?"},
		{"a section for a key", "? {a: b}\n: c\n", "p:1: has a section for a key: want a name"},
		{"null for a key", "kafka: {~: c}", "p:1: kafka: has nothing for a key: want a name"},
		{"an unknown key", "kafka: {zzzzzz: 1}", "p:1: kafka.zzzzzz: is not a key: want brokers, client_id, group, group_protocol, reply_topic, create_topics, reply_partitions, reply_retention, replication, delivery_timeout, buffered_records, tls or sasl"},
		{"a key of another section", "timeout: 1s\n", "p:1: timeout: is not a key: did you mean services.<name>.timeout?"},
		{"dots in a key", "kafka.brokers: [a]", "p:1: kafka.brokers: is not written like that here: want its parts one below the other"},
		{"a merge of itself", "kafka: &a\n  <<: *a\n", "p:1: has too much: want at most 10000 keys, aliases followed"},
		{"a merge of text", "kafka:\n  <<: a\n", "p:2: kafka: is a single value: want a section with brokers, client_id, group, group_protocol, reply_topic, create_topics, reply_partitions, reply_retention, replication, delivery_timeout, buffered_records, tls or sasl"},
		{"a list within itself", "origins: &a [*a]", "p:1: origins: has a list in its list: want text"},
		{"a section within itself", "kafka: &a {tls: *a}", "p:1: kafka.tls.tls: is not a key: want enabled, ca, cert, key or server_name"},
	} {
		_, got := loadYAML(c.text)
		var says []string
		for _, p := range got {
			says = append(says, p.String())
		}
		if strings.Join(says, "\n") != c.says {
			t.Errorf("%s:\ngot  %s\nwant %s", c.story, strings.Join(says, "\n"), c.says)
		}
	}
}

// Anchors, aliases and merges save a person from repeating herself; what a
// mapping says itself weighs more than what it merges, wherever that stands.
func TestAnchors(t *testing.T) {
	c, problems := loadYAML(`
services:
  orders: &usual
    timeout: 1s
    partitioner: crc32
    forward_headers: &headers [a, b]
  basket:
    topic: b
    timeout: 2s
    <<: *usual
  customer:
    forward_headers: *headers
    <<: [{timeout: 3s}, *usual]
origins: *headers
node: &name "n"
kafka: {group: *name}
`)
	if err := problems.errOrNil(); err != nil {
		t.Fatal(err)
	}
	basket, customer := c.Services["basket"], c.Services["customer"]
	got := fmt.Sprint(basket.Topic, basket.Timeout, basket.Partitioner, basket.ForwardHeaders,
		customer.Topic, customer.Timeout, customer.Partitioner, customer.ForwardHeaders, c.Origins, c.Kafka.Group)
	want := fmt.Sprint("b", Duration(2*time.Second), "crc32", []string{"a", "b"},
		"customer.requests", Duration(3*time.Second), "crc32", []string{"a", "b"}, []string{"a", "b"}, "n")
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// A small file that stands for a large one costs little.
func TestManyAliases(t *testing.T) {
	text := "a0: &a0 {x: 1}\n"
	for i := range 30 {
		text += fmt.Sprintf("a%d: &a%d {<<: [*a%d, *a%d, *a%d]}\n", i+1, i+1, i, i, i)
	}
	_, problems := loadYAML(text + "kafka: {<<: *a30}\n")
	if len(problems) == 0 || len(problems) > 2*maxPairs {
		t.Errorf("got %d problems", len(problems))
	}
}

// Whatever a file holds, it is read or refused; it never ends the process, and
// what was read can be checked and printed.
func FuzzYAML(f *testing.F) {
	f.Add([]byte("node: a\nkafka: {brokers: [a, 'b:1'], sasl: {password: p}}\n"))
	f.Add([]byte("services: {o: &a {topic: t, <<: *a}, p: *a}\norigins: &b [*b]\n"))
	f.Add([]byte("redis: {url: 'redis://a:b@c:1/2?x=y', lease: 1s}\n? [a]\n: {b: ~}\n"))
	f.Add([]byte("services: {$x: ~, a.b.topic: 1}\nkafka.brokers: a\nservices.x.topic: [a]\n"))
	f.Add([]byte("sessions: {frame: 9223372036854775807GiB}\nshutdown: -9223372036s\n---\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		l := loader{config: defaultConfig(), from: make(map[string]string)}
		l.yaml("p", text)
		l.config.complete()
		files(&l.config)
		all := append(l.problems, l.config.check(l.from)...)
		_ = all.Error()
		var out strings.Builder
		if err := printConfig(&out, l.config); err != nil {
			t.Fatal(err)
		}
		if len(all) > 0 {
			return
		}
		if again, problems := loadYAML(out.String()); len(problems) > 0 {
			t.Errorf("what was printed cannot be read: %v\n%s", problems, out.String())
		} else if again.Node != l.config.Node {
			t.Errorf("node %q was read as %q", l.config.Node, again.Node)
		}
	})
}

// files forgets the names of files, so that no fuzzer reads any.
func files(c *Config) {
	c.TLS, c.Kafka.TLS, c.Redis.TLS = ServerTLS{}, ClientTLS{}, ClientTLS{}
	c.Kafka.SASL.PasswordFile, c.Kafka.SASL.TokenFile, c.Redis.PasswordFile, c.Redis.Sentinel.PasswordFile = "", "", "", ""
}
