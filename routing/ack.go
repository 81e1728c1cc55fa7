package routing

import (
	"slices"
	"time"
)

// unacked is a delivery that its client has not acknowledged. It lives until it
// is acknowledged, or until its session ends.
type unacked struct {
	Delivery
	n        uint64 // of its request, as the next three
	service  *Service
	digest   uint64
	deadline time.Time
	entity   string

	from    RecordAt  // the reply's record: what tells one reply from another
	since   time.Time // when it was first ready for the client
	at      time.Time // when it was handed to the sink, later when it was written
	bytes   int       // that it counts for in Session.bytes
	written bool
	asked   bool // it is on its way to be held
	safe    bool // it needs no receipt any more: held, or the table holds nothing
	held    bool // it is in the table, and not in memory
	spilled bool // the table holds earlier parts that are acknowledged

	had     *Progress // of an outcome: what is acknowledged of the parts before it
	follows RequestID // the kept request that it comes from, which the table has: "" for others
}

// unackedOf is a delivery before it is acknowledged.
func unackedOf(o *open, d Delivery) unacked {
	now := time.Now()
	u := unacked{Delivery: d, n: o.n, service: o.Service, digest: o.Call.Digest, deadline: o.Deadline, entity: o.Entity, since: now, at: now, safe: d.Reply == nil || o.follows != "", spilled: o.spilled, follows: o.follows}
	if d.Reply != nil {
		u.from, u.bytes = d.Reply.From, len(d.Reply.Body)
	}
	if o.stream != nil && !d.Part {
		u.had = o.stream.had
	}
	return u
}

// row is what the table keeps of the request whose outcome this is.
func (u *unacked) row(session SessionID) Row {
	return Row{
		Session: session, N: u.n, Service: u.service.Name, ClientID: u.ClientID, Digest: u.digest, Deadline: u.deadline, Had: u.had, Follows: u.follows, Entity: u.entity,
		WantTrace: u.Trace != nil, WantHeaders: u.WantHeaders,
	}
}

// awaitAckLocked files a delivery as not acknowledged.
func (s *Session) awaitAckLocked(u unacked) {
	s.bytes += u.bytes
	s.unacked = append(s.unacked, u)
	s.armPatienceLocked(u.since)
	if s.acks && s.bytes > s.router.limits.Unacked {
		s.overflowLocked()
	}
}

func (s *Session) armPatienceLocked(since time.Time) {
	if !s.patient {
		if s.patient = true; s.patience.target == nil { // the wheel may be about to fire it
			s.patience.target = (*sessionPatience)(s)
		}
		s.router.wheel.arm(&s.patience, since.Add(s.router.limits.Patience))
	}
}

// overflowLocked has the table hold what is too much to be kept in memory, and
// lets go of a client that takes no notice of it.
func (s *Session) overflowLocked() {
	for i := range s.unacked {
		s.holdLocked(&s.unacked[i])
	}
	if s.sink != nil {
		s.sink.Leave(LeaveUnread)
		s.detachLocked()
	}
}

// Wrote tells that everything up to seq is on the socket of the sink. Where the
// client does not acknowledge, that is as good as an acknowledgement. It does
// nothing when the session has another sink by now.
func (s *Session) Wrote(from Sink, seq uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sink != from {
		return
	}
	now := time.Now()
	for i := len(s.unacked) - 1; i >= 0; i-- {
		u := &s.unacked[i]
		if u.Seq > seq {
			continue
		}
		if u.written {
			break
		}
		s.router.observer.Stage(StagePush, now.Sub(u.at))
		u.at, u.written = now, true
	}
	if !s.acks {
		s.trimLocked(seq)
	}
}

// Ack takes a client's word that everything up to seq has arrived at the sink.
// It answers an error when nothing with that seq was ever sent there.
func (s *Session) Ack(from Sink, seq uint64) *Error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sink != from {
		return nil // of a socket that has been replaced: it will be told again
	}
	if seq > s.seq {
		return refuse(InvalidRequest, false, "seq %d was never sent: the newest is %d", seq, s.seq)
	}
	now := time.Now()
	for i := range s.unacked {
		if s.unacked[i].Seq > seq {
			break
		}
		s.router.observer.Stage(StageAck, now.Sub(s.unacked[i].at))
	}
	s.trimLocked(seq)
	return nil
}

