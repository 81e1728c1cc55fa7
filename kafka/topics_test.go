package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
)

// Missing topics are all named, or made; and made as they were described.
func TestEnsureTopics(t *testing.T) {
	k := newKafka(t)
	want := []Topic{
		{Name: "a-" + k.name, Partitions: 5, Replication: 1, Retention: time.Hour, RecordBytes: 3 << 20},
		{Name: "b-" + k.name, Partitions: -1},
		{Name: "a-" + k.name},
	}
	there := k.topic(t, "there", 1)
	_, err := EnsureTopics(t.Context(), k.Config, false, append([]Topic{{Name: there}}, want[:2]...))
	var missing *MissingTopicsError
	if !errors.As(err, &missing) || !slices.Equal(missing.Topics, []string{want[0].Name, want[1].Name}) {
		t.Fatalf("got %v", err)
	}
	limits, err := EnsureTopics(t.Context(), k.Config, true, want)
	if err != nil {
		t.Fatal(err)
	}
	if limits.Of(want[0].Name) != 3<<20 || limits.Of("unheard of") != defaultLimit {
		t.Errorf("limits %v", limits)
	}
	if _, err := EnsureTopics(t.Context(), k.Config, false, want); err != nil {
		t.Errorf("though they are there: %v", err)
	}
	a := admin{kadm.NewClient(k.kgo(t)), k.log()}
	if n, err := a.partitions(t.Context(), want[0].Name); n != 5 || err != nil {
		t.Errorf("%d partitions, %v", n, err)
	}
	described, err := a.DescribeTopicConfigs(t.Context(), want[0].Name)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range described[0].Configs {
		if c.Key == "retention.ms" && c.MaybeValue() != "3600000" {
			t.Errorf("retention %s", c.MaybeValue())
		}
	}
}

// Nodes that start together make the topics together.
func TestEnsureTopicsTogether(t *testing.T) {
	k := newKafka(t)
	var running sync.WaitGroup
	for range 8 {
		running.Go(func() {
			if _, err := EnsureTopics(t.Context(), k.Config, true, []Topic{{Name: "together-" + k.name, Partitions: 2}}); err != nil {
				t.Error(err)
			}
		})
	}
	running.Wait()
}

// That Kafka cannot be asked is not the same as that a topic is missing.
func TestEnsureTopicsWithoutKafka(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	_, err := EnsureTopics(ctx, Config{Brokers: []string{fmt.Sprintf("127.0.0.1:%d", freePort(t))}}, false, []Topic{{Name: "a"}})
	var missing *MissingTopicsError
	if err == nil || errors.As(err, &missing) {
		t.Errorf("got %v", err)
	}
}

// A password is asked for at each authentication, and a bad mechanism is named.
func TestSASL(t *testing.T) {
	secret := func(context.Context) (string, error) { return "", nil }
	for _, m := range Mechanisms {
		if got, err := (&SASL{Mechanism: m, Secret: secret}).mechanism(); err != nil || got.Name() != m {
			t.Errorf("%s: %v, %v", m, got, err)
		}
	}
	if _, err := (&SASL{Mechanism: "KERBEROS", Secret: secret}).mechanism(); err == nil {
		t.Error("KERBEROS passed")
	}
	if _, err := (&SASL{Mechanism: "PLAIN"}).mechanism(); err == nil {
		t.Error("no secret passed")
	}
}
