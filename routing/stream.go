package routing

import (
	"math"
	"slices"
	"time"
)

// stream is what an open request has whose client says for how many parts it is
// ready, or whose parts come in disorder, or are acknowledged. It belongs to
// session.mu.
type stream struct {
	limited bool      // the client says for how many parts it is ready
	ready   int       // number of the first part that it is not ready for
	has     int       // number of the first part that it said it has not got, when it came back
	had     *Progress // what the table is told that it has; nil for nothing
	waiting []unacked // what it is not ready for, oldest first; the outcome may be the last
	outcome Word      // of the request, once it is among waiting
	ahead   []*Reply  // numbered replies before which others are missing, in order
	gap     timer     // fires when these have been missing for too long
	bytes   int       // of waiting and ahead, about
}

// Progress is how much of a stream a client has.
type Progress struct {
	Parts  int      // that it has acknowledged, from the first one on
	Newest RecordAt // of the newest of them
	Said   int      // parts that it said it has when it came back, where these are more
}

// partOverhead is what a part that waits counts for besides its body.
const partOverhead = 256

// streamed answers the request's stream, made when it is first needed.
func (o *open) streamed() *stream {
	if o.stream == nil {
		o.stream = &stream{}
	}
	return o.stream
}

// limit makes the request one whose client is ready for parts below this number.
func (st *stream) limit(ready int) { st.limited, st.ready = true, max(ready, 0) }

// mustWait tells whether the client is not ready for a delivery.
func (st *stream) mustWait(d *Delivery) bool {
	return st != nil && st.limited && (len(st.waiting) > 0 || d.Part && d.N >= st.ready)
}

// Credit says that the client is ready for n more parts of the answer to its
// request, and tells whether the request is open. It means nothing where the call
// did not ask for it.
func (s *Session) Credit(clientID string, n int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.byClient[clientID]
	if o != nil {
		s.creditLocked(o, n)
	}
	return o != nil
}

// Ready says the same of a request that has a sink of its own.
func (s *Session) Ready(id RequestID, n int) {
	_, number, _ := id.Split()
	s.mu.Lock()
	defer s.mu.Unlock()
	if o := s.open[number]; o != nil && o.ID == id {
		s.creditLocked(o, n)
	}
}

func (s *Session) creditLocked(o *open, n int) {
	if st := o.stream; st != nil && st.limited && n > 0 {
		st.ready = min(st.ready+n, math.MaxInt32)
		s.resumeStreamLocked(o)
	}
}

// waitLocked keeps a delivery until the client is ready for it.
func (s *Session) waitLocked(o *open, d Delivery) {
	st := o.stream
	u := unackedOf(o, d)
	u.bytes += partOverhead
	if d.Reply != nil && !s.keepsLocked(o) {
		u.safe = true // no other node could ever answer with it: it need not be kept elsewhere
		d.Reply.done()
	}
	st.waiting = append(st.waiting, u)
	s.waits++
	s.waitsFor(o, u.bytes)
	if s.keepsLocked(o) {
		s.armPatienceLocked(u.since)
	}
	if d.Part {
		s.boundLocked(o)
	}
}

// keepsLocked tells whether what is delivered to a request is kept until it is
// acknowledged.
func (s *Session) keepsLocked(o *open) bool { return s.acks && o.own == nil }

// waitsFor counts bytes that wait, or no longer do.
func (s *Session) waitsFor(o *open, bytes int) {
	o.stream.bytes += bytes
	s.router.waiting.Add(int64(bytes))
}

// boundLocked ends a request of which more waits than may.
func (s *Session) boundLocked(o *open) {
	limit := s.router.limits.Stream
	if o.stream.bytes <= limit && s.router.waiting.Load() <= int64(s.router.limits.Streams) {
		return
	}
	s.router.log.Warn("stream has no reader", "request", string(o.ID), "service", o.Service.Name, "bytes", o.stream.bytes, "limit", limit)
	s.failLocked(o, &Error{Word: Overloaded, Outcome: Unknown, Message: "more of the answer waits for its client to be ready than may"})
	s.recallLocked(o)
}

// resumeStreamLocked delivers what the client is ready for.
func (s *Session) resumeStreamLocked(o *open) {
	st := o.stream
	for len(st.waiting) > 0 {
		u := st.waiting[0]
		if u.Part && u.N >= st.ready {
			return
		}
		st.waiting[0] = unacked{}
		st.waiting = st.waiting[1:]
		s.waits--
		s.waitsFor(o, -u.bytes)
		u.bytes -= partOverhead
		if !u.Part {
			s.forgetLocked(o, st.outcome)
		}
		if u.Trace != nil {
			u.Trace.Pushed = time.Now()
		}
		s.handLocked(o, u)
	}
	st.waiting = nil
}

// discardLocked drops what waits for a request that ends otherwise.
func (s *Session) discardLocked(o *open, why Drop) {
	st := o.stream
	if st == nil {
		return
	}
	for i := range st.waiting {
		u := &st.waiting[i]
		o.spilled = o.spilled || u.asked
		if u.Reply != nil {
			s.router.drop(u.Reply, why)
		}
	}
	for _, reply := range st.ahead {
		s.router.drop(reply, why)
	}
	s.emptyLocked(o)
}

// emptyLocked forgets what waits for a request.
func (s *Session) emptyLocked(o *open) {
	st := o.stream
	s.waits -= len(st.waiting)
	s.waitsFor(o, -st.bytes)
	s.router.wheel.disarm(&st.gap)
	st.waiting, st.ahead, st.outcome = nil, nil, ""
}

