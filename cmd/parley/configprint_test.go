package main

import (
	"bytes"
	"flag"
	"os"
	"reflect"
	"strings"
	"testing"
)

const examplePath = "../../parley.example.yaml"

// The example shows the defaults and no more, so that a reader can trust it,
// and every key, so that it is the reference.
func TestExample(t *testing.T) {
	text, err := os.ReadFile(examplePath)
	if err != nil {
		t.Fatal(err)
	}
	got, problems := loadYAML(string(text))
	if err := problems.errOrNil(); err != nil {
		t.Fatal(err)
	}
	want := defaultConfig()
	want.Kafka.SASL, want.Origins, want.Nodes = SASLConfig{}, []string{}, []string{}
	want.Auth.JWT.Algorithms, want.Auth.JWT.Keys, want.Auth.JWT.JWKS = []string{}, []string{}, []string{}
	want.Redis.Cluster, want.Redis.Sentinel.Addresses, want.Subscriptions.Topics = []string{}, []string{}, []string{}
	want.Subscriptions.Whole = []string{}
	want.Services = map[string]ServiceConfig{"orders": defaultService("orders"), "basket": defaultService("basket")}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	l := loader{config: defaultConfig(), from: make(map[string]string)}
	l.yaml("p", text)
	for _, s := range settings {
		if l.from[s.key] == "" {
			t.Errorf("%s is not in the example", s.key)
		}
	}
	for _, s := range serviceSettings {
		if l.from["services.orders."+s.key] == "" {
			t.Errorf("services.orders.%s is not in the example", s.key)
		}
	}
	l.config.complete()
	if err := l.config.check(l.from).errOrNil(); err != nil {
		t.Error(err)
	}
}

// What is printed can be read again and means the same, but for its secrets,
// of which nothing is shown.
func TestPrint(t *testing.T) {
	c := defaultConfig()
	for _, s := range settings {
		if err := s.set(&c, sample(s)); err != nil {
			t.Fatal(err)
		}
	}
	odd := defaultService("odd")
	odd.Topic, odd.ForwardHeaders = "true", []string{"a: b", "null", "~", "1", "#"}
	c.Services = map[string]ServiceConfig{"odd": odd, "null": defaultService("null"), "1.5": defaultService("1.5")}
	c.Node, c.Kafka.ClientID, c.TLS.Cert = "0123", "é 漢 \t\u0000", "line\nline: {"
	c.Kafka.SASL.Password, c.Kafka.SASL.Token, c.Redis.Password, c.Redis.Sentinel.Password = "hunter2", "hunter2", "hunter2", "hunter2"
	c.Redis.URL = "rediss://user:hunter2@h:1/2?skip_verify=true"

	var out bytes.Buffer
	if err := printConfig(&out, c); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(out.String(), "hunter2") {
		t.Errorf("a secret is shown:\n%s", out.String())
	}
	got, problems := loadYAML(out.String())
	if err := problems.errOrNil(); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	c.Kafka.SASL.Password, c.Kafka.SASL.Token, c.Redis.Password, c.Redis.Sentinel.Password = masked, masked, masked, masked
	c.Redis.URL = "rediss://user:" + masked + "@h:1/2?skip_verify=true"
	if !reflect.DeepEqual(got, c) {
		t.Errorf("got  %#v\nwant %#v\n%s", got, c, out.String())
	}
}

// Defaults print as YAML that a person would have written.
func TestPrintLooksWell(t *testing.T) {
	c := defaultConfig()
	c.Node, c.Services = "a", map[string]ServiceConfig{"orders": defaultService("orders")}
	var out bytes.Buffer
	if err := printConfig(&out, c); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"node: a\n", "\nkafka:\n  brokers: ['127.0.0.1:9092']\n", "\n  reply_retention: 1h\n", "\n  tls:\n    enabled: false\n",
		"\nservices:\n  orders:\n    topic: orders.requests\n", "\n  frame: 1MiB\n", "\norigins: []\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in:\n%s", want, out.String())
		}
	}
}

// Secrets do not show in whatever way they are printed or logged.
func TestSecretURL(t *testing.T) {
	for in, want := range map[SecretURL]string{
		"": "", "redis://h:1/0": "redis://h:1/0", "redis://u:hunter2@h": "redis://u:***@h", "redis://:hunter2@h": "redis://:***@h",
		"redis://u@h": "redis://u@h", "redis://h?password=hunter2": "redis://h?***", "unix:///s?db=1": "unix:///s?db=1",
		"h:hunter2": "***", "redis://u:hunter2@h:x": "***", "redis:hunter2@h": "***",
	} {
		if in.String() != want || in.GoString() != want {
			t.Errorf("got %s, want %s", in, want)
		}
	}
}

// Help names every key, in columns, and fits a wide terminal.
func TestHelp(t *testing.T) {
	var out strings.Builder
	if _, err := loadConfig("serve", []string{"--node", "a", "-h"}, nil, &out); err != flag.ErrHelp {
		t.Fatalf("got %v", err)
	}
	for _, s := range settings {
		if !strings.Contains(out.String(), "\n  --"+s.key+" ") || s.help == "" {
			t.Errorf("%s is not explained", s.key)
		}
	}
	for _, s := range serviceSettings {
		if !strings.Contains(out.String(), "\n  --services.NAME."+s.key+" ") || s.help == "" {
			t.Errorf("services.NAME.%s is not explained", s.key)
		}
	}
	for line := range strings.Lines(out.String()) {
		if len(line) > 200 {
			t.Errorf("%d columns: %s", len(line), line)
		}
	}
}
