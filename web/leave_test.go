package web

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"log/slog"

	"parley/routing"
)

// When callers leave, nothing of their calls stays; a late reply is dropped and
// settled.
func TestDisconnectFreesEverything(t *testing.T) {
	g := newGateway(t, nil)
	g.topic.answer = nil
	url, client := g.listen(t)
	ctx, leave := context.WithCancel(context.Background())
	var callers sync.WaitGroup
	for range 20 {
		callers.Go(func() {
			r, _ := http.NewRequestWithContext(ctx, "POST", url+"/services/echo", strings.NewReader("body"))
			if response, err := client.Do(r); err == nil {
				t.Errorf("an answer: %d", response.StatusCode)
				response.Body.Close()
			}
		})
	}
	g.eventually(t, "calls are not parked", func() bool { return g.router.OpenRequests() == 20 })
	leave()
	callers.Wait()
	g.noneOpen(t)
	g.topic.reply(g.topic.last(), &routing.Reply{Final: true})
	if got := g.topic.settledCount(); got != 1 {
		t.Errorf("the late reply was settled %d times", got)
	}
	if s := g.router.Sessions(); s != 1 {
		t.Errorf("%d sessions, want the node's own", s)
	}
	g.eventually(t, "handlers stay", func() bool { g.calls.mu.Lock(); defer g.calls.mu.Unlock(); return g.calls.parked == 0 })
}

// The same over HTTP/2, where a caller leaves by resetting its stream.
func TestHTTP2(t *testing.T) {
	g := newGateway(t, nil)
	server := httptest.NewUnstartedServer(g.Handler())
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	defer server.Client().CloseIdleConnections()
	response, err := server.Client().Post(server.URL+"/services/echo", "text/plain", strings.NewReader("body"))
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(response.Body)
	response.Body.Close()
	if response.ProtoMajor != 2 || response.StatusCode != 200 || string(body) != "body" {
		t.Errorf("HTTP/%d %d %s", response.ProtoMajor, response.StatusCode, body)
	}
	g.topic.answer = nil
	ctx, leave := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		r, _ := http.NewRequestWithContext(ctx, "POST", server.URL+"/services/echo", strings.NewReader("body"))
		if response, err := server.Client().Do(r); err == nil {
			t.Errorf("an answer: %d", response.StatusCode)
			response.Body.Close()
		}
	})
	g.eventually(t, "the call is not parked", func() bool { return g.router.OpenRequests() == 1 })
	leave()
	running.Wait()
	g.noneOpen(t)
}

// A caller that sends far too much gets its 413, also when it first sends all
// and only then listens, and the next caller is served.
func TestHugeBody(t *testing.T) {
	g := newGateway(t, nil)
	url, client := g.listen(t)
	for _, head := range []string{"Content-Length: 5000000\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n4c4b40\r\n"} {
		c, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		response := talk(t, c, "POST /services/echo HTTP/1.1\r\nHost: a\r\n"+head+strings.Repeat("x", 5_000_000)+"\r\n0\r\n\r\n")
		if response.StatusCode != 413 || !response.Close {
			t.Errorf("%q: %d, close %v", head, response.StatusCode, response.Close)
		}
		c.Close()
	}
	response, err := client.Post(url+"/services/echo", "text/plain", strings.NewReader("small"))
	if err != nil || response.StatusCode != 200 {
		t.Fatalf("%v %v", response, err)
	}
	response.Body.Close()
}

// A reply that meets its leaving caller is settled, whoever is first.
func TestReplyMeetsLeavingCaller(t *testing.T) {
	m := NewMetrics(Gauges{})
	g := newGateway(t, func(o *Options) { o.Observer = m })
	for range 200 {
		ctx, leave := context.WithCancel(context.Background())
		g.topic.answer = func(q *routing.Request) []*routing.Reply { leave(); return echo(q) }
		r := httptest.NewRequestWithContext(ctx, "POST", "/services/echo", nil)
		g.Handler().ServeHTTP(httptest.NewRecorder(), r)
	}
	if got := g.topic.settledCount(); got != 200 {
		t.Errorf("%d of 200 replies were settled", got)
	}
	all := scrape(t, m)
	pushed, dropped := all[`parley_stage_seconds_count{stage="push"}`], all[`parley_drops_total{reason="session_gone"}`]
	if pushed+dropped != 200 {
		t.Errorf("%v replies were pushed, %v dropped, of 200", pushed, dropped)
	}
	g.noneOpen(t)
}

