package routing

import (
	"context"
	"crypto/sha256"
	"errors"
	"math/rand/v2"
	"slices"
	"time"
)

// ResumeSession is what a client shows to go on with its session.
type ResumeSession struct {
	ID      SessionID
	Secret  string
	Caller  *Caller  // of the session's subject
	Open    []string // ids of requests that the client waits for
	Streams []StreamAt
	Sink    Sink
	// Attached, if not nil, is called with the session's lock held once the session
	// is the client's again, and before anything is delivered to Sink.
	Attached func(s *Session)
}

// Resume gives a client its session back, on whichever node it was: the old
// sink is left, what is not acknowledged is delivered to the new one, oldest
// first, then what comes. It blocks, for a bounded time, on the table. Where the
// session was on another node it takes Resume a little longer to say what is missing
// than to call Attached. The error is SessionGone or Unavailable.
func (r *Router) Resume(ctx context.Context, o ResumeSession) (s *Session, missing Missing, err *Error) {
	for range resumeTries {
		if s, missing, err = r.resumeOnce(ctx, o); err != errMovedOn {
			return s, missing, err
		}
	}
	return nil, Missing{}, err
}

// Missing are those ids of ResumeSession.Open that the session does not know.
type Missing struct {
	IDs []string
	// Never says that no node has ever taken these requests from the client, and that
	// none will: what its old sockets still bring is refused.
	Never bool
}

// resumeTries bounds how often Resume starts again because the session was taken
// over by another node, or left this one, between the table's word and its attach.
const resumeTries = 3

var errMovedOn = refuse(Unavailable, true, "the session is being resumed elsewhere")

// errTaken is the answer where another node has got the session since: to start again
// would take it from a newer socket of the same client.
var errTaken = refuse(Unavailable, true, "the session has been resumed elsewhere since")

func (r *Router) resumeOnce(ctx context.Context, o ResumeSession) (s *Session, missing Missing, err *Error) {
	if s, err = r.expect(o); err != nil {
		return nil, missing, err
	}
	got, err := r.takeOver(ctx, o)
	if err == nil {
		Pass(PointResumed)
		var look bool
		if missing, look, err = s.attach(o, got); look {
			missing = s.lookAgain(ctx, got.Epoch, missing.IDs, o.Streams)
		}
	}
	if err != nil {
		s.giveUp()
		return nil, Missing{}, err
	}
	return s, missing, nil
}

// takeOver has the table give this node the session. While that cannot be, it is logged once.
func (r *Router) takeOver(ctx context.Context, o ResumeSession) (Resumed, *Error) {
	hash := sha256.Sum256([]byte(o.Secret))
	got, err := r.table.Resume(ctx, Resumption{ID: o.ID, Subject: o.Caller.Name(), Secret: hash[:]})
	switch {
	case err == nil:
		if r.stuck.Load() && r.stuck.CompareAndSwap(true, false) {
			r.log.Info("sessions are resumed again")
		}
		return got, nil
	case errors.Is(err, ErrSessionGone):
		return got, refuse(SessionGone, false, "the session has expired, or is not yours")
	case r.stuck.CompareAndSwap(false, true):
		r.log.Warn("sessions cannot be resumed now", "session", string(o.ID), "err", err)
	}
	return got, refuse(Unavailable, true, "sessions cannot be resumed at the moment")
}

// expect finds the session, or files one that is resuming: from the moment that
// the table names this node as the owner, replies may come for it.
func (r *Router) expect(o ResumeSession) (*Session, *Error) {
	if len(o.ID) != sessionLength {
		return nil, refuse(SessionGone, false, "there is no such session")
	}
	fresh := &Session{
		id: o.ID, secret: o.Secret, acks: true, router: r, state: resuming, resumers: 1,
	}
	fresh.caller.Store(o.Caller)
	for {
		found, here := r.sessions.LoadOrStore(o.ID, fresh)
		if !here {
			if !r.enroll() {
				r.sessions.CompareAndDelete(o.ID, fresh)
				return nil, refuse(Overloaded, true, "this node has as many sessions as it may")
			}
			return fresh, nil
		}
		s := found.(*Session)
		s.mu.Lock()
		usable := s.state != ended
		if usable {
			s.resumers++
		}
		s.mu.Unlock()
		if usable {
			return s, nil
		}
	}
}

