package ws

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// parking serves a node over real sockets that are parked when they have been quiet for so
// long.
func parkingRig(t *testing.T, after time.Duration, o Options) (*rig, *httptest.Server) {
	r := newRig(t, o)
	r.server.parkAfter = after
	return r, r.overTCP(false)
}

// parked waits until so many sockets are parked.
func (r *rig) parked(want int) {
	r.t.Helper()
	r.await("sockets parked", want, func() (n int) {
		r.server.each(func(c *conn) {
			c.mu.Lock()
			defer c.mu.Unlock()
			if c.parked {
				n++
			}
		})
		return n
	})
}

// await waits until something can be counted so often: real sockets know no synctest.
func (r *rig) await(what string, want int, count func() int) {
	r.t.Helper()
	var got int
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if got = count(); got == want {
			return
		}
	}
	same(r.t, what, got, want)
}

// text is a message as a client sends it, masked with zeros.
func textFrame(message string) string {
	return "\x81" + string([]byte{0x80 | byte(len(message))}) + "\x00\x00\x00\x00" + message
}

const echo = `{"jsonrpc":"2.0","id":%d,"method":"echo"}`

// A parked socket has no goroutine, and is there as before when its client says something,
// also when there is nothing in the pools.
func TestParkedSocketsHaveNoGoroutine(t *testing.T) {
	r, web := parkingRig(t, 5*time.Millisecond, Options{})
	const sockets = 100
	var all []net.Conn
	for range sockets {
		all = append(all, idleSocket(t, web.Listener.Addr().String()))
	}
	for i := range 3 {
		r.parked(sockets)
		r.await("goroutines of sockets", 0, func() int {
			all := make([]byte, 1<<20)
			return strings.Count(string(all[:runtime.Stack(all, true)]), "ws.(*conn).")
		})
		runtime.GC()
		runtime.GC()
		for _, nc := range all {
			_, _ = io.WriteString(nc, textFrame(fmt.Sprintf(echo, i)))
		}
		for _, nc := range all {
			hear(t, nc, fmt.Sprintf(`"id":%d`, i))
		}
	}
}

// What arrives in the very moment of parking is neither lost nor torn, in however many
// pieces it comes, and the same is true of pings and pongs.
func TestParkingMeetsMessages(t *testing.T) {
	r, web := parkingRig(t, time.Millisecond, Options{Ping: 10 * time.Millisecond})
	var running sync.WaitGroup
	for n := range 20 {
		nc := idleSocket(t, web.Listener.Addr().String())
		seed := rand.New(rand.NewPCG(1, uint64(n)))
		running.Go(func() {
			for i := range 300 {
				_ = nc.SetReadDeadline(time.Now().Add(20 * time.Second))
				pieces := []string{"\x8a\x80\x00\x00\x00\x00", "\x89\x83\x01\x02\x03\x04huh", textFrame(fmt.Sprintf(echo, i))}
				said := strings.Join(pieces[seed.IntN(3):], "")
				for len(said) > 0 {
					time.Sleep(time.Duration(seed.IntN(3500)) * time.Microsecond)
					cut := len(said)
					if seed.IntN(2) == 0 {
						cut = 1 + seed.IntN(min(cut, 12))
					}
					_, _ = io.WriteString(nc, said[:cut])
					said = said[cut:]
				}
				hear(t, nc, fmt.Sprintf(`"id":%d,`, i))
			}
			_, _ = io.WriteString(nc, "\x8a\x80\x00\x00\x00\x00")
		})
	}
	running.Wait()
	same(t, "sockets", r.server.Sockets(), 20)
}

