package kafka

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"parley/routing"
)

// newHistory is a history that is closed with the test, and what it counts.
func newHistory(t *testing.T, k *testKafka, o HistoryOptions) (*History, *tally) {
	t.Helper()
	seen := &tally{}
	o.Observer = seen
	h, err := NewHistory(k.Config, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	return h, seen
}

// eventsAbout are n events of partition 0 about keys in turn, whose values are their offsets.
func eventsAbout(topic string, n int, keys ...string) (all []*kgo.Record) {
	for i := range n {
		all = append(all, &kgo.Record{Topic: topic, Key: []byte(keys[i%len(keys)]), Value: fmt.Append(nil, i)})
	}
	return all
}

// since answers the bodies of what was missed, and how that ended.
func since(t *testing.T, h *History, topic, key string, partition int32, offset int64) (bodies string, end int64, err error) {
	t.Helper()
	missed, err := h.Since(t.Context(), routing.Feed{Topic: topic, Key: key}, routing.RecordAt{Topic: topic, Partition: partition, Offset: offset})
	if err != nil {
		return "", 0, err
	}
	defer missed.Release()
	var all []string
	for _, e := range missed.Events {
		all = append(all, string(e.Body))
	}
	return strings.Join(all, " "), missed.End, nil
}

// Who comes back gets what has happened to its key since its last event, in order, and
// nothing of other keys; a position that the topic does not have is no position.
func TestHistory(t *testing.T) {
	k := newKafka(t)
	topic := k.topic(t, "past", 2)
	k.write(t, eventsAbout(topic, 10, "a", "b")...)
	h, seen := newHistory(t, k, HistoryOptions{})
	for _, c := range []struct {
		key    string
		offset int64
		want   string
	}{{"a", 0, "2 4 6 8"}, {"b", 1, "3 5 7 9"}, {"b", 0, "1 3 5 7 9"}, {"a", 8, ""}, {"a", 9, ""}, {"c", 0, ""}} {
		if got, end, err := since(t, h, topic, c.key, 0, c.offset); err != nil || got != c.want || end != 10 {
			t.Errorf("%s after %d: got %q to %d, %v", c.key, c.offset, got, end, err)
		}
	}
	if _, _, err := since(t, h, topic, "a", 0, 10); err == nil {
		t.Error("it knows what comes after an event that has not happened")
	}
	if _, _, err := since(t, h, topic, "a", 7, 0); err == nil {
		t.Error("it knows a partition that is not there")
	}
	if _, err := h.Since(t.Context(), routing.Feed{Topic: topic, Key: "a"}, routing.RecordAt{Topic: "another"}); err == nil {
		t.Error("it reads another topic")
	}
	if whole, lost := seen.get("whole"), seen.get("lost"); whole != 6 || lost != 3 || h.held.Load() != 0 {
		t.Errorf("%d whole, %d lost, %d bytes held", whole, lost, h.held.Load())
	}
}

// What a transaction has aborted has not happened, also where it is the last there is.
func TestHistoryOfAnAbort(t *testing.T) {
	k := newKafka(t)
	topic := k.topic(t, "aborted", 1)
	k.write(t, eventsAbout(topic, 2, "a")...)
	client := k.kgo(t, kgo.TransactionalID(unique()))
	if err := client.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	put(t, client, topic, [2]string{"a", "never"})
	if err := client.EndTransaction(t.Context(), kgo.TryAbort); err != nil {
		t.Fatal(err)
	}
	h, _ := newHistory(t, k, HistoryOptions{})
	if got, _, err := since(t, h, topic, "a", 0, 0); err != nil || got != "1" {
		t.Errorf("got %q, %v", got, err)
	}
}

// Nobody makes a node read, or keep, more than may be; and who is far behind does not
// spoil it for who is not.
func TestHistoryIsBounded(t *testing.T) {
	k := newKafka(t)
	topic := k.topic(t, "much", 1)
	records := eventsAbout(topic, 2200, "a")
	for i := range records[:40] {
		records[i].Value = bytes.Repeat([]byte("x"), 50_000)
	}
	records[2199].Key = []byte("b")
	k.write(t, records...)
	h, seen := newHistory(t, k, HistoryOptions{Bytes: 1500 * (overhead + 10), Held: 1000})
	if _, _, err := since(t, h, topic, "a", 0, 1100); err == nil {
		t.Error("more events than a client may get")
	}
	for range historyReads { // no turn for anybody yet
		h.slots <- struct{}{}
	}
	var both sync.WaitGroup
	both.Go(func() {
		if _, _, err := since(t, h, topic, "b", 0, 0); err == nil {
			t.Error("more bytes than are read at a time")
		}
	})
	both.Go(func() {
		if got, _, err := since(t, h, topic, "b", 0, 2190); err != nil || got != "2199" {
			t.Errorf("beside one that is far behind: got %q, %v", got, err)
		}
	})
	until(t, "both wait", nil, func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		to := h.next[place{topic, 0}]
		return to != nil && len(to.readers) == 2
	})
	<-h.slots
	both.Wait()
	at := routing.RecordAt{Topic: topic, Offset: 2196}
	first, err := h.Since(t.Context(), routing.Feed{Topic: topic, Key: "a"}, at)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Since(t.Context(), routing.Feed{Topic: topic, Key: "a"}, at); err == nil {
		t.Error("more bytes than may be held")
	}
	first.Release()
	if got, _, err := since(t, h, topic, "a", 0, at.Offset); err != nil || got != "2197 2198" {
		t.Errorf("then: got %q, %v", got, err)
	}
	if seen.get("beyond") != 2 || seen.get("busy") != 1 || h.held.Load() != 0 {
		t.Errorf("%d beyond, %d busy, %d bytes held", seen.get("beyond"), seen.get("busy"), h.held.Load())
	}
}

// Those who come back at once are served by one read of their partition, also when the
// one who is to make it leaves.
func TestHistoryIsReadOnceForMany(t *testing.T) {
	k := newKafka(t)
	topic := k.topic(t, "herd", 1)
	k.write(t, eventsAbout(topic, 100, "a", "b")...)
	h, seen := newHistory(t, k, HistoryOptions{})
	for range historyReads {
		h.slots <- struct{}{}
	}
	waits := func(n int) {
		t.Helper()
		until(t, "they wait", nil, func() bool {
			h.mu.Lock()
			defer h.mu.Unlock()
			to := h.next[place{topic, 0}]
			return to != nil && len(to.readers) == n
		})
	}
	var all sync.WaitGroup
	ctx, leave := context.WithCancel(t.Context())
	all.Go(func() {
		if _, err := h.Since(ctx, routing.Feed{Topic: topic, Key: "a"}, routing.RecordAt{Topic: topic}); err == nil {
			t.Log("who left was served all the same")
		}
	})
	waits(1)
	for range 200 {
		all.Go(func() {
			if got, _, err := since(t, h, topic, "b", 0, 95); err != nil || got != "97 99" {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
	waits(201)
	leave()
	<-h.slots
	began := time.Now()
	all.Wait()
	if n := seen.get("whole"); n < 200 {
		t.Errorf("%d of 200 after %v", n, time.Since(began))
	}
}
