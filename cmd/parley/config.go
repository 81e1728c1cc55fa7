package main

import (
	"fmt"
	"maps"
	"net"
	"os"
	"slices"
	"strings"
	"time"
)

// Config is everything that can be set about a node. The tags are read once
// (configkeys.go): `key` is a field's name in the file, in flags and, in capitals, in
// the environment; `help` documents it, here and in `parley serve -h`.
//
// A Config that loadConfig answered without an error is complete and valid. It is
// a value: nobody changes it afterwards.
type Config struct {
	Node   string    `key:"node" help:"unique name of this node; empty: host name and port of listen"`
	Listen string    `key:"listen" help:"address for clients: /ws, /services, /healthz, /readyz, the pages"`
	Admin  string    `key:"admin" help:"address for operators: /metrics, /healthz, /readyz, /debug/pprof; empty: none"`
	TLS    ServerTLS `key:"tls"`

	Auth AuthConfig `key:"auth"`

	Kafka         KafkaConfig              `key:"kafka"`
	Redis         RedisConfig              `key:"redis"`
	Subscriptions SubscriptionsConfig      `key:"subscriptions"`
	Services      map[string]ServiceConfig `key:"services"` // by the name that clients use
	Sessions      SessionsConfig           `key:"sessions"`
	Streams       StreamsConfig            `key:"streams"`
	Limits        LimitsConfig             `key:"limits"`
	Worker        WorkerConfig             `key:"worker"`
	Results       ResultsConfig            `key:"results"`

	Origins  []string  `key:"origins" help:"origins of web pages that may call, besides the gateway's own; * for all"`
	Page     bool      `key:"page" help:"serve the demo page at /"`
	Nodes    []string  `key:"nodes" help:"addresses (http or https) of the other nodes, for the demo page"`
	Shutdown Duration  `key:"shutdown" help:"time to finish after SIGTERM"`
	Log      LogConfig `key:"log"`
}

// KafkaConfig says where Kafka is, and what Parley uses there.
type KafkaConfig struct {
	Brokers         []string   `key:"brokers" help:"seed brokers, host:port"`
	ClientID        string     `key:"client_id" help:"client id that brokers see: logs and quotas"`
	Group           string     `key:"group" help:"consumer group of the whole gateway, the same on all nodes"`
	GroupProtocol   string     `key:"group_protocol" help:"classic (cooperative) or consumer (KIP-848)"`
	ReplyTopic      string     `key:"reply_topic" help:"topic that services answer on"`
	CreateTopics    bool       `key:"create_topics" help:"make missing topics; false: a missing one is an error"`
	ReplyPartitions int        `key:"reply_partitions" help:"partitions of the reply topic when it is made: several times the nodes"`
	ReplyRetention  Duration   `key:"reply_retention" help:"retention of the reply topic when it is made"`
	Replication     int        `key:"replication" help:"replicas of topics when they are made; -1: the broker's default"`
	DeliveryTimeout Duration   `key:"delivery_timeout" help:"a request that Kafka has not taken by then is unavailable"`
	BufferedRecords int        `key:"buffered_records" help:"requests that may wait for Kafka; more are overloaded"`
	TLS             ClientTLS  `key:"tls"`
	SASL            SASLConfig `key:"sasl"`
}

// SASLConfig is how this node proves to Kafka who it is. Files are read anew
// at each authentication, so that a secret can be changed under a running node.
type SASLConfig struct {
	Mechanism    string `key:"mechanism" help:"PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER; empty: none"`
	User         string `key:"user" help:"user name (PLAIN, SCRAM)"`
	Password     Secret `key:"password" help:"password (PLAIN, SCRAM)"`
	PasswordFile string `key:"password_file" help:"file that holds the password"`
	Token        Secret `key:"token" help:"token (OAUTHBEARER)"`
	TokenFile    string `key:"token_file" help:"file that holds the token"`
}

