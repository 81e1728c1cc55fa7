package client_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"parley/ws/client"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// network joins clients to gateways by pipes: in a synctest bubble nothing else
// would let time pass.
type network struct {
	mu    sync.Mutex
	hosts map[string]*listener
	wrap  func(net.Conn) net.Conn // of a client's end; nil for none
}

func newNetwork() *network { return &network{hosts: make(map[string]*listener)} }

// listen makes a host reachable.
func (n *network) listen(host string) *listener {
	l := &listener{conns: make(chan net.Conn), done: make(chan struct{})}
	n.mu.Lock()
	n.hosts[host] = l
	n.mu.Unlock()
	return l
}

// serve makes a host one that handles requests, until the test ends.
func (n *network) serve(t testing.TB, host string, handler http.Handler) *listener {
	l := n.listen(host)
	server := &http.Server{Handler: handler}
	var running sync.WaitGroup
	running.Go(func() { _ = server.Serve(l) })
	t.Cleanup(func() { _ = server.Close(); running.Wait() })
	return l
}

// away makes a host unreachable, or reachable again.
func (n *network) away(host string, is bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	l := n.hosts[host]
	l.away.Lock()
	l.refuse = is
	l.away.Unlock()
}

func (n *network) dial(_ context.Context, _, addr string) (net.Conn, error) {
	host, _, _ := net.SplitHostPort(addr)
	n.mu.Lock()
	l, wrap := n.hosts[host], n.wrap
	n.mu.Unlock()
	if l == nil {
		return nil, errors.New("no such host")
	}
	conn, err := l.dial()
	if err == nil && wrap != nil {
		conn = wrap(conn)
	}
	return conn, err
}

// options are those of a client in this network.
func (n *network) options(hosts ...string) client.Options {
	o := client.Options{HTTPClient: &http.Client{Transport: &http.Transport{DialContext: n.dial}}}
	for _, host := range hosts {
		o.URLs = append(o.URLs, "ws://"+host+"/ws")
	}
	return o
}

// listener hands out pipes.
type listener struct {
	conns  chan net.Conn
	once   sync.Once
	done   chan struct{}
	away   sync.Mutex
	refuse bool
}

func (l *listener) dial() (net.Conn, error) {
	l.away.Lock()
	refuse := l.refuse
	l.away.Unlock()
	if refuse {
		return nil, errors.New("connection refused")
	}
	here, there := net.Pipe()
	select {
	case l.conns <- there:
		return here, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *listener) Close() error   { l.once.Do(func() { close(l.done) }); return nil }
func (l *listener) Addr() net.Addr { return &net.TCPAddr{} }

// dial connects a client that is closed when the test ends.
func dial(t testing.TB, o client.Options) *client.Client {
	t.Helper()
	c, err := client.Dial(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeNow(t, c) })
	return c
}

func closeNow(t testing.TB, c *client.Client) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := c.Close(ctx); err != nil {
		t.Errorf("close: %v", err)
	}
}

func same[T comparable](t testing.TB, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s:\n got %v\nwant %v", what, got, want)
	}
}

// fate is how a call has ended, as a text to compare.
func fate(reply client.Reply, err error) string {
	var e *client.Error
	switch {
	case errors.As(err, &e):
		return e.Code + " " + string(e.Outcome)
	case err != nil:
		return err.Error()
	}
	return string(reply.Result)
}

// going is a call that somebody waits for.
type going chan string

// start makes a call in a goroutine of its own.
func start(ctx context.Context, c *client.Client, service, params string, o client.CallOptions) going {
	g := make(going, 1)
	go func() { g <- fate(c.Call(ctx, service, []byte(params), o)) }()
	return g
}
