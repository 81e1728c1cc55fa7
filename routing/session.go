package routing

import (
	"crypto/sha256"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Sink is where a session's outcomes go: a socket, a parked HTTP call. Its
// methods are called with the session's lock held: they must neither block nor
// call into the session.
type Sink interface {
	// Accepted says that Kafka has acknowledged a request whose call has WantSafe,
	// and that the table has its row, or is away: with a table, the client will
	// learn of its outcome even if this node dies now.
	Accepted(clientID string, id RequestID)
	// Deliver takes a part of an answer, or the outcome. The Delivery may be used
	// after the call returned; what it points to is never changed.
	Deliver(d Delivery)
	// Leave says that the session lets go of this sink: nothing more will come.
	Leave(why Leaving)
}

// Leaving is why a session lets go of its sink.
type Leaving string

const (
	LeaveTakenOver Leaving = "taken_over"     // the client has resumed the session on another socket
	LeaveRemoved   Leaving = "removed"        // the node was taken for dead: others have its sessions
	LeaveUnread    Leaving = "unacknowledged" // too much is unacknowledged: it is held
	LeaveEnded     Leaving = "ended"          // the session is over
)

// Delivery is one message for a client: a part of a streamed answer, or the
// outcome of a request.
type Delivery struct {
	// Seq counts the deliveries to a session's sink from 1. Session.Ack takes it
	// back. It is 0 for a call that was submitted with a sink of its own.
	Seq      uint64
	ClientID string
	ID       RequestID
	N        int  // position among the replies to this request, from 0
	Part     bool // more replies follow
	Again    bool // it was delivered to another sink before

	Push        *Push  // not nil where no request asked for it
	Reply       *Reply // nil where the outcome is an error of Parley's
	Err         *Error // nil where it is an answer
	WantHeaders bool
	Trace       *Trace // nil unless asked for
}

// Written settles a delivery whose Seq is 0: it has been written, or there is
// nobody to write it to. For others, Session.Ack does.
func (d Delivery) Written() {
	if d.Reply != nil {
		d.Reply.done()
	}
}

// Session is what a client holds across sockets: its open requests and what it
// has not acknowledged. Its methods may be called from any goroutine.
type Session struct {
	id     SessionID
	secret string
	caller atomic.Pointer[Caller] // whose it is; another one of the same subject once it was resumed
	acks   bool                   // the client acknowledges, and may resume; else what is written counts as acknowledged
	router *Router

	mu       sync.Mutex
	state    sessionState
	looking  bool               // requests that only the client knows are looked for again
	looked   bool               // that has been done since this node has the session
	whole    bool               // this node knows of all requests that any node has taken from the client
	epoch    uint64             // of the take-over by which this node owns it
	since    uint64             // of the take-over by which this node got it from another
	taken    uint64             // of the newest take-over by another node that this one has heard of
	sink     Sink               // nil while no socket is attached, and where each call has its own
	counter  uint64             // n of the newest request
	open     map[uint64]*open   // by n; made when first needed, as an idle session is to stay small
	byClient map[string]*open   // by ClientID, where there is one
	late     [lateMemory]uint64 // n of requests that ended without an answer, as a ring
	lateAt   int
	inherits *inheritance // what former owners may still have; nil once all has come
	resumers int          // clients that wait for the table to give the session back
	feeds    *feeds       // nil until it subscribes to something
	early    []early      // replies that came while the session was resuming, or for requests that may yet be known

	waits  int     // deliveries for which clients are not ready, with their open requests, and pushes that wait for others
	finals *finals // where its newest streams have ended; nil without any

	seq      uint64    // of the newest delivery to the sink
	unacked  []unacked // deliveries that wait for their acknowledgement: seq rises by one
	bytes    int       // of the replies in unacked
	patience timer     // fires when the oldest reply in unacked has waited too long
	patient  bool      // patience is armed
	window   timer     // fires when a session without a socket is to end
}

// sessionState is where a session stands.
type sessionState uint8

const (
	live     sessionState = iota
	resuming              // asked for by a client: the table has not answered yet
	ended                 // or another node's
)

// lateMemory is how many requests that timed out or were cancelled a session
// remembers, to call their answers late and not duplicate.
const lateMemory = 8

// ID is the session's name.
func (s *Session) ID() SessionID { return s.id }

// OpenRequests is how many requests of the session have no outcome yet.
func (s *Session) OpenRequests() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.open)
}

