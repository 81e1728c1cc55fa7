package routing

import (
	"cmp"
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Producer writes requests to Kafka.
type Producer interface {
	// Produce takes a request and calls its Produced method once, later or at
	// once. It does not block: what does not fit its buffer is refused with
	// Overloaded.
	Produce(q *Request)
}

// Responders knows who serves. A request of a service that nobody serves is refused,
// unless the service's requests may wait. One that is open already and sent again is
// not, nor is a notification: nobody would be told, and nobody waits for it.
type Responders interface {
	// Absent tells whether certainly nobody serves a service. It is asked for each
	// request, under a lock.
	Absent(service string) bool
}

// Limits bound what a node holds. The zero value of each stands for its
// default.
type Limits struct {
	OpenRequests int           // a session: 256
	InFlight     int           // requests a node: 100,000
	Sessions     int           // a node: 1,000,000
	Reply        int           // bytes of a reply's body: 1 MiB
	Strangers    int           // replies for other nodes that wait for the table: 65,536
	Patience     time.Duration // an unacknowledged delivery may hold up commits: 5 s
	Resume       time.Duration // a session lives without a socket: 2 min
	Unacked      int           // bytes of replies that a session keeps in memory: 1 MiB
	Stream       int           // bytes of a streamed answer that wait for a client which is not ready: 16 MiB
	Streams      int           // bytes of all of them on a node: 256 MiB
	Gap          time.Duration // a part of a stream may be so much later than those behind it: 10 s
	FeedGap      time.Duration // an event that is pushed may: 30 s
	Kept         int           // kept requests of the cluster: 100,000
	Keep         time.Duration // how long a request is kept: 1 h
	Waiters      int           // who wait for kept requests at a node: 10,000
	Join         time.Duration // who joins a request by its key waits for Kafka's word: 15 s
	Feeds        int           // subscriptions a node: 1,000,000
}

// Options are what a Router is made of.
type Options struct {
	Node     NodeID
	Services []*Service
	Feeds    []string // topics that sessions may subscribe to
	Whole    []string // of these, topics of which they may have all events
	// FeedRules say who may, by topic; one that is not in it is for everybody.
	FeedRules map[string]*Rule
	Producer  Producer
	Table     Table
	Observer  Observer     // nil for none
	Log       *slog.Logger // nil for none
	Limits    Limits
	// Responders is asked before a request is sent; nil: all services are served.
	Responders Responders
}

// Router is one node's routing: its sessions, and the way in and out of them.
// All its methods may be called from any goroutine.
type Router struct {
	node       NodeID
	services   map[string]*Service
	producer   Producer
	table      Table
	observer   Observer
	log        *slog.Logger
	limits     Limits
	responders Responders

	minter    minter
	wheel     *wheel
	sessions  sync.Map // SessionID -> *Session
	attached  atomic.Int64
	inFlight  atomic.Int64
	awaiting  atomic.Int64 // of these, requests that events answer
	following atomic.Int64 // subscriptions
	waiting   atomic.Int64 // bytes of streams that wait for clients to be ready
	brakes    brakes
	gained    atomic.Bool               // partitions have come since the last Deliver
	stuck     atomic.Bool               // no session can be resumed, which has been logged
	behind    atomic.Pointer[time.Time] // when partitions came, while what their former owners sent has not; nil: it has
	strangers chan *Reply               // replies for other nodes, on their way to the table
	afield    afield                    // of these and those, pushes
	astray    *queue[*Reply]            // replies whose session has left this node: they go before the strangers
	holds     *queue[Holding]           // replies to be held
	woke      atomic.Pointer[time.Time] // since when doors wait for the fence to fall; nil while there is none
	heirs     *queue[heir]              // sessions that wait for what their former owners have
	handings  handings                  // sessions of which this node hands on what it had
	muted     *queue[func()]            // what is to be done once the router is not fenced any longer
	recalls   *queue[*Request]
	expired   *queue[*Session] // whose services are to be told, once the table is sure
	keepers   keepers          // requests to be kept
	waiters   waiters          // who waits for kept requests
	unsent    *queue[*open]    // requests whose wait for an event is to be registered
	feeds     map[string]*Rule // who may subscribe, by topic
	whole     map[string]bool  // of these, those that may be subscribed to without a key
	wishes    *queue[subscribing]
}

// New makes a router. It serves as soon as Run does.
func New(o Options) *Router {
	r := &Router{
		node: o.Node, services: make(map[string]*Service), producer: o.Producer, table: o.Table,
		observer: o.Observer, log: o.Log, limits: o.Limits.withDefaults(), wheel: newWheel(), responders: o.Responders,
		astray: newQueue[*Reply](), holds: newQueue[Holding](), heirs: newQueue[heir](), muted: newQueue[func()](), unsent: newQueue[*open](),
		recalls: newQueue[*Request](), expired: newQueue[*Session](),
		keepers: keepers{queue: newQueue[*keeping]()},
	}
	r.wishes, r.feeds = newQueue[subscribing](), make(map[string]*Rule)
	r.whole = make(map[string]bool)
	for _, topic := range o.Whole {
		r.whole[topic] = true
	}
	for _, topic := range o.Feeds {
		r.feeds[topic] = o.FeedRules[topic]
	}
	for _, s := range o.Services {
		r.services[s.Name] = s
	}
	if r.observer == nil {
		r.observer = nobody{}
	}
	if r.log == nil {
		r.log = slog.New(slog.DiscardHandler)
	}
	r.waiters.init()
	r.strangers = make(chan *Reply, r.limits.Strangers)
	return r
}

func (l Limits) withDefaults() Limits {
	for _, d := range []struct {
		at   *int
		than int
	}{{&l.OpenRequests, 256}, {&l.InFlight, 100_000}, {&l.Sessions, 1_000_000}, {&l.Reply, 1 << 20}, {&l.Strangers, 1 << 16}, {&l.Unacked, 1 << 20}, {&l.Stream, 16 << 20}, {&l.Streams, 256 << 20}, {&l.Kept, 100_000}, {&l.Waiters, 10_000}, {&l.Feeds, 1_000_000}} {
		if *d.at <= 0 {
			*d.at = d.than
		}
	}
	if l.Keep <= 0 {
		l.Keep = time.Hour
	}
	if l.Join <= 0 {
		l.Join = 15 * time.Second // longer than a producer takes to give up
	}
	if l.Patience <= 0 {
		l.Patience = 5 * time.Second
	}
	if l.Gap <= 0 {
		l.Gap = 10 * time.Second
	}
	if l.FeedGap <= 0 {
		l.FeedGap = 30 * time.Second
	}
	if l.Resume <= 0 {
		l.Resume = 2 * time.Minute
	}
	return l
}

// Run serves deadlines and relays until ctx ends, and returns when everything
// that it started has ended.
func (r *Router) Run(ctx context.Context) {
	var running sync.WaitGroup
	defer running.Wait()
	running.Go(func() { r.wheel.run(ctx) })
	running.Go(func() { r.hold(ctx) })
	running.Go(func() { r.inherit(ctx) })
	running.Go(func() { r.unmute(ctx) })
	running.Go(func() { r.recall(ctx) })
	running.Go(func() { r.farewell(ctx) })
	running.Go(func() { r.sendAwaited(ctx) })
	running.Go(func() { r.keepAll(ctx) })
	running.Go(func() { r.await(ctx) })
	running.Go(func() { r.follow(ctx) })
	r.relay(ctx)
}

// Node is the name of the node that this router serves.
func (r *Router) Node() NodeID { return r.node }

// Service answers the service with this name, or nil.
func (r *Router) Service(name string) *Service { return r.services[name] }

// Services answers all services, by name in order.
func (r *Router) Services() []*Service {
	return slices.SortedFunc(maps.Values(r.services), func(a, b *Service) int { return cmp.Compare(a.Name, b.Name) })
}

// ServicesFor answers those services that a caller may use, by name in order.
func (r *Router) ServicesFor(c *Caller) []*Service {
	return slices.DeleteFunc(r.Services(), func(s *Service) bool { return !s.Allow.Allows(c) })
}

// Serves tells whether there is a service or a topic that a caller may use, or none for
// anybody. It asks all rules: the caller's claims are not needed any more.
func (r *Router) Serves(c *Caller) bool {
	any := len(r.services)+len(r.feeds) == 0
	for _, s := range r.services {
		any = s.Allow.Allows(c) || any
	}
	for _, rule := range r.feeds {
		any = rule.Allows(c) || any
	}
	c.forgetClaims()
	return any
}

// SetHomes tells which partitions of the reply topic this node consumes now.
func (r *Router) SetHomes(h *Homes) {
	if h.gained(r.minter.homes.Swap(h)) {
		r.gained.Store(true)
	}
}

// Homes answers what SetHomes was told last; nil before.
func (r *Router) Homes() *Homes { return r.minter.homes.Load() }

// OpenSession describes a session that a door wants.
type OpenSession struct {
	Caller *Caller // whose it is
	Sink   Sink    // nil for a session whose calls all have sinks of their own
	Acks   bool    // the client acknowledges, and may resume
}

// Open makes a session. Where it may be resumed, Open blocks, for a bounded
// time, until the table knows it; a table that is away costs the session its
// ability to be resumed, not its service. The error is Overloaded.
func (r *Router) Open(ctx context.Context, o OpenSession) (*Session, *Error) {
	if !r.enroll() {
		r.observer.Count(Refusals, string(Overloaded))
		return nil, refuse(Overloaded, true, "this node has as many sessions as it may")
	}
	s := &Session{id: newSessionID(), acks: o.Acks, sink: o.Sink, router: r, whole: true, epoch: 1}
	s.caller.Store(o.Caller)
	if o.Acks {
		s.secret = randomText()
		if err := r.table.Open(ctx, s.row()); err != nil {
			r.log.Warn("session cannot be resumed", "session", string(s.id), "err", err)
		}
	} else {
		r.table.Announce(s.row())
	}
	r.sessions.Store(s.id, s)
	return s, nil
}

// session answers a session that is here; nil for any other.
func (r *Router) session(id SessionID) *Session {
	if found, here := r.sessions.Load(id); here {
		return found.(*Session)
	}
	return nil
}

// EachSession describes this node's sessions to a table that has lost them.
// ready is called before each session with no lock held: it may block, and ends
// the round by answering false. take is called with the session's lock held, so
// that what it appends to a queue stands in order with the session's claims and
// releases; it must not block.
func (r *Router) EachSession(ready func() bool, take func(s SessionRow, open []Row)) {
	r.sessions.Range(func(_, value any) bool {
		if !ready() {
			return false
		}
		s := value.(*Session)
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.state == live {
			take(s.row(), s.rowsLocked())
		}
		return true
	})
}

// enroll counts a session in, unless the node has as many as it may.
func (r *Router) enroll() bool {
	if r.attached.Add(1) > int64(r.limits.Sessions) {
		r.attached.Add(-1)
		return false
	}
	return true
}

// admit counts a request in, unless the node has as many as it may.
func (r *Router) admit() bool {
	if r.inFlight.Add(1) > int64(r.limits.InFlight) {
		r.inFlight.Add(-1)
		return false
	}
	return true
}

// OpenRequests is how many requests of this node have no outcome yet.
func (r *Router) OpenRequests() int { return int(r.inFlight.Load()) }

// AwaitingEvents is how many of them an event is to answer.
func (r *Router) AwaitingEvents() int { return int(r.awaiting.Load()) }

// Subscriptions is how many the sessions of this node have.
func (r *Router) Subscriptions() int { return int(r.following.Load()) }

// Sessions is how many sessions this node holds.
func (r *Router) Sessions() int { return int(r.attached.Load()) }

// refused counts a call that was not accepted as an open request.
func (r *Router) refused(call *Call, e *Error) {
	service := call.Service
	if r.services[service] == nil {
		service = "unknown" // a client must not be able to grow a metric's labels
	}
	r.observer.Count(Refusals, string(e.Word))
	r.observer.Finished(service, call.Door, e.Word, 0)
}

// dropped counts a reply that was not delivered.
func (r *Router) dropped(why Drop) {
	r.observer.Count(Replies, string(PathDropped))
	r.observer.Count(Drops, string(why))
}

// drop ends a reply's way, under a name.
func (r *Router) drop(reply *Reply, why Drop) {
	// A partition that moved brings some of its newest records again.
	r.dropQuietly(reply, why, why == DropDuplicate)
}

// dropQuietly is drop, which tells only those who debug where quietly is true.
func (r *Router) dropQuietly(reply *Reply, why Drop, quietly bool) {
	r.dropped(why)
	level := slog.LevelInfo
	if quietly {
		level = slog.LevelDebug
	}
	r.log.Log(context.Background(), level, "reply dropped", "reason", string(why), "request", string(reply.ID),
		"partition", reply.From.Partition, "offset", reply.From.Offset)
	reply.done()
}

// stages reports the legs that end with a reply's arrival at its owner.
func (r *Router) stages(o *open, reply *Reply) {
	if !o.accepted.IsZero() && reply.Consumed.After(o.accepted) {
		r.observer.Stage(StageService, reply.Consumed.Sub(o.accepted))
	}
	if !reply.Relayed.IsZero() {
		r.observer.Stage(StageRelay, reply.Relayed.Sub(reply.Consumed))
	}
}
