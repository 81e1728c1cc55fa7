package main

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// Nodes start before their Kafka does; later it crashes and comes back, and
// freezes and comes back. No node is started again, no socket is closed, and
// every request has one outcome, which is true.
func TestKafkaComesAndGoes(t *testing.T) {
	_, redis := realServers(t)
	kafka := newOwnServer(t, "kafka")
	c := clusterOn(t, kafka.address, redis, map[string]string{"same": "murmur2"})
	// What was accepted before a crash is to be answered after it, however slow the machine.
	c.flags = []string{"--kafka.delivery_timeout=3s", "--services.same.timeout=4m"}
	c.launch("a")
	c.launch("b")
	for _, p := range c.nodes {
		p.await(t, "alive", func() bool { return p.status("/healthz") == http.StatusOK })
		p.awaitUnready(t, "kafka", "partitions")
	}
	early := newTraffic(c, "same")
	for _, o := range early.through(0, "same") {
		if took := o.ended.Sub(o.begun); o.word != "unavailable" || o.certainty != "not_sent" || took > 5*time.Second {
			t.Errorf("with no Kafka yet: %v", o)
		}
	}

	kafka.start()
	c.awaitReady()
	c.serve("same", byPartition, transforms["same"])
	early.start(50 * time.Millisecond)
	early.await("answered", 20, isOK)
	early.end()
	early.honest()

	t.Run("it crashes", func(t *testing.T) { kafkaAway(c.in(t), kafka.kill, kafka.start) })
	t.Run("it freezes", func(t *testing.T) { kafkaAway(c.in(t), kafka.freeze, kafka.thaw) })
	if open := c.metric("parley_open_requests"); open != 0 {
		t.Errorf("%v requests are still open", open)
	}
	c.neverDropped("unknown_request", "no_correlation", "too_large", "session_gone")
}

// in is the cluster in a subtest.
func (c *cluster) in(t *testing.T) *cluster {
	sub := *c
	sub.t = t
	return &sub
}

// kafkaAway puts a load on the nodes, takes Kafka away until its clients have
// felt it, and wants all to be well when it is back.
func kafkaAway(c *cluster, away, back func()) {
	c.t.Helper()
	w := newTraffic(c, "same").start(50 * time.Millisecond)
	w.await("answered", 10, isOK)
	away()
	w.await("unavailable", 10, isUnavailable)
	for _, p := range c.nodes {
		if p.status("/healthz") != http.StatusOK {
			c.t.Errorf("node %s is not alive", p.name)
		}
	}
	gone := time.Now()
	back()
	c.awaitReady()
	returned := time.Now()
	after := func(o outcome) bool { return o.begun.After(returned) }
	w.await("answered after Kafka's return", 20, func(o outcome) bool { return isOK(o) && after(o) })
	c.t.Logf("%v from Kafka's start to ready nodes, %v to answers", returned.Sub(gone).Round(time.Millisecond), time.Since(gone).Round(time.Millisecond))
	for _, o := range w.end() {
		if o.word != "ok" && after(o) {
			c.t.Errorf("although the nodes were ready again: %v", o)
		}
	}
	w.honest()
}

func (c *cluster) neverDropped(reasons ...string) {
	c.t.Helper()
	for _, reason := range reasons {
		if n := c.metric(`parley_drops_total{reason="` + reason + `"}`); n != 0 {
			c.t.Errorf("%v replies were dropped as %s", n, reason)
		}
	}
}

// Nodes start before their Redis does; later it crashes and comes back, with
// its data and without, and freezes. What needs no relay is answered all the
// while, what needs one is answered afterwards, all of it once.
func TestRedisComesAndGoes(t *testing.T) {
	kafka, _ := realServers(t)
	redis := newOwnServer(t, "redis")
	c := clusterOn(t, kafka, redis.address, map[string]string{"home": "murmur2", "far": "any", "mute": "murmur2"})
	c.launch("a")
	c.launch("b")
	for _, p := range c.nodes {
		p.await(t, "a member of the group", func() bool { return p.metric(t, "parley_owned_partitions") > 0 })
		p.awaitUnready(t, "table")
	}
	c.serve("home", byKey, transforms["same"])
	c.serve("far", atRandom, transforms["same"])
	c.settled(12)

	early := newTraffic(c, "home").start(20 * time.Millisecond)
	waiting := newTraffic(c, "far").start(50 * time.Millisecond)
	early.await("answered without Redis", 50, isOK)
	c.awaitWaiting(waiting)
	redis.start()
	c.awaitReady()
	waiting.await("answered with Redis", 20, isOK)
	early.end()
	waiting.end()
	c.allAnswered(early, waiting)

	t.Run("it crashes", func(t *testing.T) { redisAway(c.in(t), redis.kill, redis.start, false) })
	t.Run("it freezes", func(t *testing.T) { redisAway(c.in(t), redis.freeze, redis.thaw, false) })
	t.Run("it is emptied", func(t *testing.T) {
		redisAway(c.in(t), redis.kill, func() { redis.forget(); redis.start() }, true)
	})
	// Nodes read replies again that a Redis with less in it may have lost. Those of
	// sessions that have ended by then are unknown.
	c.neverDropped("no_correlation", "too_large", "late")
}

