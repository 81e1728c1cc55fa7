package ws

import (
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"parley/routing"
)

// Options are what a Server is made of. Only Router is required: the zero value
// of any other field stands for the default that its comment names.
type Options struct {
	Router *routing.Router

	// Origins are those of web pages that may connect besides the gateway's own,
	// such as "https://shop.example"; "*" stands for all.
	Origins []string
	// Auth finds out who connects; nil: nobody is asked. Cookie names the cookie of the
	// handshake that may hold a token; "": none may. It wants an exact list of Origins.
	Auth   Authenticator
	Cookie string
	// Reserved tells which record headers a client may not set. Default: those that
	// start with "parley-".
	Reserved func(header string) bool

	Frame          int64         // bytes of a client's message: 1 MiB
	HelloTimeout   time.Duration // to say hello under parley.v1: 5 s
	MessageTimeout time.Duration // for a message that was begun to end: 30 s
	MaxAge         time.Duration // a socket's longest life, of which up to a tenth is taken off at random: 30 min; negative for no end
	Ping           time.Duration // between two pings, give or take a tenth: 25 s
	PongTimeout    time.Duration // to answer one: 10 s

	// SendQueue is how many bytes may wait for a socket: 1 MiB. A socket that has
	// more to take for longer than 2 s, or 16 times as much at any moment, is
	// closed with 4413: a burst of large replies is not yet a slow client.
	SendQueue int

	Resume       time.Duration // only told to clients: 2 min
	OpenRequests int           // told to clients, and how many may be open in batches: 256

	Log      *slog.Logger     // none
	Observer routing.Observer // none
}

func (o Options) withDefaults() Options {
	for _, d := range []struct {
		at   *time.Duration
		than time.Duration
	}{
		{&o.HelloTimeout, 5 * time.Second}, {&o.MessageTimeout, 30 * time.Second}, {&o.MaxAge, 30 * time.Minute},
		{&o.Ping, 25 * time.Second}, {&o.PongTimeout, 10 * time.Second}, {&o.Resume, 2 * time.Minute},
	} {
		if *d.at == 0 {
			*d.at = d.than
		}
	}
	if o.Frame <= 0 {
		o.Frame = 1 << 20
	}
	if o.SendQueue <= 0 {
		o.SendQueue = 1 << 20
	}
	if o.OpenRequests <= 0 {
		o.OpenRequests = 256
	}
	if o.Reserved == nil {
		o.Reserved = func(header string) bool { return strings.HasPrefix(header, "parley-") }
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Observer == nil {
		o.Observer = nobody{}
	}
	return o
}

// Server is the WebSocket edge of one node. Its methods may be called from any
// goroutine.
type Server struct {
	o        Options
	origins  origins
	discover discovery // the answers to rpc.discover
	example  []byte    // a request that works as it is
	start    time.Time

	parkAfter time.Duration // of quiet; 0: no socket is parked
	lot       lot

	mu      sync.Mutex
	down    bool // no new sockets
	newest  uint64
	conns   map[uint64]*conn // by id
	running sync.WaitGroup   // the sockets; added to under mu, while not down
}

// New makes a server. It starts nothing.
func New(o Options) *Server {
	o = o.withDefaults()
	services := o.Router.Services()
	s := &Server{
		o: o, origins: newOrigins(o.Origins), example: example(services),
		start: time.Now(), parkAfter: parkAfter, conns: make(map[uint64]*conn),
	}
	s.lot.wake = s.wake
	return s
}

// ServeHTTP serves GET /ws. It returns after the handshake: the socket goes on in
// goroutines of its own, for whose end Shutdown waits, so that an idle one does not
// keep the HTTP server's buffers, the request and a stack grown by both. A page
// of a foreign origin gets 403, a request that is no WebSocket handshake 4xx,
// and all get 503 once Shutdown was called.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !s.origins.allow(r) {
		s.o.Observer.Count(routing.Refusals, string(routing.Forbidden))
		s.o.Log.Info("origin refused", "origin", clip(r.Header.Get("Origin")), "host", clip(r.Host))
		http.Error(w, "this origin may not connect: see the gateway's setting origins", http.StatusForbidden)
		return
	}
	c := &conn{server: s}
	if !s.add(c) {
		w.Header().Set("Retry-After", "5")
		http.Error(w, "this node goes away", http.StatusServiceUnavailable)
		return
	}
	refused := c.identify(r.Context(), s.token(r))
	unknown, err := c.accept(w, r)
	if err != nil {
		s.remove(c)
		s.o.Log.Debug("no WebSocket handshake", "err", err)
		return // the client has been told
	}
	if unknown && refused == nil {
		refused = &closeProtocol
	}
	go c.serve(refused)
}

// add counts a socket in, unless the server is down.
func (s *Server) add(c *conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down {
		return false
	}
	s.newest++
	c.id = s.newest
	s.conns[c.id] = c
	s.running.Add(1)
	return true
}

func (s *Server) remove(c *conn) {
	s.mu.Lock()
	delete(s.conns, c.id)
	s.mu.Unlock()
	s.running.Done()
}

// wake has a parked socket read, if it is there still.
func (s *Server) wake(id uint64) {
	s.mu.Lock()
	c := s.conns[id]
	s.mu.Unlock()
	if c != nil {
		c.wake()
	}
}

// Sockets is how many sockets are open.
func (s *Server) Sockets() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

// each calls do for every socket. do must not block.
func (s *Server) each(do func(*conn)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.conns {
		do(c)
	}
}

// clock is the time since the server was made, and never 0: what connections
// keep instead of a time.Time, which is three times as large.
func (s *Server) clock() time.Duration { return time.Since(s.start) + 1 }

// nobody is the Observer of a server that was given none.
type nobody struct{}

func (nobody) Finished(string, routing.Door, routing.Word, time.Duration) {}
func (nobody) Stage(routing.Stage, time.Duration)                         {}
func (nobody) Count(routing.Counter, string)                              {}