// The mechanisms of SASL.
const (
	saslPlain    = "PLAIN"
	saslScram256 = "SCRAM-SHA-256"
	saslScram512 = "SCRAM-SHA-512"
	saslOAuth    = "OAUTHBEARER"
)

// RedisConfig says where the table is kept: at URL, in Cluster or behind
// Sentinel, one of them. With none it is kept in memory, which serves one node.
type RedisConfig struct {
	URL          SecretURL      `key:"url" help:"redis:// or, with TLS, rediss://; empty: the table is in memory, for one node"`
	Cluster      []string       `key:"cluster" help:"some nodes of a Redis Cluster, host:port, instead of url"`
	Sentinel     SentinelConfig `key:"sentinel"`
	Username     string         `key:"username" help:"ACL user, unless the url names one"`
	Password     Secret         `key:"password" help:"password, unless the url has one"`
	PasswordFile string         `key:"password_file" help:"file that holds the password"`
	TLS          ClientTLS      `key:"tls"`
	Lease        Duration       `key:"lease" help:"a node that has not renewed its lease for so long is dead to the others"`
}

// SentinelConfig names a primary that Redis Sentinels watch.
type SentinelConfig struct {
	Master       string   `key:"master" help:"name of the primary that the sentinels watch, instead of url"`
	Addresses    []string `key:"addresses" help:"the sentinels, host:port"`
	Username     string   `key:"username" help:"ACL user of the sentinels themselves"`
	Password     Secret   `key:"password" help:"password of the sentinels themselves"`
	PasswordFile string   `key:"password_file" help:"file that holds it"`
}

// ServiceConfig is what stands behind the name of a service.
type ServiceConfig struct {
	Topic          string       `key:"topic" help:"request topic; empty: <name>.requests"`
	Timeout        Duration     `key:"timeout" help:"unless the client asks for another"`
	MaxTimeout     Duration     `key:"max_timeout" help:"the longest that a client may ask for"`
	Dialect        string       `key:"dialect" help:"header names that the service's framework expects; so far parley"`
	Partitioner    string       `key:"partitioner" help:"how the service's producer picks the reply's partition from its key: murmur2, crc32, fnv1a or any"`
	Description    string       `key:"description" help:"what it does, for people: shown in /docs, /openapi.json and the like"`
	Schema         Schemas      `key:"schema"`
	Allow          string       `key:"allow" help:"CEL over claims (the token's) and subject: who may call it; empty: whoever has shown a token"`
	Wait           bool         `key:"wait" help:"requests wait in the topic while nobody serves; false: they are refused as no_responders"`
	Cancel         bool         `key:"cancel" help:"write a cancel record to the topic when the client of an open request cancels it or leaves for good"`
	Forward        string       `key:"forward" help:"URL of an HTTP service that parley worker hands this service's requests to"`
	Answer         AnswerConfig `key:"answer"`
	ForwardHeaders []string     `key:"forward_headers" help:"HTTP request headers that become record headers; * at the end: any rest"`
}

// AnswerConfig says where a service's answers come from, unless that is the reply
// topic.
type AnswerConfig struct {
	View   ViewConfig   `key:"view"`
	Events EventsConfig `key:"events"`
}

// ViewConfig has a service answer from the newest event of each key of a topic.
type ViewConfig struct {
	Topic string     `key:"topic" help:"answer from the newest event of each key of this topic, and not by requests"`
	Until Conditions `key:"until" help:"names of CEL conditions over event, key and headers that callers may wait for (?until=name), as a JSON object"`
}

// Schemas say what a service takes and gives.
type Schemas struct {
	Request Schema `key:"request" help:"JSON Schema (2020-12) of requests, or its file: others are refused as invalid_params"`
	Reply   Schema `key:"reply" help:"JSON Schema of replies, or its file: for people and programs, not enforced"`
}

