package ws

import (
	"context"
	"fmt"
	"net"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"

	"parley/routing"
)

// overTCP serves the rig's node over real sockets.
func (r *rig) overTCP(tls bool) *httptest.Server {
	web := httptest.NewUnstartedServer(r.server)
	if tls {
		web.StartTLS()
	} else {
		web.Start()
	}
	r.t.Cleanup(func() {
		_ = r.server.Shutdown(context.Background())
		web.Close()
	})
	return web
}

func dialTCP(t testing.TB, web *httptest.Server, subprotocols ...string) *client {
	t.Helper()
	c, _, err := websocket.Dial(context.Background(), strings.Replace(web.URL, "http", "ws", 1)+"/ws", &websocket.DialOptions{
		Subprotocols: subprotocols, HTTPClient: web.Client(),
	})
	if err != nil {
		t.Fatal(err)
	}
	c.SetReadLimit(-1)
	t.Cleanup(func() { _ = c.CloseNow() })
	return &client{t, c}
}

// Many clients at once, with many requests each, get their own answers and no
// others, over real sockets with and without TLS.
func TestManyClients(t *testing.T) {
	for _, tls := range []bool{false, true} {
		web := newRig(t, Options{}).overTCP(tls)
		var running sync.WaitGroup
		for n := range 20 {
			c := dialTCP(t, web)
			running.Go(func() {
				const requests = 50
				for i := range requests {
					c.say(fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"echo","params":"%d-%d%s"}`, i, n, i, strings.Repeat("x", i*i*n)))
				}
				got := make(map[string]bool)
				for range requests {
					r := parse(t, c.hear())
					if got[string(r.ID)] || !strings.HasPrefix(string(r.Result), fmt.Sprintf(`"%d-%s`, n, r.ID)) {
						t.Errorf("client %d: id %s, result %s", n, r.ID, clip(string(r.Result)))
					}
					got[string(r.ID)] = true
				}
			})
		}
		running.Wait()
	}
}

// A 5 MB frame ends in a close frame that the client can read, over a real
// socket too, where closing with unread bytes would cut it off.
func TestTooBigOverTCP(t *testing.T) {
	web := newRig(t, Options{}).overTCP(false)
	c := dialTCP(t, web)
	go func() {
		_ = c.ws.Write(context.Background(), websocket.MessageText, []byte(strings.Repeat("x", 5<<20)))
	}()
	code, _ := c.closed()
	same(t, "close code", code, 1009)
}

// A node that has as many sessions as it may tells the next client to come back later.
func TestCrowded(t *testing.T) {
	topics := newTopics()
	router := routing.New(routing.Options{Services: topics.services(), Producer: topics, Table: &oneNode{}, Limits: routing.Limits{Sessions: 1}})
	server := New(Options{Router: router})
	defer server.Shutdown(context.Background())
	web := httptest.NewServer(server)
	defer web.Close()
	first := dialTCP(t, web)
	first.ask(`{"jsonrpc":"2.0","method":"$/ping"}`)
	for _, subprotocols := range [][]string{nil, {"parley.v1"}} {
		c := dialTCP(t, web, subprotocols...)
		if subprotocols != nil {
			c.say(`{"jsonrpc":"2.0","method":"$/hello"}`)
		}
		code, _ := c.closed()
		same(t, "close code", code, 1013)
	}
	_ = first.ws.CloseNow()
}

