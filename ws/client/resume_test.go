package client_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"parley/routing"
	"parley/ws/client"
)

// A socket is lost while a service thinks: the reply comes on the next one.
func TestReplyAfterLoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		g := newNode(t, n, "a", newTable())
		c := dial(t, n.options("a"))
		session := c.Session()
		call := start(t.Context(), c, "silent", `1`, client.CallOptions{})
		synctest.Wait()
		n.away("a", true)
		c.Drop()
		synctest.Wait()
		same(t, "state", c.State(), client.Waiting)
		g.reply(g.topics.last(), `"late"`)
		n.away("a", false)
		same(t, "outcome", <-call, `"late"`)
		same(t, "session", c.Session(), session)
	})
}

// A socket is lost after a reply has arrived and before that was acknowledged:
// it comes again, and the caller does not see it.
func TestDuplicateIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		newNode(t, n, "a", newTable())
		var replies atomic.Int32
		var resumed atomic.Bool
		o := n.options("a")
		o.Events = func(e client.Event) {
			switch {
			case e.Kind == client.EventReceived && bytes.Contains(e.Frame, []byte(`"result":"x"`)):
				replies.Add(1)
			case e.Kind == client.EventWelcome:
				resumed.Store(e.Resumed)
			}
		}
		c := dial(t, o)
		same(t, "outcome", fate(c.Call(t.Context(), "echo", []byte(`"x"`), client.CallOptions{})), `"x"`)
		c.Drop()
		time.Sleep(2 * time.Second)
		same(t, "resumed", resumed.Load(), true)
		same(t, "on the wire", replies.Load(), 2)
		c.Drop() // now it is acknowledged
		time.Sleep(2 * time.Second)
		same(t, "on the wire", replies.Load(), 2)
	})
}

// faulty is a connection with faults.
type faulty struct {
	net.Conn
	swallow atomic.Bool // what is written gets nowhere, and nobody is told
	refuse  atomic.Bool // it cannot be written to
}

func (f *faulty) Write(p []byte) (int, error) {
	switch {
	case f.swallow.Load():
		return len(p), nil
	case f.refuse.Load():
		_ = f.Close()
		return 0, errors.New("broken pipe")
	}
	return f.Conn.Write(p)
}

// faults remembers the newest connection.
type faults struct {
	mu     sync.Mutex
	newest *faulty
}

func (f *faults) wrap(c net.Conn) net.Conn {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.newest = &faulty{Conn: c}
	return f.newest
}

// Requests are written to a socket that dies before they have crossed. Nobody can tell
// from here, but the gateway can: they go by the next socket, in their order, once each.
func TestRequestLostOnItsWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, f := newNetwork(), faults{}
		n.wrap = f.wrap
		g := newNode(t, n, "a", newTable())
		c := dial(t, n.options("a"))
		f.newest.swallow.Store(true)
		var calls []<-chan string
		for _, body := range []string{`1`, `2`, `3`} {
			calls = append(calls, start(t.Context(), c, "echo", body, client.CallOptions{Key: "k"}))
			synctest.Wait()
		}
		c.Drop()
		for i, call := range calls {
			same(t, "outcome", <-call, strconv.Itoa(i+1))
			synctest.Wait()
			same(t, "requests", string(g.topics.seen[i].Call.Body), strconv.Itoa(i+1))
		}
		same(t, "requests", g.topics.count(), 3)
	})
}