// EventsConfig has requests answered by events.
type EventsConfig struct {
	Topic string `key:"topic" help:"topic of events, by whose key they are about something; empty: the service replies"`
	Key   string `key:"key" help:"CEL over request (the body as JSON): what the event is to be about; empty: the request's record key"`
	Until string `key:"until" help:"CEL over event (the value as JSON), key and headers: the first event of which it is true answers"`
}

// SubscriptionsConfig says what clients may have pushed.
type SubscriptionsConfig struct {
	Topics []string `key:"topics" help:"topics of events that clients may subscribe to, by the events' record keys"`
	Allow  Rules    `key:"allow" help:"who may, by topic: CEL over claims and subject, as a service's allow"`
	Whole  []string `key:"whole" help:"of these, topics whose events clients may have all, without a key"`
	Max    int      `key:"max" help:"subscriptions a node; more are overloaded"`
	Gap    Duration `key:"gap" help:"an event may be so much later than those behind it and still comes before them"`
	Replay Size     `key:"replay" help:"bytes of a partition that are read again for subscribers over HTTP that come back; 0: they are told that they missed some"`
}

// SessionsConfig bounds one session and its socket.
type SessionsConfig struct {
	Resume       Duration `key:"resume" help:"how long a session waits for its client to come back"`
	OpenRequests int      `key:"open_requests" help:"open requests a session"`
	SendQueue    Size     `key:"send_queue" help:"bytes that may wait for a slow socket"`
	Frame        Size     `key:"frame" help:"largest frame from a client, and largest body over HTTP"`
	HelloTimeout Duration `key:"hello_timeout" help:"time to say hello under parley.v1"`
	MaxAge       Duration `key:"max_age" help:"a socket's longest life; it is closed a little earlier, at random"`
	Ping         Duration `key:"ping" help:"time between pings, give or take a tenth"`
}

// StreamsConfig bounds an answer that comes in parts.
type StreamsConfig struct {
	Waiting    Size     `key:"waiting" help:"bytes of a streamed answer that may wait for a client that is not ready; one with more ends as overloaded"`
	Gap        Duration `key:"gap" help:"a part may be so much later than those behind it; its request then ends"`
	ArrayParts int      `key:"array_parts" help:"parts of an answer that an HTTP client takes as one array"`
	ArrayBytes Size     `key:"array_bytes" help:"bytes of an answer that an HTTP client takes as one array"`
	KeepAlive  Duration `key:"keep_alive" help:"time of silence after which a stream of events gets a comment"`
}

// LimitsConfig bounds one node.
type LimitsConfig struct {
	InFlight  int  `key:"in_flight" help:"open requests a node; more are overloaded"`
	Sessions  int  `key:"sessions" help:"sessions a node; more are overloaded"`
	ViewKeys  int  `key:"view_keys" help:"keys of a view that a node keeps in memory; others are overloaded"`
	ViewBytes Size `key:"view_bytes" help:"bytes of a view that a node keeps in memory"`
}

// WorkerConfig is for `parley worker`, which hands the requests of services that have
// the key forward to HTTP services.
type WorkerConfig struct {
	Group       string   `key:"group" help:"parley worker: consumer group, to which a dot and the service's name are added"`
	Concurrency int      `key:"concurrency" help:"parley worker: requests that an HTTP service gets at once"`
	Ordered     bool     `key:"ordered" help:"parley worker: requests with the same key go one after the other"`
	Retry       Duration `key:"retry" help:"parley worker: how long an HTTP service that cannot be connected to is tried"`
	Admin       string   `key:"admin" help:"parley worker: address for operators, /metrics and /healthz; empty: none"`
}

// ResultsConfig is about requests whose answers are collected: asynchronous ones, and
// those with an idempotency key.
type ResultsConfig struct {
	Keep    Duration `key:"keep" help:"how long a request is kept whose answer is collected, and an idempotency key holds"`
	Max     int      `key:"max" help:"such requests in the whole cluster at a time; more are overloaded"`
	Waiters int      `key:"waiters" help:"callers a node that wait for such requests; more are overloaded"`
}