// BenchmarkRoundTrip is request to response over a loopback socket, with a
// service that answers at once. Client and server share the processors.
func BenchmarkRoundTrip(b *testing.B) {
	for _, pipelined := range []int{1, 32} {
		b.Run(fmt.Sprintf("pipelined=%d", pipelined), func(b *testing.B) {
			c := dialTCP(b, newRig(b, Options{}).overTCP(false))
			frames := make([][]byte, 1024) // an id each, as a client would have
			for i := range frames {
				frames[i] = fmt.Appendf(nil, `{"jsonrpc":"2.0","id":%d,"method":"echo","params":{"sku":"A-1","n":3,"note":"deliver to the back door, please"}}`, i)
			}
			b.ReportAllocs()
			sem, done := make(chan struct{}, pipelined), make(chan struct{})
			defer close(done)
			go func() {
				for i := 0; ; i++ {
					select {
					case sem <- struct{}{}:
					case <-done:
						return
					}
					if c.ws.Write(context.Background(), websocket.MessageText, frames[i%len(frames)]) != nil {
						return
					}
				}
			}()
			buf := make([]byte, 1024)
			defer cpuTime(b)()
			for b.Loop() {
				_, r, err := c.ws.Reader(context.Background())
				if err != nil {
					b.Fatal(err)
				}
				for err == nil {
					_, err = r.Read(buf)
				}
				<-sem
			}
		})
	}
}

// BenchmarkServer is what the server does for a request, without a network: its
// frame taken, its answer encoded and written.
func BenchmarkServer(b *testing.B) {
	topics := newTopics()
	router := routing.New(routing.Options{Services: topics.services(), Producer: topics, Table: &oneNode{}})
	topics.router = router
	s := New(Options{Router: router})
	wrote := make(nowhere, 1)
	c := &conn{server: s, nc: wrote}
	c.startTimer()
	c.open(context.Background())
	frame := []byte(`{"jsonrpc":"2.0","id":1,"method":"echo","params":{"sku":"A-1","n":3,"note":"deliver to the back door, please"}}`)
	b.ReportAllocs()
	defer cpuTime(b)()
	for b.Loop() {
		topics.seen = topics.seen[:0]
		c.take(frame)
		<-wrote
	}
	c.timer.Stop()
	c.session.Close()
}

// cpuTime reports the processor time of this process for an operation, which
// says more than the time that passed where others use the processors too.
func cpuTime(b *testing.B) (report func()) {
	used := func() int64 {
		var u syscall.Rusage
		_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
		return u.Utime.Nano() + u.Stime.Nano()
	}
	before := used()
	return func() { b.ReportMetric(float64(used()-before)/float64(b.N), "cpu-ns/op") }
}

// BenchmarkIdle is the memory of idle sockets of the plain door, without the
// kernel's and the client's: B/socket.
func BenchmarkIdle(b *testing.B) {
	r := newRig(b, Options{})
	before := memory()
	n := 0
	var conns []interface{ Close() error }
	for b.Loop() {
		conn, err := r.pipes.dial()
		if err != nil {
			b.Fatal(err)
		}
		conns = append(conns, conn)
		fmt.Fprintf(conn, "GET /ws HTTP/1.1\r\nHost: gateway.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n")
		var answer [512]byte
		if _, err := conn.Read(answer[:]); err != nil {
			b.Fatal(err)
		}
		n++
	}
	b.ReportMetric(float64(memory()-before)/float64(n), "B/socket")
	b.ReportMetric(float64(runtime.NumGoroutine())/float64(n), "goroutines/socket")
	for _, c := range conns {
		_ = c.Close()
	}
}

// memory is what the heap and the stacks hold, after a collection.
func memory() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc + m.StackInuse
}

// nowhere is a network connection that tells of each write, and of nothing else.
type nowhere chan struct{}

func (n nowhere) Write(p []byte) (int, error)    { n <- struct{}{}; return len(p), nil }
func (nowhere) Read([]byte) (int, error)         { return 0, net.ErrClosed }
func (nowhere) Close() error                     { return nil }
func (nowhere) LocalAddr() net.Addr              { return nil }
func (nowhere) RemoteAddr() net.Addr             { return nil }
func (nowhere) SetDeadline(time.Time) error      { return nil }
func (nowhere) SetReadDeadline(time.Time) error  { return nil }
func (nowhere) SetWriteDeadline(time.Time) error { return nil }
