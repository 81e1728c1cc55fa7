package web

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/mux"

	"parley/routing"
)

// Options are what a Server is made of. Router is required; the zero value of
// each other field stands for its default.
type Options struct {
	Router *routing.Router
	Socket http.Handler // GET /ws; nil for none

	// Forward lists, by service, the request headers that become record headers:
	// lower-case names, where a * at the end stands for any rest. A service that is
	// not in it has content-type, accept, accept-language, traceparent, tracestate
	// and x-*. The content type is passed on in any case.
	Forward map[string][]string
	// Reserved tells which record headers clients may not set. Names that start
	// with parley- never are theirs.
	Reserved func(name string) bool

	Body int64 // bytes of a request's body: 1 MiB

	// ArrayParts and ArrayBytes bound a streamed answer that a client takes as one
	// array: 10,000 and 1 MiB. KeepAlive is how long a stream of events is silent: 15 s.
	ArrayParts int
	ArrayBytes int64
	KeepAlive  time.Duration

	History History // what subscribers have missed that come back; nil: they are told that they have

	// Auth finds out who calls; nil: nobody is asked. Cookie names the cookie that may hold
	// a token; "": none may. It wants an exact list of Origins.
	Auth   Authenticator
	Cookie string

	Origins []string     // besides the gateway's own; "*" for all
	Page    *PageOptions // nil: no demo page
	Ready   []Check      // what /readyz asks
	// ReplyTopic is where services answer, for /asyncapi.json; "": it tells of no topics.
	ReplyTopic string

	Log      *slog.Logger     // nil for none
	Observer routing.Observer // nil for none
}

// Server is one node's HTTP edge. Its methods may be called from any goroutine.
type Server struct {
	router   *routing.Router
	forward  map[string]*forward
	standard *forward // of services that have no list of their own
	reserved func(string) bool
	body     int64

	arrayParts int
	arrayBytes int64
	keepAlive  time.Duration

	history  History
	auth     Authenticator
	cookie   string
	origins  origins
	ready    readiness
	log      *slog.Logger
	observer routing.Observer
	handler  http.Handler

	calls    calls
	parked   sync.Pool    // of *parked
	arriving atomic.Int64 // bodies that are being read

	// session is the server's own, whose sinks are the parked calls. opening
	// guards its replacement; ended says that there will be no other.
	session atomic.Pointer[routing.Session]
	opening sync.Mutex
	ended   bool

	// draining is over when the server takes no new calls: who only looks whether
	// there is something is answered. ending is over when parked calls must end too.
	draining, ending context.Context
	drain, end       context.CancelFunc
}

