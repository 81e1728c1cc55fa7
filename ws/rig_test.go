package ws

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/goleak"

	"parley/routing"
	"parley/routing/table"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is one node with a real router and a real HTTP server; only Kafka and the
// network are replaced, by functions and by pipes.
type rig struct {
	t       testing.TB
	router  *routing.Router
	server  *Server
	topics  *topics
	counted *counted
	pipes   *pipes
	table   *oneNode
}

// newRig starts a node, which ends with the test. It works in a synctest bubble. It has
// more services, if any are given.
func newRig(t testing.TB, o Options, more ...*routing.Service) *rig {
	r := &rig{t: t, topics: newTopics(), counted: &counted{}, pipes: newPipes(), table: &oneNode{Memory: table.NewMemory()}}
	o.Router = routing.New(routing.Options{
		Node: "a", Producer: r.topics, Table: r.table, Observer: r.counted, Services: append(r.topics.services(), more...), Feeds: []string{"orders.events", "stock.events"}, Whole: []string{"stock.events"},
		Limits: routing.Limits{OpenRequests: o.OpenRequests},
	})
	if o.Observer == nil {
		o.Observer = r.counted
	}
	r.router, r.topics.router = o.Router, o.Router
	r.router.SetHomes(routing.NewHomes(4, []int32{0, 1}))
	r.server = New(o)
	web := &http.Server{Handler: r.server}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { r.router.Run(ctx) })
	running.Go(func() { _ = web.Serve(r.pipes) })
	t.Cleanup(func() {
		if err := r.server.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		r.router.Removed() // those that wait for their clients to come back
		if n := r.router.Sessions(); n != 0 {
			t.Errorf("%d sessions are left", n)
		}
		if n := r.router.OpenRequests(); n != 0 {
			t.Errorf("%d requests are left open", n)
		}
		_ = web.Close()
		cancel()
		running.Wait()
	})
	return r
}

// dial opens a socket, with a subprotocol (several by comma) or, for "", without.
func (r *rig) dial(subprotocol string) *client {
	r.t.Helper()
	c, err := r.tryDial(subprotocol, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	return c
}

func (r *rig) tryDial(subprotocol string, header http.Header) (*client, error) {
	transport := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return r.pipes.dial() }}
	o := &websocket.DialOptions{HTTPClient: &http.Client{Transport: transport}, HTTPHeader: header}
	if subprotocol != "" {
		o.Subprotocols = strings.Split(subprotocol, ",")
	}
	ws, _, err := websocket.Dial(context.Background(), "ws://gateway.example/ws", o)
	if err != nil {
		return nil, err
	}
	ws.SetReadLimit(-1)
	r.t.Cleanup(func() { _ = ws.CloseNow() })
	return &client{r.t, ws}, nil
}

// greeted opens a socket with parley.v1 and says hello.
func (r *rig) greeted() *client {
	r.t.Helper()
	c := r.dial("parley.v1")
	c.say(`{"jsonrpc":"2.0","method":"$/hello"}`)
	if got := c.hear(); !strings.Contains(got, `"$/welcome"`) {
		r.t.Fatalf("no welcome: %s", got)
	}
	return c
}

// client is the other end of a socket.
type client struct {
	t  testing.TB
	ws *websocket.Conn
}

func (c *client) say(frame string) {
	c.t.Helper()
	if err := c.ws.Write(context.Background(), websocket.MessageText, []byte(frame)); err != nil {
		c.t.Fatalf("say %s: %v", clip(frame), err)
	}
}

func (c *client) hear() string {
	c.t.Helper()
	_, got, err := c.ws.Read(context.Background())
	if err != nil {
		c.t.Fatal(err)
	}
	return string(got)
}

// ask says a frame and answers what is heard next.
func (c *client) ask(frame string) string {
	c.t.Helper()
	c.say(frame)
	return c.hear()
}

