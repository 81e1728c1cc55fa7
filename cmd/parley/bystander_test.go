package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"
)

// badNode is one node with a service that answers and one that a test answers
// by hand, and a bystander that must notice nothing of what is done to it.
func badNode(t *testing.T) (c *cluster, hand *byHand) {
	c = newCluster(t, map[string]string{"same": "murmur2", "hand": "murmur2"})
	// Services may put larger replies into the topic than clients may get.
	c.createTopic(c.prefix+".replies", 4, map[string]string{"max.message.bytes": fmt.Sprint(8 << 20)})
	c.flags = []string{"--sessions.frame=1MiB", "--services.hand.forward_headers=*"}
	c.serve("same", byKey, transforms["same"])
	hand = c.byHand("hand")
	c.start("a")
	c.settled(4)
	return c, hand
}

// watched runs do while a bystander makes requests of the same node, and checks
// that it got its answers as fast as before, and that the node holds nothing of
// what happened afterwards.
func (c *cluster) watched(do func()) {
	t, p := c.t, c.nodes[0]
	t.Helper()
	s, err := dial(t.Context(), p, true)
	if err != nil {
		t.Fatal(err)
	}
	defer s.conn.CloseNow()
	before := c.bystand(s, func(stop chan<- struct{}) {
		c.warm()
		p.await(t, "one with enough requests answered", func() bool { s.mu.Lock(); defer s.mu.Unlock(); return s.next >= 200 })
		close(stop)
	})
	goroutines := c.goroutines()
	meanwhile := c.bystand(s, func(stop chan<- struct{}) { defer close(stop); do() })

	was, now := spread(before), spread(meanwhile)
	t.Logf("a bystander's %d requests: %v; before, %d: %v", len(meanwhile), now, len(before), was)
	for i := range now {
		if limit := 5*was[i] + 25*time.Millisecond; now[i] > limit {
			t.Errorf("a bystander's times have grown: %v, from %v", now, was)
		}
	}
	p.await(t, "idle", func() bool {
		return p.metric(t, "parley_open_requests") == 0 && p.metric(t, "parley_uncommitted_replies") == 0 && p.metric(t, "parley_sockets") == 1
	})
	p.await(t, fmt.Sprintf("back to %d goroutines", goroutines), func() bool { return c.countGoroutines() <= goroutines })
}

// spread is within which time half of the requests were answered, and nine of
// ten, of times that are sorted.
func spread(took []time.Duration) [2]time.Duration {
	if len(took) == 0 {
		return [2]time.Duration{time.Hour, time.Hour}
	}
	return [2]time.Duration{took[len(took)/2], took[len(took)*9/10]}
}

// warm makes what is made once: connections to Kafka and Redis.
func (c *cluster) warm() {
	w := newTraffic(c, "same")
	for _, o := range w.through(0, "same") {
		if !isOK(o) {
			c.t.Errorf("before anything bad: %v", o)
		}
	}
	w.end()
	for _, s := range w.sockets {
		s.conn.CloseNow()
	}
}

// bystand makes one request after the other until stop is closed, and answers
// how long they took, sorted.
func (c *cluster) bystand(s *socket, do func(stop chan<- struct{})) (took []time.Duration) {
	stop := make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() {
		for tick := time.NewTicker(5 * time.Millisecond); ; {
			select {
			case <-stop:
				tick.Stop()
				return
			case <-tick.C:
			}
			begun := time.Now()
			ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
			frame, err := s.call(ctx, "same", []byte(`"bystander"`))
			cancel()
			if err != nil || !bytes.Contains(frame, []byte(`"result":"bystander"`)) {
				c.t.Errorf("a bystander got %s, %v", frame, err)
				return
			}
			took = append(took, time.Since(begun))
		}
	})
	do(stop)
	running.Wait()
	slices.Sort(took)
	return took
}

// goroutines is how many the node has once it has come to rest.
func (c *cluster) goroutines() (n int) {
	c.nodes[0].await(c.t, "at rest", func() bool {
		last := n
		n = c.countGoroutines()
		return n == last
	})
	return n
}

func (c *cluster) countGoroutines() (n int) {
	http.DefaultClient.CloseIdleConnections()
	response, err := http.Get(c.nodes[0].admin + "/debug/pprof/goroutine?debug=1")
	if err != nil {
		c.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	if _, err := fmt.Sscanf(string(text), "goroutine profile: total %d", &n); err != nil {
		c.t.Fatalf("%v in %s", err, tail(string(text), 100))
	}
	return n
}
