package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// sample answers a value that is allowed for the setting and not its default.
func sample(s setting) string {
	special := map[string]string{
		"node": "n-1", "listen": "127.0.0.1:1", "admin": "127.0.0.1:2", "page": "false", "origins": "https://a.example,http://b:1",
		"nodes": "http://c:1,https://d", "shutdown": "7s", "log.level": "debug", "log.format": "json",
		"kafka.brokers": "k1:1,k2:2", "kafka.group_protocol": "consumer", "kafka.create_topics": "false",
		"redis.cluster": "r1:1,r2:2", "subscriptions.topics": "s.events,t.events", "subscriptions.whole": "t.events", "auth.jwt.algorithms": "RS256,EdDSA", "auth.jwt.keys": "a.pem,b.json", "auth.jwt.jwks": "https://a.example/jwks,https://b.example/jwks", "redis.sentinel.addresses": "s1:1", "redis.url": "rediss://u:p@h:1/2", "redis.lease": "2s",
		"kafka.sasl.mechanism": "PLAIN", "dialect": "parley", "partitioner": "crc32", "forward_headers": "x-a,x-b-*",
	}
	if text := special[s.key]; text != "" {
		return text
	}
	return map[string]string{"duration": "17s", "size": "2MiB", "number": "77", "bool": "true", "text": "text-1", "schema": "schema.json", "rules": `{"t.events":"true"}`, "conditions": `{"done":"true"}`}[s.kind()]
}

// inFile writes a key as a file would, in flow style.
func inFile(key, value string, list bool) string {
	if list {
		value = "[" + value + "]"
	}
	sections := strings.Split(key, ".")
	return strings.Join(sections, ": {") + ": " + value + strings.Repeat("}", len(sections)-1) + "\n"
}

// Every key can be set in each of the three ways, and means the same in all.
func TestEveryKeyThreeWays(t *testing.T) {
	check := func(t *testing.T, s setting, key string, pick func(*Config) any) {
		value := sample(s)
		for way, l := range map[string]func(*loader){
			"file": func(l *loader) { l.yaml("p.yaml", []byte(inFile(key, value, s.isList()))) },
			"environment": func(l *loader) {
				l.environ(map[string]string{envName(key): value}, nil)
			},
			"flag": func(l *loader) {
				flags, bad, _ := parseFlags([]string{"--" + key + "=" + value}, settingFlag, unknownSetting)
				l.problems = append(l.problems, bad...)
				l.flags(flags)
			},
		} {
			loaded := loader{config: defaultConfig(), from: make(map[string]string)}
			l(&loaded)
			if err := loaded.problems.errOrNil(); err != nil {
				t.Errorf("%s by %s: %v", key, way, err)
				continue
			}
			config := pick(&loaded.config)
			if got, want := strings.Join(s.texts(config), ","), s.shown(value); fmt.Sprintf("%q", got) != want {
				t.Errorf("%s by %s: got %q, want %s", key, way, got, want)
			}
		}
	}
	for _, s := range settings {
		check(t, s, s.key, func(c *Config) any { return c })
	}
	for _, s := range serviceSettings {
		check(t, s, "services.a_b."+s.key, func(c *Config) any { service := c.Services["a_b"]; return &service })
	}
}

// Flags weigh more than the environment, that more than the file, and that
// more than defaults; what nobody sets again stays.
func TestPrecedence(t *testing.T) {
	file := "node: f\nkafka: {brokers: ['f:1'], group: f, client_id: f}\nservices: {order-items: {topic: f, timeout: 1s}}\n"
	environ := []string{"PARLEY_KAFKA_GROUP=e", "PARLEY_KAFKA_BROKERS=e:1, e:2,", "PARLEY_SERVICES_ORDER_ITEMS_TIMEOUT=2s", "PARLEY_SERVICES_ECHO_MAX_TIMEOUT=1m"}
	args := []string{"--kafka.brokers", "x:1", "-page=false", "--services.order-items.partitioner", "any", "--kafka.brokers=x:2"}
	c, err := load(t, file, environ, args)
	if err != nil {
		t.Fatal(err)
	}
	want := defaultConfig()
	want.Node, want.Page = "f", false
	want.Kafka.Brokers, want.Kafka.Group, want.Kafka.ClientID = []string{"x:2"}, "e", "f"
	items, echo := defaultService("order-items"), defaultService("echo")
	items.Topic, items.Timeout, items.Partitioner = "f", Duration(2e9), "any"
	echo.MaxTimeout = Duration(60e9)
	want.Services = map[string]ServiceConfig{"order-items": items, "echo": echo}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("got  %+v\nwant %+v", c, want)
	}
}

