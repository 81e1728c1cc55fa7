package client

import (
	"testing"
	"time"
)

// A node dies: its client tries each of the nodes that it knows almost at once, and only
// then waits longer and longer. A gateway that closes the socket itself is given time.
func TestEachNodeIsTriedAtOnce(t *testing.T) {
	died := ended{code: lostCode, died: true}
	for _, tt := range []struct {
		nodes, prompt int
	}{{1, 1}, {2, 2}, {3, 3}, {9, promptTries}} {
		c := &Client{o: Options{URLs: make([]string, tt.nodes)}.withDefaults()}
		for range 200 {
			c.keeper = keeper{}
			for i := range tt.prompt {
				if wait := c.pause(resume, died); wait >= promptly {
					t.Fatalf("%d nodes: try %d waits %v", tt.nodes, i, wait)
				}
			}
			for n := range 3 {
				if c.losses != n {
					t.Fatalf("%d nodes: %d losses, want %d", tt.nodes, c.losses, n)
				}
				if wait := c.pause(resume, died); wait >= c.o.BackoffFirst<<n {
					t.Fatalf("%d nodes: loss %d waits %v", tt.nodes, n, wait)
				}
			}
		}
		c.pause(resume, ended{code: lostCode, died: true, lived: c.o.Steady})
		if c.prompt != 1 || c.losses != 0 {
			t.Errorf("a steady socket left %d tries, %d losses", c.prompt, c.losses)
		}
	}
	c := &Client{o: Options{URLs: make([]string, 3)}.withDefaults()}
	if c.pause(resume, ended{code: 1012}); c.losses != 1 || c.prompt != 0 {
		t.Error("a socket that was closed is tried at once")
	}
	if wait := c.pause(later, ended{code: 1013}); wait < 10*time.Second {
		t.Errorf("a crowded node is tried after %v", wait)
	}
}