// A request that never arrived is not sent again when its time is up, nor behind a later
// one with its key that was made while there was no socket.
func TestRequestNotSentAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, f := newNetwork(), faults{}
		n.wrap = f.wrap
		g := newNode(t, n, "a", newTable())
		o := n.options("a")
		o.BackoffLongest = time.Second // to be back before the client gives up by itself
		c := dial(t, o)
		f.newest.swallow.Store(true)
		short := start(t.Context(), c, "echo", `1`, client.CallOptions{Timeout: time.Second})
		first := start(t.Context(), c, "echo", `2`, client.CallOptions{Key: "k"})
		synctest.Wait()
		n.away("a", true)
		c.Drop()
		time.Sleep(2 * time.Second)
		second := start(t.Context(), c, "echo", `3`, client.CallOptions{Key: "k"})
		n.away("a", false)
		same(t, "outcome", <-short, "unknown_request not_sent")
		want := "3" // where the client had written that before it heard
		if got := <-first; got == "2" {
			want = "23"
		} else {
			same(t, "outcome", got, "unknown_request not_sent")
		}
		same(t, "outcome", <-second, "3")
		var seen string
		for _, q := range g.topics.seen {
			seen += string(q.Call.Body)
		}
		same(t, "requests", seen, want)
	})
}

// A request cannot be written at all: it goes by the next socket, once.
func TestRequestNotWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, f := newNetwork(), faults{}
		n.wrap = f.wrap
		g := newNode(t, n, "a", newTable())
		c := dial(t, n.options("a"))
		f.newest.refuse.Store(true)
		same(t, "outcome", fate(c.Call(t.Context(), "echo", []byte(`1`), client.CallOptions{})), "1")
		same(t, "requests", g.topics.count(), 1)
	})
}

// The gateway has forgotten the session: what was sent fails, what was not goes on.
func TestSessionGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, shared := newNetwork(), newTable()
		newNode(t, n, "a", shared)
		c := dial(t, n.options("a"))
		session := c.Session()
		sent := start(t.Context(), c, "silent", `1`, client.CallOptions{})
		synctest.Wait()
		n.away("a", true)
		c.Drop()
		synctest.Wait()
		waits := start(t.Context(), c, "echo", `2`, client.CallOptions{})
		synctest.Wait()
		for id := range shared.sessions {
			shared.End(id)
		}
		n.away("a", false)
		same(t, "what was sent", <-sent, "session_gone unknown")
		same(t, "what was not", <-waits, "2")
		same(t, "another session", c.Session() == session, false)
	})
}

// The gateway is away for longer than it keeps a session.
func TestSessionExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		newNode(t, n, "a", newTable())
		c := dial(t, n.options("a"))
		sent := start(t.Context(), c, "silent", `1`, client.CallOptions{})
		synctest.Wait()
		n.away("a", true)
		c.Drop()
		began := time.Now()
		same(t, "outcome", <-sent, "session_gone unknown")
		if after := time.Since(began); after < 2*time.Minute || after > 2*time.Minute+21*time.Second {
			t.Errorf("after %s", after)
		}
		n.away("a", false)
	})
}

// Nobody is there: so many calls wait, and one more is refused. Those whose
// caller has gone do not count.
func TestCallsWaitForASocket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		g := newNode(t, n, "a", newTable())
		o := n.options("a")
		o.Waiting = 3
		c := dial(t, o)
		n.away("a", true)
		c.Drop()
		synctest.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		impatient := start(ctx, c, "echo", `0`, client.CallOptions{})
		var calls []going
		for i := range 2 {
			synctest.Wait()
			calls = append(calls, start(t.Context(), c, "echo", fmt.Sprint(i), client.CallOptions{}))
		}
		synctest.Wait()
		same(t, "one too many", fate(c.Call(t.Context(), "echo", nil, client.CallOptions{})), "overloaded not_sent")
		cancel()
		same(t, "impatient", <-impatient, context.Canceled.Error())
		calls = append(calls, start(t.Context(), c, "echo", "2", client.CallOptions{}))
		synctest.Wait()
		n.away("a", false)
		for i, call := range calls {
			same(t, "outcome", <-call, fmt.Sprint(i))
		}
		same(t, "requests", g.topics.count(), 3)
	})
}

// A call is given up while there is no socket: the gateway is told once there is.
func TestCancelWithoutSocket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		g := newNode(t, n, "a", newTable())
		c := dial(t, n.options("a"))
		ctx, cancel := context.WithCancel(t.Context())
		call := start(ctx, c, "silent", `0`, client.CallOptions{})
		synctest.Wait()
		c.Drop()
		synctest.Wait()
		cancel()
		same(t, "outcome", <-call, context.Canceled.Error())
		same(t, "open", g.router.OpenRequests(), 1)
		time.Sleep(time.Second)
		same(t, "open", g.router.OpenRequests(), 0)
	})
}

// A node drains while its clients work: they move to another one, and no call
// sees anything of it.
func TestDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, shared := newNetwork(), newTable()
		a, b := newNode(t, n, "a", shared), newNode(t, n, "b", shared)
		c := dial(t, n.options("a", "b"))
		session := c.Session()
		slow := start(t.Context(), c, "silent", `1`, client.CallOptions{})
		synctest.Wait()
		stop := make(chan struct{})
		var busy sync.WaitGroup
		done := 0
		busy.Go(func() {
			for ; ; done++ {
				select {
				case <-stop:
					return
				case <-time.After(time.Millisecond):
				}
				if got := fate(c.Call(t.Context(), "echo", []byte(`2`), client.CallOptions{})); got != "2" {
					t.Error(got)
				}
			}
		})
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		began := time.Now()
		if err := a.server.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		took := time.Since(began) // whatever moment to leave the client has drawn
		close(stop)
		busy.Wait()
		same(t, "node", c.Node(), "b")
		same(t, "session", c.Session(), session)
		same(t, "calls", done >= int(took/(2*time.Millisecond)), true)
		b.reply(a.topics.seen[0].ID, `"moved"`)
		same(t, "the slow one", <-slow, `"moved"`)
	})
}

// Sockets break all the time, with and without what was written last, while many
// callers work, and some lose patience. Each call ends once, with its own answer
// or an honest error; no request is made twice.
func TestStorm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, f := newNetwork(), faults{}
		n.wrap = f.wrap
		g := newNode(t, n, "a", newTable())
		var late sync.WaitGroup
		g.topics.serve["late"] = func(q *routing.Request) []*routing.Reply {
			late.Go(func() {
				time.Sleep(rand.N(300 * time.Millisecond))
				g.router.Deliver(context.Background(), []*routing.Reply{{ID: q.ID, Final: true, Body: q.Call.Body}})
			})
			return nil
		}
		c := dial(t, n.options("a"))
		stop := make(chan struct{})
		var weather, callers sync.WaitGroup
		weather.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				case <-time.After(rand.N(time.Second)):
				}
				f.mu.Lock()
				newest := f.newest
				f.mu.Unlock()
				switch i % 3 {
				case 0:
					newest.swallow.Store(true)
					time.Sleep(rand.N(50 * time.Millisecond))
				case 1:
					newest.refuse.Store(true)
					time.Sleep(rand.N(50 * time.Millisecond))
				}
				c.Drop()
			}
		})
		var mu sync.Mutex
		fates := make(map[string]int)
		for i := range 50 {
			callers.Go(func() {
				for j := range 100 {
					want := fmt.Sprintf("%d", i*1000+j)
					ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
					if j%10 == 0 {
						cancel()
						ctx, cancel = context.WithTimeout(t.Context(), rand.N(300*time.Millisecond))
					}
					got := fate(c.Call(ctx, []string{"late", "echo"}[j%2], []byte(want), client.CallOptions{}))
					cancel()
					if got == want {
						got = "right"
					}
					mu.Lock()
					fates[got]++
					mu.Unlock()
				}
			})
		}
		callers.Wait()
		close(stop)
		weather.Wait()
		late.Wait()
		made := make(map[string]bool)
		for _, q := range g.topics.seen {
			if body := string(q.Call.Body); made[body] {
				t.Errorf("%s was made twice", body)
			} else {
				made[body] = true
			}
		}
		t.Log(fates)
		same(t, "fates", len(fates), 2)
		same(t, "most were answered", fates["right"] > 4000, true)
		same(t, "some callers left", fates[context.DeadlineExceeded.Error()] > 0, true)
	})
}