// giveUp ends a wish to resume. What came for a take-over that never was is routed
// to wherever it belongs.
func (s *Session) giveUp() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.resumers--; s.resumers > 0 || s.state == ended {
		return
	}
	to := s.router.handOver(s.id, s.taken)
	waiting := s.early
	if s.early = nil; s.state == resuming {
		s.clearLocked()
	}
	for _, e := range waiting {
		if s.state == live && e.epoch <= s.epoch {
			s.early = append(s.early, e) // it waits for something else
		} else {
			to.pass(e.Reply)
		}
	}
	to.done()
}

// attach makes o's sink the session's, by the take-over that the table granted. It
// answers which of the client's ids are missing, and whether to look for them again.
func (s *Session) attach(o ResumeSession, got Resumed) (missing Missing, look bool, err *Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if got.Epoch < s.taken || s.state == ended || got.Epoch <= s.epoch {
		if s.state != live || got.Epoch < s.since {
			s.router.table.Left(s.id, got.Epoch, got.Epoch) // nothing is ever made by it
		}
		if got.Epoch < s.taken {
			return missing, false, errTaken
		}
		return missing, false, errMovedOn
	}
	s.resumers--
	if s.sink != nil {
		s.sink.Leave(LeaveTakenOver)
	}
	s.router.wheel.disarm(&s.window)
	if s.state == resuming || got.Epoch != s.epoch+1 {
		if s.state == live || s.taken > 0 { // it kept all, as it had not heard that it had lost the session
			s.router.handOver(s.id, got.Epoch).done()
		}
		if s.state == live {
			s.tellLeftLocked()
		}
		s.adoptLocked(got)
		s.inheritLocked()
		s.whole, s.looked, s.since = false, false, got.Epoch
	}
	missing = s.missingLocked(o.Open)
	s.looking = len(missing.IDs) > 0 && !s.whole && !s.looked
	s.epoch, s.secret = got.Epoch, o.Secret
	s.caller.Store(o.Caller)
	s.dropForbiddenLocked(o.Caller)
	s.sink, s.seq = o.Sink, 0
	if o.Attached != nil {
		o.Attached(s)
	}
	s.restateLocked(o.Streams)
	defer s.followAllLocked() // after what this node or the table still has
	waiting := s.early
	s.early = nil
	s.redeliverLocked(got.Held)
	for _, e := range waiting {
		if !e.held { // else it is among got.Held
			s.takeEarlyLocked(e)
		}
	}
	s.goOnLocked()
	s.orderLocked()
	return missing, s.looking, nil
}

const (
	// adoptGrace is how much longer than its deadline an adopted request waits: its
	// reply may have been in time, and be on its way from the node that had the
	// session before, or be consumed again after that node's death.
	adoptGrace = 5 * time.Second
	// adoptLate is how long it waits where that has passed too.
	adoptLate = 50 * time.Millisecond
)

// adoptLocked makes the session what the table knows of it, where another node
// has had it since this one last did: what has ended there is forgotten, what was
// asked there becomes an open request here.
func (s *Session) adoptLocked(got Resumed) {
	s.state = live
	// Above whatever the owners before have counted to. Where Redis has lost a take-over, two
	// nodes have the session by the same epoch, one after the other, and must not count alike.
	s.counter = got.Epoch<<32 | rand.Uint64N(1<<31)
	waits := make(map[uint64]bool)
	for _, row := range got.Rows {
		waits[row.N] = true
	}
	for _, o := range s.openLocked() {
		if !waits[o.n] {
			s.settleWaitingLocked(o)
			s.dropLocked(o)
		}
	}
	s.unacked = slices.DeleteFunc(s.unacked, func(u unacked) bool {
		gone := !waits[u.n] && u.Push == nil
		if gone && u.Reply != nil {
			u.Reply.done()
		}
		return gone
	})
	s.adoptFeedsLocked(got.Feeds)
	for _, row := range got.Rows {
		if o := s.open[row.N]; o != nil {
			s.catchUpLocked(o, row.Had)
		} else if !slices.ContainsFunc(s.unacked, func(u unacked) bool { return u.n == row.N }) {
			s.adoptRowLocked(row)
		}
	}
}