// redisAway takes Redis away under load, measures how requests that do not need
// it fare meanwhile, and wants everything to be answered when it is back. What
// is on its way through Redis when that is emptied is lost, so that such
// requests are begun when it is away already.
func redisAway(c *cluster, away, back func(), emptied bool) {
	c.t.Helper()
	home, far := newTraffic(c, "home").start(20*time.Millisecond), newTraffic(c, "far")
	w := newTraffic(c, "mute")
	go w.once("v1", "mute", w.socketCall(w.sockets[1])) // nobody serves it: it stays open
	if !emptied {
		far.start(50 * time.Millisecond)
		far.await("answered before", 10, isOK)
	}
	home.await("answered before", 50, isOK)
	away()
	gone := time.Now()
	if emptied {
		far.start(50 * time.Millisecond)
	}
	c.awaitWaiting(far)
	// All leases have lapsed by then.
	home.await("answered without Redis", 20, func(o outcome) bool { return isOK(o) && o.begun.After(gone.Add(2*time.Second)) })
	back()
	returned := time.Now()
	c.awaitReady()
	far.await("answered after Redis's return", 20, func(o outcome) bool { return isOK(o) && o.begun.After(returned) })
	home.end()
	far.end()
	c.allAnswered(home, far)
	home.pauses(gone, returned)
	c.awaitRow("mute")
}

// awaitWaiting waits until replies wait for Redis: what clients have not got,
// and Kafka is not told to forget.
func (c *cluster) awaitWaiting(w *traffic) {
	c.t.Helper()
	c.nodes[0].await(c.t, "one of which replies wait for Redis", func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.begun-len(w.done) >= 20 && c.metric("parley_uncommitted_replies") >= 20
	})
}

// allAnswered wants every request of loads that have ended to be answered.
func (c *cluster) allAnswered(loads ...*traffic) {
	c.t.Helper()
	for _, w := range loads {
		for _, o := range w.done {
			if !isOK(o) {
				c.t.Errorf("not answered: %v", o)
			}
		}
	}
}

// pauses wants answers to have kept coming: in each door, no longer pause
// between two than a moment.
func (w *traffic) pauses(from, to time.Time) {
	t := w.c.t
	t.Helper()
	for _, door := range doorNames {
		ends := []time.Time{from, to}
		var took []time.Duration
		for _, o := range w.done {
			if o.door == door && o.ended.After(from) && o.ended.Before(to) {
				ends = append(ends, o.ended)
				took = append(took, o.ended.Sub(o.begun))
			}
		}
		slices.SortFunc(ends, time.Time.Compare)
		slices.Sort(took)
		longest := time.Duration(0)
		for i := range ends[1:] {
			longest = max(longest, ends[i+1].Sub(ends[i]))
		}
		t.Logf("%s without Redis for %v: %d answers, half of them within %v, the slowest took %v, longest pause %v", door,
			to.Sub(from).Round(time.Millisecond), len(took), took[len(took)/2], took[len(took)-1], longest)
		if longest > 2*time.Second {
			t.Errorf("%s: no answer came for %v while Redis was away", door, longest)
		}
	}
}

// awaitRow waits until Redis has a session that says it waits for a service.
func (c *cluster) awaitRow(service string) {
	c.t.Helper()
	client := redis.NewClient(&redis.Options{Addr: c.redis})
	defer client.Close()
	c.nodes[0].await(c.t, "one whose rows are in Redis", func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		for keys := client.Scan(ctx, 0, "parley:{*}", 1000).Iterator(); keys.Next(ctx); {
			fields, _ := client.HGetAll(ctx, keys.Val()).Result() // other kinds of keys answer an error
			for field, value := range fields {
				if strings.HasPrefix(field, "r:") && strings.HasPrefix(value, service+" ") {
					return true
				}
			}
		}
		return false
	})
}

// A node that may not make topics ends, and names all that are missing: those of services,
// of events, of views and of subscriptions.
func TestMissingTopics(t *testing.T) {
	kafka, redis := realServers(t)
	c := clusterOn(t, kafka, redis, map[string]string{"one": "murmur2", "two": "any"})
	c.flags = []string{"--kafka.create_topics=false"}
	c.extra = fmt.Sprintf("  done: {topic: %s, answer: {events: {topic: %s, until: 'true'}}}\n  newest: {answer: {view: {topic: %s}}}\nsubscriptions: {topics: [%s]}\n",
		c.topic("done"), c.topic("events"), c.topic("states"), c.topic("news"))
	p := c.launch("a")
	select {
	case <-p.exited:
	case <-time.After(30 * time.Second):
		t.Fatalf("the node goes on:\n%s", p.output)
	}
	if code := p.cmd.ProcessState.ExitCode(); code != 1 {
		t.Errorf("exit code %d, want 1", code)
	}
	for _, topic := range []string{c.prefix + ".replies", c.topic("one"), c.topic("two"), c.topic("done"), c.topic("events"), c.topic("states"), c.topic("news")} {
		if !strings.Contains(p.output.String(), topic) {
			t.Errorf("the missing topic %s is not named:\n%s", topic, p.output)
		}
	}
}
