package main

import (
	"slices"
	"strings"
	"time"

	"parley/kafka"
)

// The rules, a function a section. Those of redis are in configrulesredis.go.

func (k *checker) node() {
	c := k.config
	k.name("node", c.Node)
	k.address("listen", c.Listen, true)
	if c.Admin != "" {
		k.address("admin", c.Admin, true)
		if c.Admin == c.Listen && !strings.HasSuffix(c.Admin, ":0") {
			k.beside("admin", "listen", c.Admin, "another address than listen's")
		}
	}
	k.pair("tls", c.TLS.Cert, c.TLS.Key)
	between(k, "shutdown", c.Shutdown, 0, minutes(10))
}

func (k *checker) kafka() {
	c := k.config.Kafka
	if len(c.Brokers) == 0 {
		k.missing("kafka.brokers", "want the address of one broker or more")
	}
	for _, b := range c.Brokers {
		k.address("kafka.brokers", b, false)
	}
	k.name("kafka.client_id", c.ClientID)
	k.group("kafka.group", c.Group)
	k.oneOf("kafka.group_protocol", c.GroupProtocol, "classic", "consumer")
	k.topic("kafka.reply_topic", c.ReplyTopic)
	between(k, "kafka.reply_partitions", c.ReplyPartitions, 1, 10_000)
	between(k, "kafka.reply_retention", c.ReplyRetention, minutes(1), 365*24*minutes(60))
	if resume := k.config.Sessions.Resume; c.ReplyRetention < resume {
		k.beside("kafka.reply_retention", "sessions.resume", c.ReplyRetention, "no less than sessions.resume, which is %v", resume)
	}
	if c.Replication != -1 && (c.Replication < 1 || c.Replication > 1000) {
		k.bad("kafka.replication", c.Replication, "is not allowed: want 1 to 1000, or -1 for the broker's default")
	}
	between(k, "kafka.delivery_timeout", c.DeliveryTimeout, Duration(100*time.Millisecond), minutes(10))
	between(k, "kafka.buffered_records", c.BufferedRecords, 1, 10_000_000)
	k.clientTLS("kafka.tls", c.TLS)
	k.sasl(c.SASL)
}

// group wants what Kafka takes as a consumer group's id.
func (k *checker) group(key, value string) {
	if value == "" || len(value) > 249 || strings.ContainsFunc(value, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		k.bad(key, value, "is not a consumer group: want 1 to 249 characters without blanks")
	}
}

func (k *checker) clientTLS(section string, t ClientTLS) {
	k.pair(section, t.Cert, t.Key)
	if !k.readable(section+".ca", t.CA) || t.CA == "" {
		return
	}
	if _, err := readAuthorities(t.CA); err != nil {
		k.bad(section+".ca", t.CA, "cannot be used: %v", err)
	}
}

func (k *checker) sasl(s SASLConfig) {
	if s == (SASLConfig{}) {
		return
	}
	mechanisms := []string{saslPlain, saslScram256, saslScram512, saslOAuth}
	switch {
	case s.Mechanism == "":
		k.missing("kafka.sasl.mechanism", "want %s", either(mechanisms))
	case s.Mechanism == saslOAuth:
		k.oneSecret("kafka.sasl.token", s.Token, s.TokenFile, true)
		k.unused(saslOAuth, "kafka.sasl.user", s.User, "kafka.sasl.password", s.Password.String(), "kafka.sasl.password_file", s.PasswordFile)
	case slices.Contains(mechanisms, s.Mechanism):
		if s.User == "" {
			k.missing("kafka.sasl.user", "%s needs it", s.Mechanism)
		}
		k.oneSecret("kafka.sasl.password", s.Password, s.PasswordFile, true)
		k.unused(s.Mechanism, "kafka.sasl.token", s.Token.String(), "kafka.sasl.token_file", s.TokenFile)
	default:
		k.oneOf("kafka.sasl.mechanism", s.Mechanism, mechanisms...)
	}
}

// unused wants keys empty that mean nothing to a mechanism, given as pairs of
// key and value.
func (k *checker) unused(mechanism string, pairs ...string) {
	for pair := range slices.Chunk(pairs, 2) {
		if pair[1] != "" {
			k.bad(pair[0], pair[1], "is not allowed: %s does not use it", mechanism)
		}
	}
}

