package client_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"parley/ws/client"
)

// A client calls services of all kinds: each call ends with what its service says.
func TestCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		newNode(t, n, "a", newTable())
		o := n.options("a")
		o.Accepted = true
		c := dial(t, o)
		same(t, "node", c.Node(), "a")
		same(t, "state", c.State(), client.Open)

		for _, tt := range []struct{ service, params, want string }{
			{"echo", `{"a": 1}`, `{"a": 1}`},
			{"echo", ``, `null`},
			{"echo", string(client.Bytes([]byte{0, 255})), `{"$bytes":"AP8="}`},
			{"fail", `1`, `service_error done`},
			{"nobody", `1`, `unknown_service not_sent`},
			{"echo", `{"a":`, `invalid_params not_sent`},
			{"echo", "\"\xff\"", `invalid_params not_sent`},
			{"echo", strings.Repeat("[", 64) + strings.Repeat("]", 64), `invalid_params not_sent`},
			{"echo", strings.Repeat("[", 63) + strings.Repeat("]", 63), strings.Repeat("[", 63) + strings.Repeat("]", 63)},
			{"echo", `"` + strings.Repeat("x", 2<<20) + `"`, `too_large not_sent`},
			{"echo", `"` + strings.Repeat("x", 1<<19) + `"`, `"` + strings.Repeat("x", 1<<19) + `"`},
		} {
			var params []byte
			if tt.params != "" {
				params = []byte(tt.params)
			}
			same(t, tt.service+" "+clip(tt.params), clip(fate(c.Call(t.Context(), tt.service, params, client.CallOptions{}))), clip(tt.want))
		}
		b, ok := client.FromBytes(client.Bytes([]byte{0, 255}))
		same(t, "bytes", fmt.Sprint(b, ok), "[0 255] true")
	})
}

func clip(s string) string { return s[:min(len(s), 80)] }

// A caller asks for all that a call can tell.
func TestCallOptions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		g := newNode(t, n, "a", newTable())
		o := n.options("a")
		o.Accepted = true
		c := dial(t, o)
		var heard []string
		reply, err := c.Call(t.Context(), "stream", []byte(`{}`), client.CallOptions{
			Key: "k", Timeout: time.Second, Headers: map[string]string{"x-a": "b\""}, Want: []string{"trace", "headers"},
			OnAccepted: func(request string) { heard = append(heard, "accepted "+request) },
			OnPart:     func(p client.Part) { heard = append(heard, fmt.Sprint(p.N, " ", string(p.Data))) },
		})
		if err != nil {
			t.Fatal(err)
		}
		id := string(g.topics.last())
		same(t, "heard", strings.Join(heard, ", "), "accepted "+id+`, 0 1, 1 {"$bytes":"dHdv"}`)
		same(t, "result", string(reply.Result), "3")
		same(t, "request", reply.Request, id)
		same(t, "trace", strings.Contains(string(reply.Meta), `"trace":{`), true)
		call := g.topics.seen[0].Call
		same(t, "key", string(call.Key), "k")
		same(t, "header", string(call.Headers[0].Value), `b"`)
	})
}

// A caller loses patience: the call returns at once, the gateway is told, and the
// outcome that comes later is nobody's.
func TestContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		g := newNode(t, n, "a", newTable())
		c := dial(t, n.options("a"))
		ctx, cancel := context.WithCancel(t.Context())
		call := start(ctx, c, "silent", `1`, client.CallOptions{})
		synctest.Wait()
		same(t, "open", g.router.OpenRequests(), 1)
		cancel()
		same(t, "outcome", <-call, context.Canceled.Error())
		synctest.Wait()
		same(t, "open", g.router.OpenRequests(), 0)
		same(t, "goes on", fate(c.Call(t.Context(), "echo", []byte(`2`), client.CallOptions{})), "2")
		_, err := c.Call(ctx, "echo", nil, client.CallOptions{})
		same(t, "too late", errors.Is(err, context.Canceled), true)
	})
}

// The service takes too long: the gateway says so. Where the gateway cannot be
// reached, the client does.
func TestTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		newNode(t, n, "a", newTable())
		c := dial(t, n.options("a"))
		began := time.Now()
		o := client.CallOptions{Timeout: 3 * time.Second}
		same(t, "outcome", fate(c.Call(t.Context(), "silent", nil, o)), "timeout unknown")
		same(t, "after", time.Since(began).Round(time.Second), 3*time.Second)

		n.away("a", true)
		c.Drop()
		synctest.Wait()
		began = time.Now()
		same(t, "outcome", fate(c.Call(t.Context(), "silent", nil, o)), "timeout not_sent")
		same(t, "after", time.Since(began), 8*time.Second)
		n.away("a", false)
	})
}

// A notification reaches its service, and nothing comes back.
func TestNotify(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		g := newNode(t, n, "a", newTable())
		c := dial(t, n.options("a"))
		if err := c.Notify("echo", []byte(`1`), client.CallOptions{Key: "k"}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		same(t, "requests", g.topics.count(), 1)
		n.away("a", true)
		c.Drop()
		synctest.Wait()
		same(t, "without a socket", fate(client.Reply{}, c.Notify("echo", []byte(`1`), client.CallOptions{})), "unavailable not_sent")
		n.away("a", false)
	})
}

// Many callers share a client: each gets its own answer.
func TestManyCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		newNode(t, n, "a", newTable())
		c := dial(t, n.options("a"))
		var callers sync.WaitGroup
		for i := range 200 {
			callers.Go(func() {
				for j := range 20 {
					want := fmt.Sprint(i, j)
					if got := fate(c.Call(t.Context(), "echo", []byte(`"`+want+`"`), client.CallOptions{})); got != `"`+want+`"` {
						t.Errorf("got %s, want %s", got, want)
					}
				}
			})
		}
		callers.Wait()
	})
}
