package main

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	crowdOf    = 10_000 // requests that wait for one event
	crowdAtOne = 12     // that are made, or collected, at a time
	crowdBytes = 128 << 20
)

// each does something for all of a crowd, so many at a time.
func each(do func(n int)) {
	var all sync.WaitGroup
	var next atomic.Int64
	for range crowdAtOne {
		all.Go(func() {
			for n := next.Add(1) - 1; n < crowdOf; n = next.Add(1) - 1 {
				do(int(n))
			}
		})
	}
	all.Wait()
}

// Ten thousand requests are kept that wait for an event about one and the same entity,
// which comes once. Each has it as its answer, or was refused by name; a bystander notices
// nothing, and the node's memory stays within bounds.
func TestManyKeptForOneEvent(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a while")
	}
	c := newCluster(t, map[string]string{"same": "murmur2"})
	c.extra = fmt.Sprintf("  checkout: {topic: %s, wait: true, answer: {events: {topic: %s, key: request.order, until: 'event.state == \"DONE\"'}}}\n", c.topic("checkout"), c.topic("events"))
	c.createTopic(c.topic("events"), 4, nil)
	c.serve("same", byKey, transforms["same"])
	node := c.start("a")
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	at := make([]string, crowdOf)
	var kept, refused, answered atomic.Int64
	c.watched(func() {
		began := time.Now()
		each(func(n int) {
			got, err := node.ask(ctx, "POST", "/services/checkout", `{"order":"o-1"}`, "Prefer: respond-async", "content-type: application/json")
			switch {
			case err == nil && got.status == 202:
				at[n] = got.header.Get("Location")
				kept.Add(1)
			case err == nil && got.status == 503:
				wantProblem(t, got.status, got.body, 503, "overloaded", "not_sent")
				refused.Add(1)
			default:
				t.Errorf("request %d: %d %s, %v", n, got.status, got.body, err)
			}
		})
		t.Logf("%d kept, %d refused in %v", kept.Load(), refused.Load(), time.Since(began))
		began = time.Now()
		event := &kgo.Record{Topic: c.topic("events"), Key: []byte("o-1"), Value: []byte(`{"order":"o-1","state":"DONE"}`)}
		if err := c.client.ProduceSync(ctx, event).FirstErr(); err != nil {
			t.Fatal(err)
		}
		each(func(n int) {
			if at[n] == "" {
				return
			}
			got, err := node.ask(ctx, "GET", at[n]+"?wait=60", "")
			if err != nil || got.status != 200 || got.body != string(event.Value) {
				t.Errorf("request %d: %d %s, %v", n, got.status, got.body, err)
				return
			}
			answered.Add(1)
		})
		t.Logf("%d answered, and collected, in %v", answered.Load(), time.Since(began))
	})
	if answered.Load() != kept.Load() || kept.Load() == 0 {
		t.Errorf("%d of %d are answered", answered.Load(), kept.Load())
	}
	if heap := node.metric(t, "go_memstats_heap_alloc_bytes"); heap > crowdBytes {
		t.Errorf("%.0f bytes of heap", heap)
	} else {
		t.Logf("%.1f MiB of heap", heap/(1<<20))
	}
}