// eachWaitingLocked calls do for all that waits for clients to be ready, and for all
// pushes that wait for others.
func (s *Session) eachWaitingLocked(do func(u *unacked)) {
	if s.waits == 0 {
		return
	}
	for _, o := range s.open {
		if o.stream != nil {
			for i := range o.stream.waiting {
				do(&o.stream.waiting[i])
			}
		}
	}
	s.eachEarlyPushLocked(do)
}

// findWaitingLocked answers the delivery of a reply's record that waits for its
// client to be ready, or for what stands before it; nil where there is none.
func (s *Session) findWaitingLocked(reply *Reply) *unacked {
	_, n, _ := reply.ID.Split()
	if isPush(n) {
		return s.findEarlyPushLocked(reply.From)
	}
	if o := s.open[n]; o != nil && o.stream != nil {
		for i := range o.stream.waiting {
			if u := &o.stream.waiting[i]; u.ID == reply.ID && u.from == reply.From {
				return u
			}
		}
	}
	return nil
}

// leftLocked answers the replies that wait for a request, oldest first, for another
// node to take.
func (o *open) leftLocked() (left []*Reply) {
	if o.stream == nil {
		return nil
	}
	for i := range o.stream.waiting {
		if u := &o.stream.waiting[i]; u.Reply != nil && !u.safe {
			left = append(left, u.Reply)
		}
	}
	return slices.Concat(left, o.stream.ahead)
}

// StreamAt is what a client that comes back says of a request that is answered in
// parts.
type StreamAt struct {
	ClientID string
	Next     int // the number of the first part that it has not got
	Credit   int // how many more it is ready for; negative: it does not say
}

// goOnLocked delivers what clients have become ready for while they were away.
func (s *Session) goOnLocked() {
	for _, o := range s.openLocked() {
		if o.stream != nil && len(o.stream.waiting) > 0 {
			s.resumeStreamLocked(o)
		}
	}
}

// settleWaitingLocked forgets what waits for a request that another node has ended.
func (s *Session) settleWaitingLocked(o *open) {
	for _, reply := range o.leftLocked() {
		reply.done()
	}
	if o.stream != nil {
		s.emptyLocked(o)
	}
}

// restateLocked takes the clients' words on their streams.
func (s *Session) restateLocked(streams []StreamAt) {
	for _, at := range streams {
		if o := s.byClient[at.ClientID]; o != nil {
			st := o.streamed()
			s.saidLocked(o, min(at.Next, math.MaxInt32))
			if at.Credit >= 0 {
				st.limit(at.Next + at.Credit)
			}
		}
	}
}

// saidLocked notes how many parts a client has said that it has. Those it has not
// acknowledged are not delivered any more, and the next owner must not wait for them.
func (s *Session) saidLocked(o *open, parts int) {
	st := o.stream
	st.has = max(st.has, parts)
	var had Progress
	if st.had != nil {
		had = *st.had
	}
	if parts > max(had.Parts, had.Said) {
		had.Said = parts
		st.had = &had
		s.router.table.Claim(o.row(), nil)
	}
}

// acked is what a client has acknowledged of a stream.
type acked struct {
	n   uint64 // of the request
	had Progress
	noted
}

// add takes the next part of it. Which number one has that carries none is known by what
// is noted of those before it, so it is kept where it came from until then.
func (a *acked) add(u *unacked) {
	a.had = Progress{Parts: u.N + 1, Newest: u.from}
	switch {
	case u.Reply == nil:
	case u.Reply.Place > 0:
		u.Reply.done()
	default:
		a.noted = append(a.noted, u.Reply)
	}
}

// noted are replies that need not be kept any longer, once the table has noted that the
// client has them, or is away.
type noted []*Reply

func (n noted) Claimed() {
	for _, reply := range n {
		reply.done()
	}
}

// ackedLocked notes how much of a stream its client has acknowledged, where the next
// owner of the session will look for it.
func (s *Session) ackedLocked(a acked) {
	had := &a.had
	if o := s.open[a.n]; o != nil {
		had.keep(o.streamed().had)
		o.stream.had = had
		s.noteHadLocked(o.row(), a.noted)
		return
	}
	for i := range s.unacked {
		if u := &s.unacked[i]; u.n == a.n && !u.Part {
			had.keep(u.had)
			u.had = had
			s.noteHadLocked(u.row(s.id), a.noted)
			return
		}
	}
	a.Claimed() // the outcome is acknowledged too: nobody will count these
}

// noteHadLocked has the table note it, and settles the replies then.
func (s *Session) noteHadLocked(row Row, then noted) {
	if len(then) == 0 {
		s.router.table.Claim(row, nil)
	} else if !s.router.table.Claim(row, then) {
		then.Claimed()
	}
}

// keep takes from an older progress what the newer one does not say. That may be less:
// what is acknowledged here may have been at another node, with more, before.
func (p *Progress) keep(old *Progress) {
	if old == nil {
		return
	}
	if old.Parts > p.Parts {
		p.Parts, p.Newest = old.Parts, old.Newest
	}
	if old.Said > p.Parts {
		p.Said = old.Said
	}
}

// catchUpLocked takes what the table knows of a request that another node has had
// meanwhile.
func (s *Session) catchUpLocked(o *open, had *Progress) {
	if had != nil && had.Said > 0 {
		o.streamed().has = max(o.stream.has, had.Said)
	}
	if had == nil {
		return
	}
	st := o.streamed()
	if st.had == nil || st.had.Parts < had.Parts { // or this node would note less, in time
		st.had = had
	}
	if had.Parts <= o.parts {
		return
	}
	o.parts, o.newest = had.Parts, had.Newest
	for len(st.waiting) > 0 && st.waiting[0].Part && st.waiting[0].N < had.Parts {
		if u := st.waiting[0]; u.Reply != nil {
			u.Reply.done()
		}
		s.waits--
		s.waitsFor(o, -st.waiting[0].bytes)
		st.waiting = st.waiting[1:]
	}
}