// closed reads to the end and answers the close code, and how many messages came before.
func (c *client) closed() (websocket.StatusCode, int) {
	for n := 0; ; n++ {
		if _, _, err := c.ws.Read(context.Background()); err != nil {
			return websocket.CloseStatus(err), n
		}
	}
}

// response is what a client can hear, taken apart.
type response struct {
	ID     json.RawMessage
	Method string
	Params json.RawMessage
	Result json.RawMessage
	Seq    uint64
	Meta   json.RawMessage
	Error  *struct {
		Code    int
		Message string
		Data    struct {
			Code    string
			Outcome string
			Retry   bool
			Example json.RawMessage
			Service json.RawMessage
		}
	}
}

func parse(t testing.TB, frame string) (r response) {
	t.Helper()
	if err := json.Unmarshal([]byte(frame), &r); err != nil {
		t.Fatalf("%v: %s", err, clip(frame))
	}
	return r
}

func parseInto(t testing.TB, text []byte, into any) {
	t.Helper()
	if err := json.Unmarshal(text, into); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
}

func same[T comparable](t testing.TB, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s:\n got %v\nwant %v", what, got, want)
	}
}

// topics is Kafka with its services: each has a function that answers at once.
type topics struct {
	router *routing.Router
	serve  map[string]func(*routing.Request) []*routing.Reply

	mu   sync.Mutex
	seen []*routing.Request
	done int // receipts that were told
}

func newTopics() *topics {
	one := func(r routing.Reply) []*routing.Reply { r.Final = true; return []*routing.Reply{&r} }
	body := func(text string) func(*routing.Request) []*routing.Reply {
		return func(*routing.Request) []*routing.Reply { return one(routing.Reply{Body: []byte(text)}) }
	}
	return &topics{serve: map[string]func(*routing.Request) []*routing.Reply{
		"echo": func(q *routing.Request) []*routing.Reply {
			return one(routing.Reply{Body: q.Call.Body, ContentType: q.Call.ContentType, Headers: q.Call.Headers})
		},
		"silent": func(*routing.Request) []*routing.Reply { return nil },
		"plain": func(*routing.Request) []*routing.Reply {
			return one(routing.Reply{Body: []byte("hello there"), ContentType: "text/plain"})
		},
		"binary":    body("\x00\xff\"}"),
		"badutf8":   body("{\"a\":\"\xff\"}"),
		"twice":     body(`{ "a":1, "a":"\ud800" }`),
		"huge":      body(`"` + strings.Repeat("x", 5<<20) + `"`),
		"large":     body(`"` + strings.Repeat("x", 200<<10) + `"`),
		"truncated": body(`{"a":`),
		"odd": func(*routing.Request) []*routing.Reply {
			return one(routing.Reply{Body: []byte("1"), Headers: []routing.Header{
				{Key: "x-a", Value: []byte("old")}, {Key: "x-\"b", Value: []byte{0xff}}, {Key: "x-a", Value: []byte("new\n")}}})
		},
		"fail": func(*routing.Request) []*routing.Reply {
			return one(routing.Reply{Body: []byte(`{"left":0}`), Status: 409, Err: &routing.ServiceError{Code: "sold_out", Message: "none left"}})
		},
		"stream": func(*routing.Request) []*routing.Reply {
			return []*routing.Reply{{Body: []byte(`1`)}, {Body: []byte(`two`)}, {Body: []byte(`3`), Final: true}}
		},
	}}
}

func (p *topics) services() (all []*routing.Service) {
	for name := range p.serve {
		all = append(all, &routing.Service{
			Name: name, Topic: name + ".requests", Timeout: 30 * time.Second, MaxTimeout: time.Minute, Partitioner: routing.Murmur2,
		})
	}
	return all
}