// A parked client that answers pings stays, and one that does not is gone; one that pings
// by itself is answered, and its socket parked again.
func TestParkedPings(t *testing.T) {
	r, web := parkingRig(t, time.Millisecond, Options{Ping: 30 * time.Millisecond, PongTimeout: 300 * time.Millisecond})
	good := dialTCP(t, web, "parley.v1")
	good.ask(`{"jsonrpc":"2.0","method":"$/hello"}`)
	silent := idleSocket(t, web.Listener.Addr().String())
	r.parked(2)
	reading := good.ws.CloseRead(context.Background())
	for range 5 {
		if err := good.ws.Ping(context.Background()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(100 * time.Millisecond)
	}
	if _, err := io.Copy(io.Discard, silent); err != nil {
		t.Log(err)
	}
	r.await("silent sockets counted", 1, func() int { return r.counted.get("refused no_pong") })
	r.parked(1)
	same(t, "the other client's end", reading.Err(), nil)
}

// A parked socket ends when its client does, however that is said.
func TestParkedClientLeaves(t *testing.T) {
	for name, leave := range map[string]func(*testing.T, *net.TCPConn){
		"close frame": func(t *testing.T, nc *net.TCPConn) {
			_, _ = io.WriteString(nc, "\x88\x82\x00\x00\x00\x00\x03\xe8")
			answer, err := io.ReadAll(nc)
			same(t, "answer", string(answer), "\x88\x02\x03\xe8")
			same(t, "end", err, nil)
		},
		"half-closed": func(_ *testing.T, nc *net.TCPConn) { _ = nc.CloseWrite() },
		"closed":      func(_ *testing.T, nc *net.TCPConn) { _ = nc.Close() },
		"reset": func(_ *testing.T, nc *net.TCPConn) {
			_ = nc.SetLinger(0)
			_ = nc.Close()
		},
	} {
		t.Run(name, func(t *testing.T) {
			r, web := parkingRig(t, time.Millisecond, Options{})
			stays, leaves := idleSocket(t, web.Listener.Addr().String()), idleSocket(t, web.Listener.Addr().String())
			r.parked(2)
			leave(t, leaves.(*net.TCPConn))
			r.await("sockets", 1, r.server.Sockets)
			_ = stays.Close()
			r.await("sockets at last", 0, r.server.Sockets)
			same(t, "sessions that may be resumed", r.router.Sessions(), 2)
		})
	}
}

// The number of a parked socket that has been cut off goes to another one, which knows
// nothing of it.
func TestParkedSocketsAreReplaced(t *testing.T) {
	r, web := parkingRig(t, time.Millisecond, Options{})
	stays := idleSocket(t, web.Listener.Addr().String())
	for range 50 {
		goes := idleSocket(t, web.Listener.Addr().String())
		r.parked(2)
		go func() { _ = goes.Close() }()
		r.server.each(func(c *conn) {
			if c.id > 1 {
				c.drop(&lostClient)
			}
		})
		r.await("sockets", 1, r.server.Sockets)
	}
	_, _ = io.WriteString(stays, textFrame(fmt.Sprintf(echo, 7)))
	hear(t, stays, `"id":7`)
}

// A client that resumes a session whose socket is parked takes it over: that socket's
// client sees why, and both it and the socket are done at once.
func TestParkedTakenOver(t *testing.T) {
	r, web := parkingRig(t, time.Millisecond, Options{})
	first := dialTCP(t, web, "parley.v1")
	var welcome struct{ Session, Secret string }
	parseInto(t, parse(t, first.ask(`{"jsonrpc":"2.0","method":"$/hello"}`)).Params, &welcome)
	r.parked(1)
	start := time.Now()
	second := dialTCP(t, web, "parley.v1")
	second.say(fmt.Sprintf(`{"jsonrpc":"2.0","method":"$/hello","params":{"resume":{"session":%q,"secret":%q}}}`, welcome.Session, welcome.Secret))
	if got := second.hear(); !strings.Contains(got, `"resumed":true`) {
		t.Fatal(got)
	}
	code, _ := first.closed()
	same(t, "close code", code, 4409)
	r.await("sockets", 1, r.server.Sockets)
	if took := time.Since(start); took > closeWait/2 {
		t.Errorf("it took %v", took)
	}
	r.parked(1)
}

// Shutdown ends parked sockets like any others, and returns when there is nothing left;
// clients that do not answer their close frame have 5 s.
func TestParkedShutdown(t *testing.T) {
	for name, test := range map[string]struct {
		answers bool
		within  time.Duration // of Shutdown's context
		want    error
	}{
		"clients that answer":     {true, drainMargin + 200*time.Millisecond, nil},
		"no clients to wait for":  {true, 0, nil},
		"clients that do not":     {false, 0, nil},
		"clients without so much": {false, 300 * time.Millisecond, context.DeadlineExceeded},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, web := parkingRig(t, time.Millisecond, Options{})
			const sockets = 30
			var clients sync.WaitGroup
			defer clients.Wait()
			for i := range sockets {
				if !test.answers {
					idleSocket(t, web.Listener.Addr().String())
					continue
				}
				c := dialTCP(t, web, "parley.v1")
				if i%2 == 0 {
					c.ask(`{"jsonrpc":"2.0","method":"$/hello"}`)
				}
				clients.Go(func() {
					if code, _ := c.closed(); code != 1012 {
						t.Errorf("close code %d", code)
					}
				})
			}
			r.parked(sockets)
			ctx, cancel := context.WithCancel(context.Background())
			if test.within > 0 {
				ctx, cancel = context.WithTimeout(ctx, test.within)
			}
			defer cancel()
			start := time.Now()
			if err := r.server.Shutdown(ctx); !errors.Is(err, test.want) {
				t.Errorf("Shutdown: %v, want %v", err, test.want)
			}
			if took := time.Since(start); took > closeWait+time.Second {
				t.Errorf("it took %v", took)
			}
			same(t, "sockets", r.server.Sockets(), 0)
		})
	}
}

// A node that can park no socket serves them all the same; so does one that wants to park
// what it cannot.
func TestNothingIsParked(t *testing.T) {
	for name, prepare := range map[string]func(*Server){
		"switched off": func(s *Server) { s.parkAfter = 0 },
		"no poller":    func(s *Server) { s.lot.once.Do(func() { s.lot.err = errors.ErrUnsupported }) },
		"TLS":          func(*Server) {},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, Options{Ping: 10 * time.Millisecond})
			r.server.parkAfter = time.Millisecond
			prepare(r.server)
			web := r.overTCP(name == "TLS")
			c := dialTCP(t, web)
			for i := range 10 {
				time.Sleep(5 * time.Millisecond)
				c.ask(fmt.Sprintf(echo, i))
			}
			r.parked(0)
		})
	}
}

// A socket in use is not kicked, and one within a message is not either.
func TestBusySocketsAreNotKicked(t *testing.T) {
	r := newRig(t, Options{})
	c := &conn{server: r.server, nc: make(nowhere)}
	for i, step := range []struct {
		read uint32 // since the look before
		want bool
	}{{1, false}, {0, false}, {1, false}, {2, false}, {0, true}} {
		c.reads.Add(step.read)
		c.lookLocked(time.Second)
		same(t, fmt.Sprint("kicked at look ", i), c.kick, step.want)
	}
}