// A node that drains lets parked calls finish and refuses new ones; the word
// gets around through readyz.
func TestShutdownLetsCallsFinish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t, nil)
		g.topic.answer = nil
		var parked *httptest.ResponseRecorder
		var running sync.WaitGroup
		running.Go(func() { parked = g.do("POST", "/services/echo", nil) })
		synctest.Wait()
		running.Go(func() {
			if err := g.Shutdown(t.Context()); err != nil {
				t.Errorf("shutdown: %v", err)
			}
		})
		synctest.Wait()
		w := g.do("POST", "/services/echo", nil)
		if p := problemOf(t, w); w.Code != 503 || p.Code != routing.Unavailable || !p.Retry || p.Outcome != routing.NotSent || w.Header().Get("Retry-After") == "" {
			t.Errorf("a new call: %d %s", w.Code, w.Body)
		}
		if w := g.do("GET", "/readyz", nil); w.Code != 503 || !strings.Contains(w.Body.String(), "draining") {
			t.Errorf("readyz: %d %s", w.Code, w.Body)
		}
		if w := g.do("GET", "/healthz", nil); w.Code != 200 {
			t.Errorf("healthz: %d", w.Code)
		}
		g.topic.reply(g.topic.last(), &routing.Reply{Final: true, Body: []byte("done")})
		running.Wait()
		if parked.Code != 200 || parked.Body.String() != "done" {
			t.Errorf("the parked call: %d %s", parked.Code, parked.Body)
		}
	})
}

// When the time to finish is over, parked calls get 503.
func TestShutdownEndsCallsAtLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t, nil)
		g.topic.answer = nil
		var parked *httptest.ResponseRecorder
		var running sync.WaitGroup
		running.Go(func() { parked = g.do("POST", "/services/echo", nil) })
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		if err := g.Shutdown(ctx); err != context.DeadlineExceeded {
			t.Errorf("shutdown: %v", err)
		}
		running.Wait()
		if p := problemOf(t, parked); parked.Code != 503 || p.Code != routing.Unavailable || p.Request == "" || parked.Header().Get("Retry-After") == "" {
			t.Errorf("the parked call: %d %s", parked.Code, parked.Body)
		}
		if g.router.Sessions() != 0 || g.router.OpenRequests() != 0 {
			t.Error("the session stays")
		}
	})
}

// A session that somebody ended is opened anew by the next call.
func TestSessionIsOpenedAnew(t *testing.T) {
	g := newGateway(t, nil)
	g.do("POST", "/services/echo", nil)
	first := g.session.Load()
	first.Close()
	if w := g.do("POST", "/services/echo", nil); w.Code != 200 || g.session.Load() == first {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// A body that drips in is given up after its time, and a long wait for the
// outcome afterwards is not cut short by that.
func TestSlowBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t, nil)
		g.topic.answer = nil
		pipes := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
		server := HTTPServer("", g.Handler(), slog.New(slog.DiscardHandler))
		var running sync.WaitGroup
		running.Go(func() { _ = server.Serve(pipes) })
		defer running.Wait()
		defer server.Close()

		slow := pipes.dial()
		defer slow.Close()
		start := time.Now()
		response := talk(t, slow, "POST /services/echo HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc")
		if took := time.Since(start); response.StatusCode != 408 || took != bodyTime {
			t.Errorf("status %d after %v", response.StatusCode, took)
		}

		patient := pipes.dial()
		defer patient.Close()
		start = time.Now()
		response = talk(t, patient, "POST /services/echo HTTP/1.1\r\nHost: a\r\nPrefer: wait=50\r\nContent-Length: 3\r\n\r\nabc")
		if took := time.Since(start); response.StatusCode != 504 || took < 50*time.Second || took > 51*time.Second {
			t.Errorf("status %d after %v", response.StatusCode, took)
		}
	})
}

// talk sends a request as it is, and reads the response.
func talk(t *testing.T, c net.Conn, request string) *http.Response {
	t.Helper()
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, response.Body)
	return response
}

// pipes is a listener whose connections are in memory, as a synctest bubble needs.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (p *pipes) dial() net.Conn {
	client, server := net.Pipe()
	p.conns <- server
	return client
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.once.Do(func() { close(p.closed) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{} }

// When as many bodies are arriving as may, the next is refused, and calls without
// one are still served.
func TestBodiesInArrivalAreBounded(t *testing.T) {
	g := newGateway(t, nil)
	g.arriving.Store(maxBodies)
	w := g.do("POST", "/services/echo", strings.NewReader("body"))
	if p := problemOf(t, w); w.Code != 503 || p.Code != routing.Overloaded || !p.Retry || w.Header().Get("Retry-After") == "" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := g.do("GET", "/services/echo", nil); w.Code != 200 {
		t.Errorf("without a body: %d", w.Code)
	}
	g.arriving.Store(0)
	if w := g.do("POST", "/services/echo", strings.NewReader("body")); w.Code != 200 || g.arriving.Load() != 0 {
		t.Errorf("afterwards: %d, %d arriving", w.Code, g.arriving.Load())
	}
}

// A caller that does not read its answer is given up after its time.
func TestSlowReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t, nil)
		pipes := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
		server := HTTPServer("", g.Handler(), slog.New(slog.DiscardHandler))
		var running sync.WaitGroup
		running.Go(func() { _ = server.Serve(pipes) })
		defer running.Wait()
		defer server.Close()
		c := pipes.dial()
		defer c.Close()
		if _, err := io.WriteString(c, "POST /services/echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody"); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		time.Sleep(writeTime + time.Second)
		if got := g.topic.settledCount(); got != 1 || !strings.Contains(g.log.String(), "session_gone") {
			t.Errorf("after %v: %d settled, log %s", time.Since(start), got, g.log)
		}
	})
}