func (k *checker) service(name string, s ServiceConfig) {
	key := servicesPrefix + name
	if k.name(key, name); strings.HasPrefix(strings.ToLower(name), "rpc.") {
		k.bad(key, name, "is not allowed: JSON-RPC keeps names that start with \"rpc.\"")
	}
	switch s.Topic {
	case defaultService(name).Topic: // as good as the name
	case k.config.Kafka.ReplyTopic:
		k.beside(key+".topic", "kafka.reply_topic", s.Topic, "another topic than kafka.reply_topic")
	default:
		k.topic(key+".topic", s.Topic)
	}
	between(k, key+".max_timeout", s.MaxTimeout, Duration(time.Millisecond), 24*minutes(60))
	if between(k, key+".timeout", s.Timeout, Duration(time.Millisecond), 24*minutes(60)); s.Timeout > s.MaxTimeout {
		k.beside(key+".timeout", key+".max_timeout", s.Timeout, "no more than max_timeout, which is %v", s.MaxTimeout)
	}
	k.answer(key+".answer.events.", s.Answer.Events)
	if s.Answer.View.Topic != "" && s.Answer.Events.Topic != "" {
		k.beside(key+".answer.events.topic", key+".answer.view.topic", s.Answer.Events.Topic, "it or answer.view.topic")
	}
	k.allow(key+".allow", s.Allow)
	k.schema(key+".schema.request", s.Schema.Request)
	k.schema(key+".schema.reply", s.Schema.Reply)
	k.oneOf(key+".dialect", s.Dialect, "parley")
	k.oneOf(key+".partitioner", s.Partitioner, "murmur2", "crc32", "fnv1a", "any")
	k.view(key+".answer.view.", s.Answer.View)
	k.forward(key+".forward", s.Forward)
	for _, header := range s.ForwardHeaders {
		k.header(key+".forward_headers", header)
	}
}

// answer wants conditions that can be asked.
func (k *checker) answer(key string, e EventsConfig) {
	if e == (EventsConfig{}) {
		return
	}
	switch e.Topic {
	case "":
		k.missing(key+"topic", "want the topic of the events that answer")
	case k.config.Kafka.ReplyTopic:
		k.beside(key+"topic", "kafka.reply_topic", e.Topic, "another topic than kafka.reply_topic")
	default:
		k.topic(key+"topic", e.Topic)
	}
	if e.Key != "" {
		if _, err := kafka.CompileKey(e.Key); err != nil {
			k.bad(key+"key", e.Key, "is not an expression for a key: %v", err)
		}
	}
	if e.Until == "" {
		k.missing(key+"until", "want a condition such as event.state == \"DONE\"")
	} else if _, err := kafka.CompileCondition(e.Until); err != nil {
		k.bad(key+"until", e.Until, "is not a condition: %v", err)
	}
}

func (k *checker) subscriptions() {
	k.allowFeeds(k.config.Subscriptions)
	between(k, "subscriptions.max", k.config.Subscriptions.Max, 1, 100_000_000)
	for _, topic := range k.config.Subscriptions.Whole {
		if !slices.Contains(k.config.Subscriptions.Topics, topic) {
			k.beside("subscriptions.whole", "subscriptions.topics", topic, "one of subscriptions.topics")
		}
	}
	k.gap("subscriptions.gap", k.config.Subscriptions.Gap)
	between(k, "subscriptions.replay", k.config.Subscriptions.Replay, 0, 1<<30)
	for _, topic := range k.config.Subscriptions.Topics {
		if topic == k.config.Kafka.ReplyTopic {
			k.beside("subscriptions.topics", "kafka.reply_topic", topic, "another topic than kafka.reply_topic")
		} else {
			k.topic("subscriptions.topics", topic)
		}
	}
}

