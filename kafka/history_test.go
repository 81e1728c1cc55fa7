package kafka

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
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
	missed, err := h.Since(t.Context(), routing.Feed{Topic: topic, Key: key}, routing.Position{partition: offset + 1})
	if err != nil {
		return "", 0, err
	}
	defer missed.Release()
	var all []string
	for _, e := range missed.Events {
		all = append(all, string(e.Body))
	}
	return strings.Join(all, " "), missed.Ends[partition], nil
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
	if whole, lost := seen.get("whole"), seen.get("lost"); whole != 6 || lost != 2 || h.held.Load() != 0 {
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
	at := routing.Position{0: 2197}
	first, err := h.Since(t.Context(), routing.Feed{Topic: topic, Key: "a"}, at)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Since(t.Context(), routing.Feed{Topic: topic, Key: "a"}, at); err == nil {
		t.Error("more bytes than may be held")
	}
	first.Release()
	if got, _, err := since(t, h, topic, "a", 0, 2196); err != nil || got != "2197 2198" {
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
		if _, err := h.Since(ctx, routing.Feed{Topic: topic, Key: "a"}, routing.Position{0: 1}); err == nil {
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

// all answers what was missed of a whole topic, as "partition/offset", by partition.
func all(t *testing.T, h *History, topic string, from routing.Position) (places string, ends routing.Position, err error) {
	t.Helper()
	missed, err := h.Since(t.Context(), routing.Feed{Topic: topic}, from)
	if err != nil {
		return "", nil, err
	}
	defer missed.Release()
	var some []string
	for _, e := range missed.Events {
		some = append(some, fmt.Sprintf("%d/%d", e.At.Partition, e.At.Offset))
	}
	slices.SortStableFunc(some, func(a, b string) int { return strings.Compare(a[:1], b[:1]) })
	return strings.Join(some, " "), missed.Ends, nil
}

// Who follows a whole topic gets what has happened in each of its partitions since it was
// there, be it without a key, and of one that is newer everything. All of it together is
// bounded, and a position is that of every partition or none.
func TestHistoryOfAll(t *testing.T) {
	k := newKafka(t)
	topic := k.topic(t, "all", 3)
	var records []*kgo.Record
	for partition := range int32(3) {
		for _, r := range eventsAbout(topic, 500, "a", "b", "") {
			r.Partition = partition
			records = append(records, r)
		}
	}
	k.write(t, records...)
	h, seen := newHistory(t, k, HistoryOptions{})
	ends, err := h.Ends(t.Context(), topic)
	if want := (routing.Position{0: 500, 1: 500, 2: 500}); err != nil || !maps.Equal(ends, want) {
		t.Fatalf("it ends at %v, %v", ends, err)
	}
	for _, c := range []struct {
		from routing.Position
		want string
	}{
		{routing.Position{0: 498, 1: 500, 2: 497}, "0/498 0/499 2/497 2/498 2/499"},
		{ends, ""},
	} {
		if got, to, err := all(t, h, topic, c.from); err != nil || got != c.want || !maps.Equal(to, ends) {
			t.Errorf("from %v: got %q to %v, %v", c.from, got, to, err)
		}
	}
	if got, _, err := all(t, h, topic, routing.Position{0: 500, 1: 500}); err != nil || strings.Count(got, " ") != 499 {
		t.Errorf("of a new partition: got %q, %v", got, err)
	}
	for what, from := range map[string]routing.Position{
		"1,001 events, where 1,000 may be":     {0: 0, 1: 0, 2: 499},
		"a position that is not there yet":     {0: 500, 1: 501, 2: 500},
		"one of a partition that is not there": {0: 500, 1: 500, 2: 500, 3: 0},
	} {
		if got, _, err := all(t, h, topic, from); err == nil {
			t.Errorf("%s: %q", what, got)
		}
	}
	if whole, lost, beyond := seen.get("whole"), seen.get("lost"), seen.get("beyond"); whole != 3 || lost != 2 || beyond != 1 || h.held.Load() != 0 {
		t.Errorf("%d whole, %d lost, %d beyond, %d bytes held", whole, lost, beyond, h.held.Load())
	}
}
