package client_test

import (
	"testing"
	"testing/synctest"
	"time"

	"parley/routing"
	"parley/ws/client"
)

// A client collects what was asked elsewhere, parts and all, and makes a request once
// however often it asks under one key.
func TestAttach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		g := newNode(t, n, "a", newTable())
		c := dial(t, n.options("a"))
		id, _ := g.router.Keep(t.Context(), &routing.Call{Door: routing.DoorHTTP, Service: "stream"}, nil)
		var parts []string
		reply, err := c.Attach(t.Context(), string(id), client.CallOptions{OnPart: func(p client.Part) { parts = append(parts, string(p.Data)) }})
		same(t, "attach", fate(reply, err), "3")
		same(t, "parts", len(parts), 2)
		same(t, "unknown", fate(c.Attach(t.Context(), "nonsense", client.CallOptions{})), "unknown_request not_sent")
		before := g.topics.count()
		for range 3 {
			same(t, "keyed", fate(c.Call(t.Context(), "echo", []byte(`7`), client.CallOptions{IdempotencyKey: "k"})), "7")
		}
		same(t, "requests", g.topics.count()-before, 1)
	})
}

// A client's session is gone while it waits: what it asked under a key it asks again
// in the next session, and gets the answer of the first request; the rest is lost.
func TestKeyOutlivesTheSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		table := newTable()
		g := newNode(t, n, "a", table)
		c := dial(t, n.options("a"))
		keyed, plain := make(chan string, 1), make(chan string, 1)
		go func() {
			keyed <- fate(c.Call(t.Context(), "late", []byte(`1`), client.CallOptions{IdempotencyKey: "k"}))
		}()
		go func() { plain <- fate(c.Call(t.Context(), "silent", nil, client.CallOptions{})) }()
		time.Sleep(time.Second)
		synctest.Wait()
		id := g.topics.seen[0].ID
		if g.topics.seen[0].Service.Name != "late" {
			id = g.topics.seen[1].ID
		}
		table.mu.Lock()
		clear(table.sessions)
		table.mu.Unlock()
		g.router.Removed()
		same(t, "plain", <-plain, "session_gone unknown")
		time.Sleep(30 * time.Second)
		g.reply(id, `"yes"`)
		same(t, "keyed", <-keyed, `"yes"`)
		same(t, "requests", g.topics.count(), 2)
	})
}