func (s *Session) adoptRowLocked(row Row) {
	r := s.router
	service := r.services[row.Service]
	if service == nil {
		service = &Service{Name: row.Service} // configured on the other node only
	}
	now := time.Now()
	due := row.Deadline.Add(adoptGrace)
	if soon := now.Add(adoptLate); due.Before(soon) || service.View != nil {
		due = soon
	}
	o := &open{session: s, n: row.N, submitted: now, adopted: true, moved: true, follows: row.Follows}
	o.Request = Request{
		Session: s.id, Subject: s.subject(), Service: service, Deadline: row.Deadline, ReplyPartition: NoPartition, Entity: row.Entity, open: o, from: r,
		Call: &Call{Door: DoorWS, ClientID: row.ClientID, Digest: row.Digest, Service: row.Service, WantTrace: row.WantTrace, WantHeaders: row.WantHeaders},
	}
	if row.Had != nil {
		o.parts, o.newest = row.Had.Parts, row.Had.Newest
		o.streamed().had, o.stream.has = row.Had, row.Had.Said
	}
	if row.Entity != "" {
		o.ID = bareID(s.id, row.N)
	}
	r.inFlight.Add(1)
	s.rememberLocked(o, due)
}

// redeliverLocked hands the sink all that it has to have, as new: first what this node
// still has, be it held too, in its order, then what is only held. A list of what is held
// has the order in which it came to be held, which need not be that of the parts.
func (s *Session) redeliverLocked(held []*Reply) {
	old := s.unacked
	s.unacked, s.bytes, s.patient = nil, 0, false
	s.router.wheel.disarm(&s.patience)
	held = slices.DeleteFunc(held, func(reply *Reply) bool {
		i := slices.IndexFunc(old, func(u unacked) bool { return u.ID == reply.ID && u.from == reply.From })
		if i >= 0 {
			u := &old[i]
			u.Reply, u.bytes, u.held, u.safe, u.asked = reply, 0, false, true, true
		}
		return i >= 0
	})
	s.redeliverOldLocked(old)
	for _, reply := range held {
		if !s.isBeforeLocked(reply) {
			s.takeEarlyLocked(early{Reply: reply, held: true})
		}
	}
	if s.waits > 0 {
		s.armPatienceLocked(time.Now())
	}
}

func (s *Session) redeliverOldLocked(old []unacked) {
	var holes []uint64 // requests of whose answers a part is lost
	for _, u := range old {
		switch {
		case u.held && u.Push != nil:
			s.router.log.Warn("a push was lost with the Redis that held it", "session", string(s.id), "event", u.from.String())
			s.router.dropped(DropLost)
			if s.feeds != nil {
				s.feeds.missed++
			}
			continue
		case u.held && u.Part:
			holes = append(holes, u.n)
			continue
		case u.held, !u.Part && slices.Contains(holes, u.n):
			if u.Reply != nil {
				u.Reply.done()
			}
			u.Reply, u.Err, u.held, u.safe = nil, lostWithRedis(), false, true
		}
		s.againLocked(u)
	}
	for _, n := range holes {
		if o := s.open[n]; o != nil {
			s.failLocked(o, lostWithRedis())
		}
	}
}

// isBeforeLocked drops a part that the client has acknowledged, of an answer whose end it
// has not, and tells whether it is one. The table holds both until the end is
// acknowledged.
func (s *Session) isBeforeLocked(reply *Reply) bool {
	_, n, _ := reply.ID.Split()
	end := slices.IndexFunc(s.unacked, func(u unacked) bool { return u.n == n && !u.Part && u.Push == nil })
	if end < 0 || s.open[n] != nil {
		return false
	}
	s.unacked[end].spilled = true
	s.router.drop(reply, s.whyNotOpenLocked(n, nil, reply))
	return true
}

func lostWithRedis() *Error {
	return &Error{Word: Unavailable, Message: "the reply was lost with the Redis that held it", Outcome: Done}
}

// againLocked delivers what has been delivered to another sink.
func (s *Session) againLocked(u unacked) {
	s.seq++
	u.Seq, u.Again, u.written, u.at = s.seq, true, false, time.Now()
	s.bytes += u.bytes
	s.unacked = append(s.unacked, u)
	s.armPatienceLocked(u.since)
	if s.sink != nil {
		s.sink.Deliver(u.Delivery)
	}
}

// missingLocked answers those of a client's ids that mean nothing here.
func (s *Session) missingLocked(ids []string) Missing {
	var unknown []string
	for _, id := range ids {
		_, isOpen := s.byClient[id]
		if !isOpen && !slices.ContainsFunc(s.unacked, func(u unacked) bool { return u.ClientID == id }) {
			unknown = append(unknown, id)
		}
	}
	return Missing{IDs: unknown, Never: s.whole}
}
