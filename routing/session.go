package routing

import (
	"crypto/sha256"
	"sync"
	"time"
)

// Sink is where a session's outcomes go: a socket, a parked HTTP call. Its
// methods are called with the session's lock held: they must neither block nor
// call into the session.
type Sink interface {
	// Accepted says that Kafka has acknowledged a request.
	Accepted(clientID string, id RequestID)
	// Deliver takes a part of an answer, or the outcome. The Delivery may be used
	// after the call returned; what it points to is never changed.
	Deliver(d Delivery)
}

// Delivery is one message for a client: a part of a streamed answer, or the
// outcome of a request.
type Delivery struct {
	// Seq counts the deliveries of a session's sink from 1. Session.Ack takes it
	// back. It is 0 for a call that was submitted with a sink of its own.
	Seq      uint64
	ClientID string
	ID       RequestID
	N        int  // position among the replies to this request, from 0
	Part     bool // more replies follow

	Reply       *Reply // nil where the outcome is an error of Parley's
	Err         *Error // nil where it is an answer
	WantHeaders bool
	Trace       *Trace // nil unless asked for

	receipt Receipt
	token   Token
}

// Written settles a delivery whose Seq is 0: it has been written, or there is
// nobody to write it to. For others, Session.Ack does.
func (d Delivery) Written() {
	if d.receipt != nil {
		d.receipt.Done(d.token)
	}
}

// Trace tells how a request travelled, as far as its owner knows. Zero times
// and partitions of -1 are unknown.
type Trace struct {
	ID         RequestID
	Node       NodeID
	Service    string
	Request    RecordAt
	Reply      RecordAt
	ConsumedBy NodeID
	Path       Path

	Submitted, Accepted, Replied, Consumed, Relayed, Pushed time.Time
}

// Session is what a client holds across sockets: its open requests and what it
// has not acknowledged. Its methods may be called from any goroutine.
type Session struct {
	id      SessionID
	secret  string
	subject string
	acks    bool // the client acknowledges; else what is written counts as acknowledged
	router  *Router

	mu       sync.Mutex
	sink     Sink
	closed   bool
	counter  uint64             // n of the newest request
	open     map[uint64]*open   // by n; made when first needed, as an idle session is to stay small
	byClient map[string]*open   // by ClientID, where there is one
	late     [lateMemory]uint64 // n of requests that ended without an answer, as a ring
	lateAt   int
	seq      uint64    // of the newest delivery
	unacked  []unacked // deliveries that wait for their acknowledgement: seq rises by one
	patience timer     // fires when the oldest receipt in unacked has waited too long
	patient  bool      // patience is armed
}

// lateMemory is how many requests that timed out or were cancelled a session
// remembers, to call their answers late and not duplicate.
const lateMemory = 8

// unacked is a delivery that its client has not acknowledged.
type unacked struct {
	seq     uint64
	since   time.Time // when it was handed to the sink
	at      time.Time // when it was handed to the sink, later when it was written
	written bool
	receipt Receipt
	token   Token
}

// ID is the session's name.
func (s *Session) ID() SessionID { return s.id }

// Secret is what a client needs to resume the session.
func (s *Session) Secret() string { return s.secret }

// row is what the table keeps of the session.
func (s *Session) row() SessionRow {
	row := SessionRow{ID: s.id, Subject: s.subject, Epoch: 1}
	if s.acks {
		hash := sha256.Sum256([]byte(s.secret))
		row.Secret = hash[:]
	}
	return row
}

// rowsLocked is what the table keeps of the session's open requests.
func (s *Session) rowsLocked() []Row {
	if len(s.open) == 0 {
		return nil
	}
	rows := make([]Row, 0, len(s.open))
	for _, o := range s.open {
		rows = append(rows, o.row())
	}
	return rows
}

// Submit makes a request of a service. It does not block and keeps call. The
// outcome goes to own, or to the session's sink where own is nil, unless Submit
// itself answers an error, which is then the outcome. A message that is sent
// again while its request is open is no error and no second request.
func (s *Session) Submit(call *Call, own Sink) (RequestID, *Error) {
	id, err := s.submit(call, own)
	if err != nil {
		s.router.refused(call, err)
	}
	return id, err
}

func (s *Session) submit(call *Call, own Sink) (RequestID, *Error) {
	r := s.router
	service := r.services[call.Service]
	if service == nil {
		return "", refuse(UnknownService, false, "there is no service %q", call.Service)
	}
	now := time.Now()
	if call.Notify {
		r.producer.Produce(s.request(call, service, now))
		return "", nil
	}
	o, again, err := s.enter(call, service, own, now)
	if err != nil {
		return "", err
	}
	if !again {
		r.producer.Produce(&o.Request)
	}
	return o.ID, nil
}

