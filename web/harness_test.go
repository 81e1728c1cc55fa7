package web

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"parley/routing"
	"parley/routing/table"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// topic is a Producer whose services answer at once, by a function; those
// without one never do.
type topic struct {
	router *routing.Router
	answer func(q *routing.Request) []*routing.Reply
	fail   error

	mu      sync.Mutex
	written []*routing.Request
	settled []int64 // offsets of the replies that need not be kept
}

func (p *topic) Produce(q *routing.Request) {
	p.mu.Lock()
	p.written = append(p.written, q)
	at := routing.RecordAt{Topic: q.Service.Topic, Partition: 3, Offset: int64(len(p.written))}
	p.mu.Unlock()
	q.Produced(at, p.fail)
	if p.answer != nil && p.fail == nil {
		p.reply(q, p.answer(q)...)
	}
}

func (p *topic) reply(q *routing.Request, replies ...*routing.Reply) {
	for i, r := range replies {
		r.ID = q.ID
		r.Consumed, r.From = time.Now(), routing.RecordAt{Topic: "replies", Partition: 1, Offset: int64(i)}
		r.Receipt, r.Token = p, routing.Token{B: int64(i)}
	}
	p.router.Deliver(context.Background(), replies)
}

// Done implements routing.Receipt.
func (p *topic) Done(t routing.Token) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.settled = append(p.settled, t.B)
}

func (p *topic) last() *routing.Request {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.written) == 0 {
		return nil
	}
	return p.written[len(p.written)-1]
}

func (p *topic) settledCount() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.settled)
}

// gateway is a server over a real router and a topic.
type gateway struct {
	*Server
	topic  *topic
	table  *table.Memory
	router *routing.Router
	log    *logged
}

// logged keeps what is logged.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// newGateway runs a gateway until the test's end. Its services are echo, which
// answers with the bytes it was sent unless the test says otherwise, and quick,
// which must not take longer than two seconds.
func newGateway(t testing.TB, change func(*Options), more ...*routing.Service) *gateway {
	t.Helper()
	p := &topic{answer: echo}
	log := &logged{}
	o := Options{Log: slog.New(slog.NewTextHandler(log, nil)), Observer: nobody{}}
	if change != nil {
		change(&o)
	}
	rows := table.NewMemory()
	o.Router = routing.New(routing.Options{
		Node: "a", Producer: p, Table: rows, Observer: o.Observer, Feeds: []string{"orders.events", "stock.events"}, Whole: []string{"stock.events"},
		Services: append(more,
			&routing.Service{Name: "echo", Topic: "echo.requests", Timeout: 30 * time.Second, MaxTimeout: time.Minute},
			&routing.Service{Name: "quick", Topic: "quick.requests", Timeout: time.Second, MaxTimeout: 2 * time.Second},
		),
	})
	p.router = o.Router
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { o.Router.Run(ctx) })
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		cancel()
		running.Wait()
	})
	return &gateway{s, p, rows, o.Router, log}
}

func echo(q *routing.Request) []*routing.Reply {
	return []*routing.Reply{{Final: true, Body: q.Call.Body, ContentType: q.Call.ContentType}}
}

// always makes services answer with one reply.
func always(r routing.Reply) func(*routing.Request) []*routing.Reply {
	return func(*routing.Request) []*routing.Reply {
		again := r
		again.Final = true
		return []*routing.Reply{&again}
	}
}

// do makes a request without a network: headers are "name: value".
func (g *gateway) do(method, target string, body io.Reader, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, body)
	for _, line := range headers {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Add(name, value)
	}
	w := httptest.NewRecorder()
	g.Handler().ServeHTTP(w, r)
	return w
}

// listen serves the gateway on a real address, for clients that leave.
func (g *gateway) listen(t *testing.T) (url string, client *http.Client) {
	t.Helper()
	server := httptest.NewUnstartedServer(g.Handler())
	server.Config = HTTPServer("", g.Handler(), slog.New(slog.DiscardHandler))
	server.Start()
	transport := &http.Transport{}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		server.Close()
	})
	return server.URL, &http.Client{Transport: transport}
}

// problemOf reads a problem, and checks what every problem must have.
func problemOf(t *testing.T, w *httptest.ResponseRecorder) problem {
	t.Helper()
	if got := w.Header().Get("Content-Type"); got != "application/problem+json" {
		t.Fatalf("content type of a problem = %q, status %d, body %s", got, w.Code, w.Body)
	}
	var p problem
	if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
		t.Fatalf("problem is not JSON: %v\n%s", err, w.Body)
	}
	if p.Status != w.Code {
		t.Errorf("problem says %d, the response %d", p.Status, w.Code)
	}
	if p.Type != "urn:parley:problem:"+string(p.Code) || p.Title == "" || p.Detail == "" || p.Outcome == "" {
		t.Errorf("problem lacks a member: %s", w.Body)
	}
	if got := w.Header().Get("Cache-Control"); got != "no-store" {
		t.Errorf("cache-control of a problem = %q", got)
	}
	return p
}

// noneOpen waits until no request is open, within a second.
func (g *gateway) noneOpen(t *testing.T) {
	t.Helper()
	g.eventually(t, "requests stay open", func() bool { return g.router.OpenRequests() == 0 })
}

func (g *gateway) eventually(t testing.TB, failure string, is func() bool) {
	t.Helper()
	for range 1000 {
		if is() {
			return
		}
		time.Sleep(time.Millisecond) // for a real socket's sake: there is nothing to wait on
	}
	t.Fatal(failure)
}
