package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"parley/ws/client"
)

// Clients read streams whose parts land on every partition of the reply topic. In the
// middle of them the node that has their sessions is killed: they go on at another
// one, and every part comes to each of them, in order, once, and then the answer.
func TestStreamsOverAKilledNode(t *testing.T) {
	c := newCluster(t, map[string]string{"echo": "murmur2"})
	c.flags = []string{"--streams.gap=30s"} // the lease of these nodes is long
	c.demo(map[string]string{"echo": c.topic("echo")})
	a, b := c.start("a"), c.start("b")
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()

	const readers, parts, killAt = 6, 300, 60
	var reading sync.WaitGroup
	var arrived sync.WaitGroup // at killAt
	arrived.Add(readers)
	for i := range readers {
		reading.Go(func() {
			o := client.Options{URLs: []string{socketOf(a), socketOf(b)}}
			if err := readStream(ctx, o, i, parts, killAt, arrived.Done); err != nil {
				t.Errorf("reader %d: %v", i, err)
			}
		})
	}
	arrived.Wait()
	a.signal(syscall.SIGKILL)
	<-a.exited
	reading.Wait()
	b.await(t, "idle", func() bool { return b.metric(t, "parley_open_requests") == 0 })
	for _, drop := range []string{"gap", "no_credit", "after_final", "session_gone"} {
		if n := b.metric(t, fmt.Sprintf("parley_drops_total{reason=%q}", drop)); n > 0 {
			t.Errorf("%v parts were dropped: %s", n, drop)
		}
	}
}

func socketOf(p *process) string { return strings.Replace(p.url, "http", "ws", 1) + "/ws" }

// readStream reads one stream to its end, and reports a part at which to do something.
func readStream(ctx context.Context, o client.Options, i, parts, at int, reached func()) error {
	reached = sync.OnceFunc(reached)
	defer reached()
	c, err := client.Dial(ctx, o)
	if err != nil {
		return err
	}
	defer c.Close(context.Background())
	headers := map[string]string{"x-demo-parts": fmt.Sprint(parts), "x-demo-delay": "5ms"}
	if i%2 == 0 {
		headers["x-demo-anywhere"] = "1"
	}
	next := 0
	for part, err := range c.Stream(ctx, "echo", []byte("7"), client.CallOptions{Headers: headers, Window: 8}) {
		want := fmt.Sprintf(`{"part":%d,"of":%d}`, next+1, parts)
		if next == parts {
			want = "7"
		}
		if err != nil || string(part.Data) != want || part.Final != (next == parts) {
			return fmt.Errorf("instead of part %d: %s, %w", next, part.Data, err)
		}
		if next++; next == at {
			reached()
		}
	}
	if next != parts+1 {
		return errors.New("the stream has ended early")
	}
	return nil
}