// trimLocked settles and forgets all deliveries up to seq.
func (s *Session) trimLocked(seq uint64) {
	n := 0
	var streams []acked // what is acknowledged of each, some twice
	for n < len(s.unacked) && s.unacked[n].Seq <= seq {
		u := &s.unacked[n]
		if s.acks && u.Part {
			if last := len(streams) - 1; last < 0 || streams[last].n != u.n {
				streams = append(streams, acked{n: u.n})
			}
			streams[len(streams)-1].add(u)
		} else if u.Reply != nil {
			u.Reply.done()
		}
		s.bytes -= u.bytes
		if s.acks && u.Part && u.asked {
			s.spillLocked(u.n)
		}
		if s.acks && !u.Part {
			if u.asked || u.spilled {
				s.router.table.Unhold(u.ID)
			}
			if u.Push == nil {
				s.router.table.Release(s.id, u.n)
			}
		}
		n++
	}
	if n == 0 {
		return
	}
	s.unacked = slices.Delete(s.unacked, 0, n)
	for _, a := range streams {
		s.ackedLocked(a)
	}
	if len(s.unacked) == 0 {
		s.unacked = nil
		if s.waits == 0 {
			s.patient = false
			s.router.wheel.disarm(&s.patience)
		}
	}
	s.takeWaitingPushesLocked()
}

// sessionPatience is a session as the timer of its patience sees it: a client
// that does not acknowledge must not hold up a partition's commits for everybody
// else, so its replies are held elsewhere after a while.
type sessionPatience Session

func (p *sessionPatience) expire(now time.Time) {
	s := (*Session)(p)
	s.mu.Lock()
	defer s.mu.Unlock()
	patience := s.router.limits.Patience
	var next time.Time
	look := func(u *unacked) {
		if wait := u.since.Add(patience); !wait.After(now) {
			s.holdLocked(u)
		} else if next.IsZero() || wait.Before(next) {
			next = wait
		}
	}
	for i := range s.unacked { // of a stream, what is held comes before what is not
		look(&s.unacked[i])
	}
	s.eachWaitingLocked(look)
	if s.patient = !next.IsZero(); s.patient {
		s.router.wheel.arm(&s.patience, next)
	}
}

// holdLocked asks for a delivery to be held, unless it need not or is on its way.
func (s *Session) holdLocked(u *unacked) {
	switch {
	case u.safe || u.asked:
	case !s.acks: // it waits for a slow socket, and dies with it
		u.safe = true
		u.Reply.done()
	default:
		u.asked = true
		s.router.holds.put(Holding{Session: s.id, Epoch: s.epoch, Reply: u.Reply})
	}
}

// findLocked answers the delivery of a reply's record that is not acknowledged;
// nil where there is none.
func (s *Session) findLocked(reply *Reply) *unacked {
	for i := range s.unacked {
		if u := &s.unacked[i]; u.ID == reply.ID && u.from == reply.From {
			return u
		}
	}
	return nil
}

// keepBothLocked takes a reply that has come again while it is neither acknowledged
// nor safe, and tells whether it is that. It was consumed anew because its partition
// moved, or routed anew because its node was taken for dead. One of the two places
// that it came from may be gone, and this node cannot know which.
func (s *Session) keepBothLocked(reply *Reply) bool {
	u := s.findLocked(reply)
	if u == nil {
		u = s.findWaitingLocked(reply)
	}
	if u == nil || u.safe || u.Reply == nil {
		return false
	}
	both := reply.under(twins{u.Reply, reply})
	both.After = max(reply.After, u.Reply.After)
	u.Reply = both
	return true
}

// twins are the receipt of a reply that has come twice.
type twins [2]*Reply

// Done settles both.
func (t twins) Done(Token) {
	t[0].done()
	t[1].done()
}

// held tells that the table has a reply, and whether it is to be forgotten here.
func (s *Session) held(h Holding, forget bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h.Reply.done()
	if s.state != live {
		return
	}
	u := s.findLocked(h.Reply)
	_, n, _ := h.Reply.ID.Split()
	switch waiting := s.findWaitingLocked(h.Reply); {
	case waiting != nil: // it stays in memory too: nobody could ask for it one by one
		waiting.safe = true
		waiting.Reply.done()
	case u != nil:
		u.safe = true
		if u.Reply != nil {
			u.Reply.done()
		}
		if forget {
			s.bytes -= u.bytes
			u.held, u.Reply, u.bytes = true, nil, 0
		}
	case forget && s.epoch == h.Epoch && !s.waitsLocked(n):
		s.router.table.Unhold(h.Reply.ID) // acknowledged meanwhile
	}
}

// holdAgain asks anew for a reply to be held that could not be under the epoch of
// an earlier take-over. It answers false when the session has left this node.
func (s *Session) holdAgain(h Holding) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != live || s.epoch == h.Epoch {
		return false
	}
	u := s.findLocked(h.Reply)
	if u == nil {
		u = s.findWaitingLocked(h.Reply)
	}
	if u != nil && !u.safe {
		u.asked = false
		s.holdLocked(u)
	}
	return true
}
