package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"parley/ws/client"
)

// checkoutCluster prepares three nodes whose service checkout is answered by events,
// and the pipeline that tells them.
func checkoutCluster(t *testing.T) *cluster {
	c := newCluster(t, map[string]string{"echo": "murmur2"})
	c.extra = fmt.Sprintf("  checkout: {topic: %s, timeout: 60s, answer: {events: {topic: %s, key: %s, until: %q}}}\n",
		c.topic("checkout"), c.topic("events"), checkoutKey, checkoutUntil) +
		fmt.Sprintf("  status: {answer: {view: {topic: %s, until: %s}}}\n", c.topic("events"), statusUntil)
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

// Requests of a service that events answer are taken to be collected later, and the
// node that took them is killed. Each has the event about its own order at every other
// node: over HTTP, under its idempotency key, and on a socket.
func TestKeptCheckoutsOutliveTheirNode(t *testing.T) {
	c := checkoutCluster(t)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	taker, others := c.nodes[2], c.nodes[:2]
	body := func(n int) string {
		return fmt.Sprintf(`{"order":"o-%d","customer":"c-1","items":[{"sku":"tea","quantity":1}]}`, n)
	}
	var at []string
	for n := range 24 {
		got, err := taker.ask(ctx, "POST", "/services/checkout", body(n), "Prefer: respond-async", fmt.Sprintf("Idempotency-Key: k-%d", n))
		if err != nil || got.status != 202 {
			t.Fatalf("%d %v: %s", got.status, err, got.body)
		}
		at = append(at, got.header.Get("Location"))
	}
	taker.signal(syscall.SIGKILL)
	<-taker.exited
	bodies := make([]string, len(at))
	for n, at := range at {
		got, err := others[n%2].ask(ctx, "GET", at+"?wait=60s", "")
		var event orderEvent
		_ = json.Unmarshal([]byte(got.body), &event)
		if err != nil || got.status != 200 || event.Order != fmt.Sprintf("o-%d", n) || event.State != "VALIDATED" {
			t.Errorf("request %d: %d %v: %s", n, got.status, err, got.body)
		}
		again, err := others[(n+1)%2].ask(ctx, "POST", "/services/checkout", body(n), fmt.Sprintf("Idempotency-Key: k-%d", n))
		if err != nil || again.status != 200 || again.body != got.body {
			t.Errorf("request %d again: %d %v: %s, not %s", n, again.status, err, again.body, got.body)
		}
		bodies[n] = got.body
	}
	attach(t, ctx, others[0], strings.TrimPrefix(at[7], "/requests/"), bodies[7])
	if got, err := others[0].ask(ctx, "POST", "/services/checkout", body(99), "Idempotency-Key: k-0"); err != nil || got.status != 422 {
		t.Errorf("another order under a key: %d %v: %s", got.status, err, got.body)
	}
}

// Who makes an order at one node reads what has become of it at another: it waits there
// until the order is decided, whether it asks before there is an order or after, over HTTP
// or on a socket.
func TestReadYourOwnWrite(t *testing.T) {
	c := checkoutCluster(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var sockets []*client.Client
	for _, p := range c.nodes {
		s, err := client.Dial(ctx, client.Options{URLs: []string{p.url + "/ws"}})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = s.Close(context.Background()) }()
		sockets = append(sockets, s)
	}
	var all sync.WaitGroup
	for n := range 20 {
		order, customer, state := fmt.Sprintf("o-%d", n), "c-1", "VALIDATED"
		if n%3 == 0 {
			customer, state = "nobody", "FAILED"
		}
		all.Go(func() {
			var reading sync.WaitGroup
			read := func(p *process, name string, status int) {
				got, err := p.ask(ctx, "GET", "/services/status/"+order+"?until="+name, "", "Prefer: wait=10")
				var event orderEvent
				_ = json.Unmarshal([]byte(got.body), &event)
				if err != nil || got.status != status || status == 200 && (event.State != state || event.Order != order) {
					t.Errorf("%s until %s: %d %v: %s", order, name, got.status, err, got.body)
				}
			}
			reading.Go(func() { read(c.nodes[n%3], "decided", 200) })
			reading.Go(func() {
				got, err := sockets[(n+1)%3].Call(ctx, "status", nil, client.CallOptions{Key: order, Until: "decided", Wait: 10 * time.Second})
				var event orderEvent
				_ = json.Unmarshal(got.Result, &event)
				if err != nil || event.State != state || event.Order != order || !strings.Contains(string(got.Meta), `"etag"`) {
					t.Errorf("%s on a socket: %v: %s %s", order, err, got.Result, got.Meta)
				}
			})
			body := fmt.Sprintf(`{"order":%q,"customer":%q,"items":[{"sku":"tea","quantity":1}]}`, order, customer)
			if got, err := c.nodes[n%3].ask(ctx, "POST", "/services/checkout", body, "Prefer: respond-async"); err != nil || got.status != 202 {
				t.Errorf("%s: %d %v: %s", order, got.status, err, got.body)
			}
			read(c.nodes[(n+1)%3], "decided", 200)
			read(c.nodes[(n+2)%3], "validated", map[string]int{"VALIDATED": 200, "FAILED": 504}[state])
			reading.Wait()
			read(c.nodes[n%3], "no-such-condition", 400)
		})
	}
	all.Wait()
}

// Callers wait at a node for an order that is not there yet, and the node is stopped. Over
// HTTP they are told at once to ask elsewhere; who waits by a client, in Go or JavaScript,
// notices nothing, and has the order when another node has it.
func TestReadersOutliveADrain(t *testing.T) {
	c := checkoutCluster(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	leaves, stays := c.nodes[0], c.nodes[1]
	s, err := client.Dial(ctx, client.Options{URLs: []string{leaves.url + "/ws", stays.url + "/ws"}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close(context.Background()) }()
	var reading sync.WaitGroup
	reading.Go(func() {
		got, err := s.Call(ctx, "status", nil, client.CallOptions{Key: "o-1", Until: "decided", Wait: 45 * time.Second})
		if err != nil || !strings.Contains(string(got.Result), "VALIDATED") {
			t.Errorf("on a socket: %v: %s", err, got.Result)
		}
	})
	waiting := 2.0 // on the socket, and over HTTP
	if dir := os.Getenv("PARLEY_TEST_OTHERS"); dir != "" {
		waiting++
		script := copyInto(t, dir, "waiting.mjs")
		reading.Go(func() {
			page := exec.CommandContext(ctx, "node", script, "../../web/client/parley.js", "o-1", leaves.url+"/ws", stays.url+"/ws")
			if out, err := page.CombinedOutput(); err != nil || !strings.HasSuffix(strings.TrimSpace(string(out)), "-"+stays.name) {
				t.Errorf("in JavaScript: %v: %s", err, out)
			}
		})
	}
	told := make(chan time.Time, 1)
	reading.Go(func() {
		got, err := leaves.ask(ctx, "GET", "/services/status/o-1?until=decided", "", "Prefer: wait=45")
		if told <- time.Now(); err != nil || got.status != 503 || !strings.Contains(got.body, `"not_sent","retry":true`) {
			t.Errorf("over HTTP: %d %v: %s", got.status, err, got.body)
		}
	})
	watchers := fmt.Sprintf("parley_view_watchers{topic=%q}", c.topic("events"))
	leaves.await(t, "waited at", func() bool { return leaves.metric(t, watchers) == waiting })
	stopped := time.Now()
	leaves.signal(syscall.SIGTERM)
	if after := (<-told).Sub(stopped); after > 2*time.Second {
		t.Errorf("told over HTTP after %v", after)
	}
	<-leaves.exited
	if got, err := stays.ask(ctx, "POST", "/services/checkout", `{"order":"o-1","customer":"c-1","items":[{"sku":"tea","quantity":1}]}`); err != nil || got.status != 200 {
		t.Errorf("%d %v: %s", got.status, err, got.body)
	}
	reading.Wait()
}