// request describes a call to the producer.
func (s *Session) request(call *Call, service *Service, now time.Time) *Request {
	timeout := service.Timeout
	if call.Timeout > 0 {
		timeout = call.Timeout
	}
	return &Request{
		Session: s.id, Subject: s.subject, Service: service, Call: call,
		Deadline: now.Add(timeout), ReplyPartition: NoPartition, from: s.router,
	}
}

// enter makes a call an open request, or finds the one that it repeats.
func (s *Session) enter(call *Call, service *Service, own Sink, now time.Time) (o *open, again bool, err *Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, false, refuse(SessionGone, true, "the session has ended")
	}
	if twin := s.byClient[call.ClientID]; twin != nil && call.ClientID != "" {
		if twin.Call.Digest != call.Digest {
			return nil, false, refuse(DuplicateID, false, "request %s is still open, and was not the same", call.ClientID)
		}
		if !twin.accepted.IsZero() {
			s.sink.Accepted(twin.Call.ClientID, twin.ID)
		}
		return twin, true, nil
	}
	limit := s.router.limits.OpenRequests
	if own == nil && len(s.open) >= limit {
		return nil, false, refuse(Overloaded, true, "the session has %d requests open, which is its limit", limit)
	}
	if !s.router.admit() {
		return nil, false, refuse(Overloaded, true, "this node has as many requests in flight as it may")
	}
	s.counter++
	o = &open{Request: *s.request(call, service, now), session: s, n: s.counter, own: own, submitted: now}
	o.Request.open = o
	o.ID, o.ReplyPartition = s.router.minter.mint(s.id, o.n, service.Partitioner)
	s.rememberLocked(o)
	return o, false, nil
}

// rememberLocked files an open request everywhere that it is looked for.
func (s *Session) rememberLocked(o *open) {
	if s.open == nil {
		s.open = make(map[uint64]*open)
	}
	s.open[o.n] = o
	if o.Call.ClientID != "" {
		if s.byClient == nil {
			s.byClient = make(map[string]*open)
		}
		s.byClient[o.Call.ClientID] = o
	}
	s.router.table.Claim(o.row())
	o.deadline.target = o
	s.router.wheel.arm(&o.deadline, o.Deadline)
}

// forgetLocked undoes rememberLocked: the request has its outcome.
func (s *Session) forgetLocked(o *open, outcome Word) {
	delete(s.open, o.n)
	if o.Call.ClientID != "" {
		delete(s.byClient, o.Call.ClientID)
	}
	if outcome != OK && outcome != FromService {
		s.late[s.lateAt%lateMemory] = o.n
		s.lateAt++
	}
	s.router.wheel.disarm(&o.deadline)
	s.router.table.Release(s.id, o.n)
	s.router.inFlight.Add(-1)
	s.router.observer.Finished(o.Service.Name, o.Call.Door, outcome, time.Since(o.submitted))
}

// Cancel ends the open request with the client's id as cancelled, and tells
// whether there was one. The service may see it all the same.
func (s *Session) Cancel(clientID string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.byClient[clientID]
	if o == nil {
		return false
	}
	s.failLocked(o, &Error{Word: Cancelled, Message: "the client cancelled the request", Outcome: Unknown})
	return true
}

// Abandon forgets an open request whose client has left: no outcome is
// delivered. It does nothing when the request has ended.
func (s *Session) Abandon(id RequestID) {
	_, n, _ := id.Split()
	s.mu.Lock()
	defer s.mu.Unlock()
	if o := s.open[n]; o != nil && o.ID == id {
		s.forgetLocked(o, Cancelled)
	}
}

// Close ends the session: its open requests end without an outcome, except
// those that have a sink of their own, which get unavailable. It may be called
// more than once.
func (s *Session) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.closed = true
	for _, o := range s.open {
		if o.own != nil {
			s.failLocked(o, &Error{Word: Unavailable, Message: "this node is going away", Outcome: Unknown, Retry: true})
		} else {
			s.forgetLocked(o, SessionGone)
		}
	}
	s.router.wheel.disarm(&s.patience)
	for i := range s.unacked {
		if s.unacked[i].settle() {
			s.router.dropped(DropSessionGone)
		}
	}
	s.unacked = nil
	s.router.closed(s)
}