// Caller is whose session it is; nil where that is not known.
func (s *Session) Caller() *Caller { return s.caller.Load() }

// subject is whose session it is; "" where that is not known.
func (s *Session) subject() string { return s.caller.Load().Name() }

// Secret is what a client needs to resume the session.
func (s *Session) Secret() string { return s.secret }

// row is what the table keeps of the session.
func (s *Session) row() SessionRow {
	row := SessionRow{ID: s.id, Subject: s.subject(), Epoch: s.epoch, Feeds: s.feedsLocked()}
	if s.acks {
		hash := sha256.Sum256([]byte(s.secret))
		row.Secret = hash[:]
	}
	return row
}

// openLocked answers the open requests, which may end meanwhile.
func (s *Session) openLocked() []*open { return slices.Collect(maps.Values(s.open)) }

// rowsLocked is what the table keeps of the session's requests: those that are
// open, and those whose outcome is not acknowledged.
func (s *Session) rowsLocked() (rows []Row) {
	for _, o := range s.open {
		if !o.unkept() {
			rows = append(rows, o.row())
		}
	}
	for i := range s.unacked {
		if u := &s.unacked[i]; s.acks && !u.Part && u.Push == nil {
			rows = append(rows, u.row(s.id))
		}
	}
	return rows
}

// sinkLocked is where the messages of a request go; nil where nobody listens.
func (s *Session) sinkLocked(o *open) Sink {
	if o.own != nil {
		return o.own
	}
	return s.sink
}

// Detach tells that a sink's socket is lost. The session of a client that may
// resume goes on without one, for as long as Limits.Resume; any other ends. It
// does nothing when the session has another sink by now.
func (s *Session) Detach(from Sink) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != live || s.sink != from {
		return
	}
	if !s.acks {
		s.closeLocked(true)
		return
	}
	s.detachLocked()
}

func (s *Session) detachLocked() {
	s.sink = nil
	if s.window.target == nil {
		s.window.target = (*resumeWindow)(s)
	}
	s.router.wheel.arm(&s.window, time.Now().Add(s.router.limits.Resume))
}

// Close ends the session: its open requests end without an outcome, except
// those that have a sink of their own, which get unavailable. It may be called
// more than once.
func (s *Session) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == live {
		s.closeLocked(true)
	}
}

// closeLocked ends the session; recall says that services are to be told.
func (s *Session) closeLocked(recall bool) {
	for _, o := range s.open {
		if o.own != nil {
			s.failLocked(o, &Error{Word: Unavailable, Message: "this node is going away", Outcome: Unknown, Retry: true})
		} else {
			s.discardLocked(o, DropSessionGone)
			s.forgetLocked(o, SessionGone)
			if recall {
				s.recallLocked(o)
			}
		}
	}
	lose := func(u *unacked) {
		if u.Reply != nil && !u.safe {
			u.Reply.done()
			s.router.dropped(DropSessionGone)
		}
	}
	for i := range s.unacked {
		lose(&s.unacked[i])
	}
	s.eachEarlyPushLocked(lose)
	for _, e := range s.early {
		s.router.drop(e.Reply, DropSessionGone)
	}
	s.endFeedsLocked()
	s.router.table.End(s.id) // before the session can be resumed here again
	s.clearLocked()
}

// clearLocked ends the session on this node.
func (s *Session) clearLocked() {
	s.state = ended
	s.dropFeedsLocked()
	s.router.wheel.disarm(&s.patience)
	s.router.wheel.disarm(&s.window)
	s.sink, s.unacked, s.bytes, s.open, s.byClient, s.early = nil, nil, 0, nil, nil, nil
	s.router.sessions.CompareAndDelete(s.id, s)
	s.router.attached.Add(-1)
}