// New makes a server. Its error names every option that is wrong.
func New(o Options) (*Server, error) {
	s := &Server{
		router: o.Router, reserved: o.Reserved, body: o.Body, log: o.Log, observer: o.Observer, auth: o.Auth, cookie: o.Cookie,
		ready: readiness{checks: o.Ready}, calls: calls{going: make(chan struct{})}, history: o.History,
	}
	if s.history == nil {
		s.history = noHistory{}
	}
	if s.router == nil {
		return nil, errors.New("web: Router is required")
	}
	if s.body <= 0 {
		s.body = 1 << 20
	}
	s.arrayParts, s.arrayBytes, s.keepAlive = o.ArrayParts, o.ArrayBytes, o.KeepAlive
	if s.arrayParts <= 0 {
		s.arrayParts = 10_000
	}
	if s.arrayBytes <= 0 {
		s.arrayBytes = 1 << 20
	}
	if s.keepAlive <= 0 {
		s.keepAlive = 15 * time.Second
	}
	if s.reserved == nil {
		s.reserved = func(string) bool { return false }
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.observer == nil {
		s.observer = nobody{}
	}
	s.ready.draining = s.calls.isDraining
	s.draining, s.drain = context.WithCancel(context.Background())
	s.ending, s.end = context.WithCancel(context.Background())
	var errOrigins, errForward, errPage error
	s.origins, errOrigins = newOrigins(o.Origins)
	s.standard, _ = newForward(defaultForward)
	s.forward, errForward = newForwards(o.Forward)
	s.origins.cookies = o.Cookie != ""
	page, errPage := newPage(o.Page, s)
	if err := errors.Join(errOrigins, errForward, errPage); err != nil {
		return nil, fmt.Errorf("web: %w", err)
	}
	s.handler = s.recovering(s.guardOrigins(s.routes(o.Socket, page, newDescriptions(s, o.ReplyTopic))))
	return s, nil
}

// routes builds the map of paths. Paths are matched as they were escaped, and
// never redirected to a cleaner form: what is below a service's name is the
// service's.
func (s *Server) routes(socket http.Handler, page *page, about descriptions) http.Handler {
	m := mux.NewRouter().SkipClean(true).UseEncodedPath()
	m.PathPrefix("/services/").Handler(s.known(http.HandlerFunc(s.serveService)))
	m.Handle(resultsPath+"{id}", s.known(s.verbs(map[string]http.Handler{
		http.MethodGet: http.HandlerFunc(s.serveResult), http.MethodDelete: http.HandlerFunc(s.cancelResult),
	})))
	m.Handle(feedsPath+"{topic}", s.known(s.verbs(map[string]http.Handler{http.MethodGet: http.HandlerFunc(s.serveFeed)})))
	if socket != nil {
		m.Handle("/ws", s.verbs(map[string]http.Handler{http.MethodGet: socket}))
	}
	m.Handle("/healthz", s.get(http.HandlerFunc(healthz)))
	m.Handle("/readyz", s.get(&s.ready))
	m.Handle("/openapi.json", s.known(s.get(about.openAPI)))
	m.Handle("/asyncapi.json", s.known(s.get(about.asyncAPI)))
	for path, asset := range page.assets {
		m.Handle(path, s.get(asset))
	}
	m.NotFoundHandler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.refuse(w, r, http.StatusNotFound, invalidRequest("there is nothing at %q", clip(r.URL.Path)))
	})
	return m
}

// Handler serves all of the client's side.
func (s *Server) Handler() http.Handler { return s.handler }

// HTTPServer makes a server for clients or operators that gives slow and idle
// connections up. It has no limit for a whole request or response, since parked
// calls and sockets last: handlers of this package set their own.
func HTTPServer(addr string, h http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Addr: addr, Handler: h,
		ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelInfo),
	}
}

// Shutdown refuses new calls (503 with Retry-After) and waits until the parked
// ones have ended. When ctx ends first, these get 503 as well, and ctx's error
// is answered. It may be called more than once; /readyz says 503 from now on.
func (s *Server) Shutdown(ctx context.Context) error {
	idle := s.calls.drain()
	s.drain()
	select {
	case <-idle:
		s.endSession()
		return nil
	case <-ctx.Done():
	}
	s.endSession()
	grace := time.NewTimer(lastWrites)
	defer grace.Stop()
	select {
	case <-idle:
	case <-grace.C:
	}
	return ctx.Err()
}

// lastWrites is how long Shutdown waits for the 503 of calls that it ends.
const lastWrites = time.Second

// Close ends all parked calls with 503, at once.
func (s *Server) Close() error {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := s.Shutdown(ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// recovering turns a handler's panic into a problem and a line in the log.
func (s *Server) recovering(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			switch v := recover(); v {
			case nil:
			case http.ErrAbortHandler:
				panic(v)
			default:
				s.log.Error("handler panics", "method", r.Method, "path", r.URL.Path, "panic", v, "stack", string(debug.Stack()))
				s.refuse(w, r, 0, &routing.Error{Word: routing.Internal, Message: "the gateway has failed", Outcome: routing.Unknown})
			}
		}()
		next.ServeHTTP(w, r)
	})
}

// nobody is the observer of a server that was given none.
type nobody struct{}

func (nobody) Finished(string, routing.Door, routing.Word, time.Duration) {}
func (nobody) Stage(routing.Stage, time.Duration)                         {}
func (nobody) Count(routing.Counter, string)                              {}