// In capitals, names of services are ambiguous: what is known decides, else the
// longest key, and what cannot be decided is refused.
func TestServicesInTheEnvironment(t *testing.T) {
	for _, c := range []struct {
		story, known, variable string
		key, says              string
	}{
		{"a new service", "", "ORDERS_TOPIC", "orders.topic", ""},
		{"the longest key", "", "ORDERS_MAX_TIMEOUT", "orders.max_timeout", ""},
		{"a known service", "orders_max", "ORDERS_MAX_TIMEOUT", "orders_max.timeout", ""},
		{"another spelling", "Order.Items", "ORDER_ITEMS_TOPIC", "Order.Items.topic", ""},
		{"two spellings", "a-b a_b", "A_B_TOPIC", "", "is ambiguous: set services.a-b.topic or services.a_b.topic by a flag or in the file"},
		{"two splits", "orders orders_max", "ORDERS_MAX_TIMEOUT", "", "is ambiguous: set services.orders.max_timeout or services.orders_max.timeout by a flag or in the file"},
	} {
		l := loader{from: make(map[string]string)}
		key := l.serviceVariable("V", c.variable, strings.Fields(c.known))
		var says string
		if len(l.problems) > 0 {
			says = l.problems[0].says
		}
		if strings.TrimPrefix(key, servicesPrefix) != c.key || says != c.says {
			t.Errorf("%s: got %q, %q, want %q, %q", c.story, key, says, c.key, c.says)
		}
	}
}

// What others put into the environment is none of our business.
func TestForeignVariables(t *testing.T) {
	_, err := load(t, "", []string{
		"PARLEY_SERVICE_HOST=10.0.0.1", "PARLEY_SERVICE_PORT=80", "PARLEY_SERVICE_PORT_HTTP=80", "PARLEY_PORT=tcp://10.0.0.1:80",
		"PARLEY_PORT_80_TCP=tcp://10.0.0.1:80", "PARLEY_PORT_80_TCP_PROTO=tcp", "PARLEY_PORT_80_TCP_PORT=80", "PARLEY_PORT_80_TCP_ADDR=10.0.0.1",
		"PARLEY_REDIS_SERVICE_HOST=10.0.0.2", "PARLEY_REDIS_PORT=tcp://10.0.0.2:6379", "PARLEY_KAFKA=h:1", "PARLEY_REDIS=h:1",
		"PARLEY_TEST_REAL=1", "PATH=/bin", "PARLEYX=1", "=",
	}, nil)
	if err != nil {
		t.Error(err)
	}
	if _, err = load(t, "", []string{"PARLEY_REDIS_PORT=6379"}, nil); err == nil {
		t.Error("a variable that only looks like Kubernetes's is taken for its")
	}
}

// The file is the one that the flag names, else the environment's.
func TestWhichFile(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, name := range []string{"a", "b"} {
		if err := os.WriteFile(name, []byte("node: "+name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		environ, args []string
		node          string
	}{
		{[]string{"PARLEY_CONFIG=a"}, nil, "a"},
		{[]string{"PARLEY_CONFIG=a"}, []string{"--config", "b"}, "b"},
		{nil, []string{"--config=b", "--config=a"}, "a"},
	} {
		got, err := loadConfig("serve", c.args, c.environ, io.Discard)
		if err != nil || got.Node != c.node {
			t.Errorf("%v %v: got %q, %v, want %q", c.environ, c.args, got.Node, err, c.node)
		}
	}
	for _, name := range []string{"nowhere.yaml", "."} {
		if _, err := loadConfig("serve", []string{"--config", name}, nil, io.Discard); err == nil {
			t.Errorf("%s was read", name)
		}
	}
	big := filepath.Join(t.TempDir(), "big.yaml")
	if err := os.WriteFile(big, []byte(strings.Repeat("# much\n", maxFile/7+1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := loadConfig("serve", []string{"--config", big}, nil, io.Discard); err == nil || !strings.Contains(err.Error(), "is larger than 1MiB") {
		t.Errorf("a huge file: got %v", err)
	}
}
