package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// checkoutCluster prepares three nodes whose service checkout is answered by events,
// and the pipeline that tells them.
func checkoutCluster(t *testing.T) *cluster {
	c := newCluster(t, map[string]string{"echo": "murmur2"})
	c.extra = fmt.Sprintf("  checkout: {topic: %s, timeout: 60s, answer: {events: {topic: %s, key: %s, until: %q}}}\n",
		c.topic("checkout"), c.topic("events"), checkoutKey, checkoutUntil)
	for _, name := range []string{"a", "b", "c"} {
		c.launch(name)
	}
	c.awaitReady()
	line, err := newPipeline(c.topic("checkout"), c.topic("events"), slog.New(slog.DiscardHandler), kgo.SeedBrokers(c.kafka), kgo.ConsumerGroup(c.prefix+".pipeline"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { line.run(ctx) })
	t.Cleanup(func() { cancel(); running.Wait() })
	return c
}

// unrelated writes events that concern nobody, so many a second, until the test
// ends, and counts them.
func (c *cluster) unrelated(aSecond int) *atomic.Int64 {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	written := new(atomic.Int64)
	running.Go(func() {
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for begun := time.Now(); ctx.Err() == nil; <-tick.C {
			for due := int64(time.Since(begun).Seconds() * float64(aSecond)); written.Load() < due; written.Add(1) {
				n := written.Load()
				c.client.Produce(ctx, &kgo.Record{
					Topic: c.topic("events"), Key: fmt.Appendf(nil, "x-%d", n),
					Value: fmt.Appendf(nil, `{"order":"x-%d","state":"PACKED","customer":"c-1","items":[{"sku":"tea","quantity":2}],"total":"12.40"}`, n),
				}, nil)
			}
		}
	})
	c.t.Cleanup(func() { cancel(); running.Wait() })
	return written
}

// Orders are checked while 100,000 events a minute go by that concern nobody, and a
// node is killed in the midst of it. Every request has the event about its own order
// as its one outcome, whichever node consumed it.
func TestAnswersAmongEvents(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a while")
	}
	c := checkoutCluster(t)
	written := c.unrelated(100_000 / 60)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var calling sync.WaitGroup
	var validated, failed atomic.Int64
	until := time.Now().Add(20 * time.Second)
	for i := range 16 {
		s, err := dial(ctx, c.nodes[i%2], i%4 < 2)
		if err != nil {
			t.Fatal(err)
		}
		calling.Go(func() {
			for n := 0; time.Now().Before(until); n++ {
				order, customer := fmt.Sprintf("o-%d-%d", i, n), "c-1"
				if n%3 == 0 {
					customer = "nobody"
				}
				got, err := s.call(ctx, "checkout", fmt.Appendf(nil, `{"order":%q,"customer":%q,"items":[{"sku":"tea","quantity":1}]}`, order, customer))
				if err != nil {
					t.Errorf("%s: %v", order, err)
					return
				}
				var m struct {
					Result struct{ Order, State string } `json:"result"`
				}
				_ = json.Unmarshal(got, &m)
				switch {
				case m.Result.Order == order && m.Result.State == "VALIDATED" && customer == "c-1":
					validated.Add(1)
				case m.Result.Order == order && m.Result.State == "FAILED" && customer == "nobody":
					failed.Add(1)
				default:
					t.Errorf("%s of %s got %s", order, customer, got)
				}
			}
			if len(s.strange) > 0 {
				t.Errorf("nobody waited for %s", s.strange)
			}
		})
	}
	c.nodes[0].await(t, "in the midst of it", func() bool { return written.Load() > 12_000 && validated.Load() > 0 && failed.Load() > 0 })
	c.nodes[2].signal(syscall.SIGKILL)
	calling.Wait()
	t.Logf("%d validated, %d failed, %d unrelated events", validated.Load(), failed.Load(), written.Load())
	if validated.Load() == 0 || failed.Load() == 0 || written.Load() < 30_000 {
		t.Error("that is too few")
	}
	if strange := c.metric(`parley_events_total{fate="condition_failed"}`) + c.metric(`parley_events_total{fate="not_json"}`); strange != 0 {
		t.Errorf("%v strange events", strange)
	}
	c.nodes = c.nodes[:2]
	if open := c.metric("parley_open_requests"); open != 0 {
		t.Errorf("%v requests are still open", open)
	}
}