// LogConfig says what is logged, to standard error.
type LogConfig struct {
	Level  string `key:"level" help:"debug, info, warn or error"`
	Format string `key:"format" help:"text, json, or auto: coloured text on a terminal, JSON elsewhere"`
}

// defaultConfig answers what holds where nothing is set. It has no services.
func defaultConfig() Config {
	return Config{
		Listen: ":8080", Admin: "127.0.0.1:9090",
		Kafka: KafkaConfig{
			Brokers: []string{"127.0.0.1:9092"}, ClientID: "parley", Group: "parley", GroupProtocol: "classic",
			ReplyTopic: "parley.replies", CreateTopics: true, ReplyPartitions: 24,
			ReplyRetention: Duration(time.Hour), Replication: 1,
			DeliveryTimeout: Duration(10 * time.Second), BufferedRecords: 100_000,
		},
		Auth:  AuthConfig{JWT: JWTConfig{SubjectClaim: "sub", Leeway: Duration(30 * time.Second)}, Required: true},
		Redis: RedisConfig{Lease: Duration(1200 * time.Millisecond)},
		Sessions: SessionsConfig{
			Resume: Duration(2 * time.Minute), OpenRequests: 256, SendQueue: 1 << 20, Frame: 1 << 20,
			HelloTimeout: Duration(5 * time.Second), MaxAge: Duration(30 * time.Minute), Ping: Duration(25 * time.Second),
		},
		Streams: StreamsConfig{
			Waiting: 16 << 20, Gap: Duration(10 * time.Second), ArrayParts: 10_000, ArrayBytes: 1 << 20, KeepAlive: Duration(15 * time.Second),
		},
		Limits:        LimitsConfig{InFlight: 100_000, Sessions: 1_000_000, ViewKeys: 1_000_000, ViewBytes: 256 << 20},
		Worker:        WorkerConfig{Group: "parley-worker", Concurrency: 64, Retry: Duration(5 * time.Second)},
		Results:       ResultsConfig{Keep: Duration(time.Hour), Max: 100_000, Waiters: 10_000},
		Subscriptions: SubscriptionsConfig{Max: 1_000_000, Gap: Duration(30 * time.Second), Replay: 16 << 20},
		Page:          true,
		Shutdown:      Duration(20 * time.Second),
		Log:           LogConfig{Level: "info", Format: "auto"},
	}
}

// defaultService answers what holds for a service of which only the name is
// known.
func defaultService(name string) ServiceConfig {
	return ServiceConfig{
		Topic: name + ".requests", Timeout: Duration(30 * time.Second), MaxTimeout: Duration(5 * time.Minute),
		Dialect: "parley", Partitioner: "murmur2",
		ForwardHeaders: []string{"content-type", "accept", "accept-language", "traceparent", "tracestate", "x-*"},
	}
}

// complete fills in what is derived from other keys.
func (c *Config) complete() {
	if c.Node == "" {
		c.Node = defaultNode(c.Listen)
	}
	for name, s := range c.Services {
		if s.Topic == "" {
			s.Topic = defaultService(name).Topic
			c.Services[name] = s
		}
	}
}

// defaultNode names a node by host and port. Where the system picks the port
// it is the process that tells nodes of one host apart.
func defaultNode(listen string) string {
	host, err := os.Hostname()
	if err != nil || host == "" {
		host = "node"
	}
	_, port, err := net.SplitHostPort(listen)
	if err != nil || port == "" || port == "0" {
		port = fmt.Sprint(os.Getpid())
	}
	host = strings.Map(func(r rune) rune {
		if strings.ContainsRune(nameRunes, r) {
			return r
		}
		return '-'
	}, host)
	return host[:min(len(host), maxName-len(port)-1)] + "-" + port
}

// serviceNames answers the names of the services, sorted.
func (c *Config) serviceNames() []string { return slices.Sorted(maps.Keys(c.Services)) }