// header wants the pattern of HTTP headers that may be shown to a service.
func (k *checker) header(key, pattern string) {
	name := strings.TrimSuffix(pattern, "*")
	switch {
	case slices.Contains([]string{"authorization", "proxy-authorization", "cookie"}, name):
		k.bad(key, pattern, "is not allowed: it is never forwarded")
	case pattern == "" || strings.ContainsFunc(name, func(r rune) bool { return !strings.ContainsRune(headerRunes, r) }):
		k.bad(key, pattern, "is not a header: want a name in small letters, with a * at its end for any rest")
	}
}

// headerRunes are what names of headers are made of, capitals excepted.
const headerRunes = "abcdefghijklmnopqrstuvwxyz0123456789!#$%&'+-.^_`|~"

func (k *checker) sessions() {
	s := k.config.Sessions
	between(k, "sessions.resume", s.Resume, Duration(time.Second), 24*minutes(60))
	if lease := k.config.Redis.Lease; s.Resume >= Duration(time.Second) && s.Resume <= lease {
		k.beside("sessions.resume", "redis.lease", s.Resume, "more than redis.lease, which is %v", lease)
	}
	between(k, "sessions.open_requests", s.OpenRequests, 1, 1_000_000)
	between(k, "sessions.frame", s.Frame, 1<<10, 64<<20)
	if between(k, "sessions.send_queue", s.SendQueue, 1<<10, 1<<30); s.SendQueue < s.Frame {
		k.beside("sessions.send_queue", "sessions.frame", s.SendQueue, "no less than sessions.frame, which is %v", s.Frame)
	}
	between(k, "sessions.hello_timeout", s.HelloTimeout, Duration(100*time.Millisecond), minutes(5))
	between(k, "sessions.max_age", s.MaxAge, Duration(time.Second), 7*24*minutes(60))
	between(k, "sessions.ping", s.Ping, Duration(100*time.Millisecond), minutes(10))
}

// gap checks how long what comes waits for what comes late: a dead node's replies come
// back only when its lease has ended.
func (k *checker) gap(key string, gap Duration) {
	const least = Duration(100 * time.Millisecond)
	between(k, key, gap, least, minutes(5))
	if lease := k.config.Redis.Lease; gap >= least && gap <= lease {
		k.beside(key, "redis.lease", gap, "more than redis.lease, which is %v", lease)
	}
}

func (k *checker) streams() {
	s := k.config.Streams
	between(k, "streams.waiting", s.Waiting, 1<<10, 1<<30)
	k.gap("streams.gap", s.Gap)
	between(k, "streams.array_parts", s.ArrayParts, 1, 10_000_000)
	between(k, "streams.array_bytes", s.ArrayBytes, 1<<10, 1<<30)
	between(k, "streams.keep_alive", s.KeepAlive, Duration(100*time.Millisecond), minutes(10))
}

func (k *checker) limits() {
	l := k.config.Limits
	between(k, "limits.in_flight", l.InFlight, 1, 100_000_000)
	between(k, "limits.sessions", l.Sessions, 1, 100_000_000)
	between(k, "limits.view_keys", l.ViewKeys, 1, 1_000_000_000)
	between(k, "limits.view_bytes", l.ViewBytes, 1<<10, 1<<40)
	r := k.config.Results
	between(k, "results.keep", r.Keep, Duration(time.Second), 7*24*minutes(60))
	between(k, "results.max", r.Max, 1, 100_000_000)
	between(k, "results.waiters", r.Waiters, 1, 10_000_000)
}

func (k *checker) worker() {
	w := k.config.Worker
	k.group("worker.group", w.Group)
	between(k, "worker.concurrency", w.Concurrency, 1, 100_000)
	between(k, "worker.retry", w.Retry, 0, minutes(10))
	if w.Admin != "" {
		k.address("worker.admin", w.Admin, true)
	}
}

func (k *checker) web() {
	for _, o := range k.config.Origins {
		if o != "*" {
			k.origin("origins", o)
		}
	}
	for _, n := range k.config.Nodes {
		k.origin("nodes", n)
	}
}

func (k *checker) log() {
	k.oneOf("log.level", k.config.Log.Level, "debug", "info", "warn", "error")
	k.oneOf("log.format", k.config.Log.Format, "auto", "text", "json")
}

func minutes(n int) Duration { return Duration(n) * Duration(time.Minute) }
