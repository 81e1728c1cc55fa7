package kafka

import (
	"fmt"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"parley/routing"
)

// put writes records one after another.
func put(t *testing.T, client *kgo.Client, topic string, pairs ...[2]string) {
	t.Helper()
	for _, pair := range pairs {
		record := &kgo.Record{Topic: topic, Key: []byte(pair[0]), Headers: []kgo.RecordHeader{{Key: "Content-Type", Value: []byte("text/plain")}, {Key: "x-a", Value: []byte("1")}}}
		if pair[1] != "" {
			record.Value = []byte(pair[1])
		}
		if err := client.ProduceSync(t.Context(), record).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
}

// runView runs a view until the test's end, and waits until it is loaded.
func runView(t *testing.T, k *testKafka, o ViewOptions) *View {
	t.Helper()
	v, err := NewView(k.Config, o)
	if err != nil {
		t.Fatal(err)
	}
	if _, e := v.Latest("a"); e == nil || e.Word != routing.Unavailable {
		t.Errorf("before it is read: got %v", e)
	}
	run(t, v.Run)
	until(t, "the view is loaded", nil, v.Loaded)
	return v
}

// A view has read what was there when it began, the newest of each key, and
// follows what comes; a watcher is woken by its own key alone, also by a removal.
func TestView(t *testing.T) {
	k := newKafka(t)
	topic := k.topic(t, "states", 3)
	client := k.kgo(t)
	put(t, client, topic, [2]string{"a", "1"}, [2]string{"a", "2"}, [2]string{"b", "1"}, [2]string{"b", ""}, [2]string{"", "nobody's"})
	v := runView(t, k, ViewOptions{Topic: topic})
	if e, err := v.Latest("a"); err != nil || e == nil || string(e.Body) != "2" || e.ContentType != "text/plain" || len(e.Headers) != 1 || e.At.Topic != topic {
		t.Fatalf("got %+v, %v", e, err)
	}
	if e, err := v.Latest("b"); e != nil || err != nil {
		t.Errorf("what was removed: got %+v, %v", e, err)
	}
	if s := v.Stats(); s.Keys != 1 || s.Full {
		t.Errorf("got %+v", s)
	}
	changed, other := make(chan struct{}), make(chan struct{})
	stop, _ := v.Watch("a", func() { close(changed) })
	stopOther, _ := v.Watch("c", func() { close(other) })
	defer stop()
	put(t, client, topic, [2]string{"a", ""})
	receive(t, "the change", changed)
	stopOther()
	if e, _ := v.Latest("a"); e != nil {
		t.Errorf("got %+v after its removal", e)
	}
	select {
	case <-other:
		t.Error("c has not changed")
	default:
	}
	if v.newest.watching != 0 || len(v.newest.watchers) != 0 {
		t.Errorf("%d watchers are left", v.newest.watching)
	}
}

// A topic that is empty, or that ends in what a transaction aborted, is read to its
// end all the same, and what was aborted is not seen.
func TestViewOfNothing(t *testing.T) {
	k := newKafka(t)
	empty := k.topic(t, "empty", 2)
	runView(t, k, ViewOptions{Topic: empty})

	topic := k.topic(t, "aborted", 1)
	client := k.kgo(t, kgo.TransactionalID(unique()), kgo.DefaultProduceTopic(topic))
	if err := client.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	put(t, client, topic, [2]string{"a", "1"})
	if err := client.EndTransaction(t.Context(), kgo.TryAbort); err != nil {
		t.Fatal(err)
	}
	if e, err := runView(t, k, ViewOptions{Topic: topic}).Latest("a"); e != nil || err != nil {
		t.Errorf("got %+v, %v", e, err)
	}
}

// A view without room for a key says so instead of denying it, keeps the keys that
// it has exact, and lets no more wait than may.
func TestViewIsBounded(t *testing.T) {
	k := newKafka(t)
	topic := k.topic(t, "many", 1)
	client := k.kgo(t)
	for i := range 4 {
		put(t, client, topic, [2]string{fmt.Sprint(i), "x"})
	}
	v := runView(t, k, ViewOptions{Topic: topic, Keys: 2, Watchers: 1})
	if e, err := v.Latest("1"); e == nil || err != nil {
		t.Errorf("1: got %v, %v", e, err)
	}
	if e, err := v.Latest("3"); e != nil || err == nil || err.Word != routing.Overloaded {
		t.Errorf("3: got %v, %v", e, err)
	}
	changed := make(chan struct{})
	stop, err := v.Watch("1", func() { close(changed) })
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.Watch("0", func() {}); err == nil || err.Word != routing.Overloaded {
		t.Errorf("a second watcher: got %v", err)
	}
	put(t, client, topic, [2]string{"1", "y"})
	receive(t, "the change", changed)
	stop()
	if e, _ := v.Latest("1"); string(e.Body) != "y" {
		t.Errorf("got %q", e.Body)
	}
}