func (p *topics) Produce(q *routing.Request) {
	p.mu.Lock()
	p.seen = append(p.seen, q)
	p.mu.Unlock()
	q.Produced(routing.RecordAt{Topic: q.Service.Topic, Partition: 1, Offset: 7}, nil)
	if q.ID == "" {
		return
	}
	replies := p.serve[q.Service.Name](q)
	for _, r := range replies {
		r.ID, r.Consumed, r.ConsumedBy, r.Receipt = q.ID, time.Now(), "a", p
	}
	p.router.Deliver(context.Background(), replies)
}

func (p *topics) Done(routing.Token) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done++
}

func (p *topics) last() *routing.Request {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seen[len(p.seen)-1]
}

func (p *topics) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.seen)
}

// oneNode is the table of a node that is alone: it knows which sessions may be
// resumed.
type oneNode struct {
	*table.Memory // keeps requests

	mu       sync.Mutex
	sessions map[routing.SessionID]routing.SessionRow
	away     error // what Resume answers instead
	fenced   atomic.Bool
}

func (o *oneNode) Open(_ context.Context, s routing.SessionRow) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.sessions == nil {
		o.sessions = make(map[routing.SessionID]routing.SessionRow)
	}
	o.sessions[s.ID] = s
	return nil
}

func (o *oneNode) Resume(_ context.Context, r routing.Resumption) (routing.Resumed, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	s, known := o.sessions[r.ID]
	switch {
	case o.away != nil:
		return routing.Resumed{}, o.away
	case !known || s.Subject != r.Subject || !bytes.Equal(s.Secret, r.Secret):
		return routing.Resumed{}, routing.ErrSessionGone
	}
	s.Epoch++
	o.sessions[r.ID] = s
	return routing.Resumed{Epoch: s.Epoch}, nil
}

func (o *oneNode) End(id routing.SessionID) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.sessions, id)
}

func (o *oneNode) Hold(_ context.Context, held []routing.Holding) []routing.Verdict {
	verdicts := make([]routing.Verdict, len(held))
	for i := range verdicts {
		verdicts[i] = routing.Verdict{Fate: routing.Here}
	}
	return verdicts
}

func (*oneNode) Announce(routing.SessionRow)                 {}
func (*oneNode) CatchUp(context.Context) bool                { return true }
func (*oneNode) Claim(routing.Row, routing.Claimed) bool     { return false }
func (*oneNode) Release(routing.SessionID, uint64)           {}
func (*oneNode) Unhold(routing.RequestID)                    {}
func (*oneNode) Left(_ routing.SessionID, _, _ uint64)       {}
func (*oneNode) HandedOver(routing.SessionID, uint64)        {}
func (*oneNode) Remind(context.Context, []routing.SessionID) {}
func (*oneNode) Inherited(_ context.Context, ids []routing.SessionID) []routing.Legacy {
	return make([]routing.Legacy, len(ids))
}
func (*oneNode) Look(context.Context, routing.SessionID) (routing.Looked, error) {
	return routing.Looked{}, nil
}
func (*oneNode) Owns(context.Context, routing.SessionID, uint64) (bool, error) { return true, nil }
func (o *oneNode) Fenced(time.Time) bool                                       { return o.fenced.Load() }

func (*oneNode) Await(_ context.Context, waits []routing.Wait) []error {
	return make([]error, len(waits))
}
func (*oneNode) Unwait(routing.Entity, routing.RequestID) {}

func (*oneNode) Subscribe(_ context.Context, subs []routing.Subscription) []error {
	return make([]error, len(subs))
}
func (*oneNode) Unsubscribe(routing.Subscription) {}

// counted is an Observer that remembers what was refused.
type counted struct {
	nobody
	mu sync.Mutex
	n  map[string]int
}

func (c *counted) Count(counter routing.Counter, label string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n == nil {
		c.n = make(map[string]int)
	}
	c.n[string(counter)+" "+label]++
}

func (c *counted) get(label string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n[label]
}

// pipes is a listener whose connections are pipes.
type pipes struct {
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), done: make(chan struct{})} }

func (p *pipes) dial() (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case p.conns <- there:
		return here, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.once.Do(func() { close(p.done) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }
