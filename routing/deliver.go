package routing

import (
	"slices"
	"time"
)

// deliver takes a reply whose session this is: a part, the outcome, or one that
// nobody waits for any longer.
func (s *Session) deliver(n uint64, reply *Reply, path Path) {
	r := s.router
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.open[n]
	if o == nil || o.ID != reply.ID {
		r.drop(reply, s.whyNotOpenLocked(n, o))
		return
	}
	r.observer.Count(Replies, string(path))
	r.stages(o, reply)
	switch {
	case len(reply.Body) > r.limits.Reply:
		s.rejectLocked(o, reply)
	case !reply.Final:
		s.pushLocked(o, Delivery{Part: true, Reply: reply}, path)
	case reply.Err != nil:
		s.forgetLocked(o, FromService)
		e := &Error{Word: FromService, Message: reply.Err.Message, Outcome: Done, Reply: reply}
		s.pushLocked(o, Delivery{Reply: reply, Err: e}, path)
	default:
		s.forgetLocked(o, OK)
		s.pushLocked(o, Delivery{Reply: reply}, path)
	}
}

// rejectLocked ends a request whose reply is larger than a client may get.
func (s *Session) rejectLocked(o *open, reply *Reply) {
	limit := s.router.limits.Reply
	s.router.log.Warn("reply too large", "request", string(o.ID), "service", o.Service.Name, "bytes", len(reply.Body), "limit", limit)
	s.router.drop(reply, DropTooLarge)
	s.failLocked(o, refuseDone(TooLarge, "the service's reply has %d bytes; the limit is %d", len(reply.Body), limit))
}

// whyNotOpenLocked names the reason to drop a reply to request n.
func (s *Session) whyNotOpenLocked(n uint64, o *open) Drop {
	switch {
	case o != nil || n == 0 || n > s.counter:
		return DropUnknownRequest // an id that this session never made
	case slices.Contains(s.late[:], n):
		return DropLate
	}
	return DropDuplicate
}

// failLocked gives an open request the outcome e.
func (s *Session) failLocked(o *open, e *Error) {
	s.forgetLocked(o, e.Word)
	s.pushLocked(o, Delivery{Err: e}, "")
}

// sinkLocked is where the messages of a request go; nil where nobody listens.
func (s *Session) sinkLocked(o *open) Sink {
	if o.own != nil {
		return o.own
	}
	return s.sink
}

// pushLocked hands a delivery to the request's sink. A delivery to the
// session's own sink waits in unacked for its acknowledgement.
func (s *Session) pushLocked(o *open, d Delivery, path Path) {
	d.ClientID, d.ID, d.N, d.WantHeaders = o.Call.ClientID, o.ID, o.parts, o.Call.WantHeaders
	d.Trace = o.trace(d.Reply, path)
	o.parts++
	if d.Reply != nil {
		d.receipt, d.token = d.Reply.Receipt, d.Reply.Token
	}
	if o.own == nil {
		s.seq++
		d.Seq = s.seq
		s.awaitAckLocked(d)
	}
	s.sinkLocked(o).Deliver(d)
}

// awaitAckLocked files a delivery as not acknowledged.
func (s *Session) awaitAckLocked(d Delivery) {
	now := time.Now()
	s.unacked = append(s.unacked, unacked{seq: d.Seq, since: now, at: now, receipt: d.receipt, token: d.token})
	if !s.patient {
		s.patience.target, s.patient = s, true
		s.router.wheel.arm(&s.patience, now.Add(s.router.limits.Patience))
	}
}

// Wrote tells that everything up to seq is on the socket. Where the client does
// not acknowledge, that is as good as an acknowledgement.
func (s *Session) Wrote(seq uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	for i := len(s.unacked) - 1; i >= 0; i-- {
		u := &s.unacked[i]
		if u.seq > seq {
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

// Ack takes a client's word that everything up to seq has arrived. It answers
// an error when nothing with that seq was ever sent.
func (s *Session) Ack(seq uint64) *Error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if seq > s.seq {
		return refuse(InvalidRequest, false, "seq %d was never sent: the newest is %d", seq, s.seq)
	}
	now := time.Now()
	for i := range s.unacked {
		if s.unacked[i].seq > seq {
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
	for n < len(s.unacked) && s.unacked[n].seq <= seq {
		s.unacked[n].settle()
		n++
	}
	if n == 0 {
		return
	}
	s.unacked = slices.Delete(s.unacked, 0, n)
	if len(s.unacked) == 0 {
		s.patient = false
		s.router.wheel.disarm(&s.patience)
	}
}

// expire is called by the wheel when the oldest delivery may have waited too
// long: a client that does not acknowledge must not hold up a partition's
// commits for everybody else.
func (s *Session) expire(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	patience := s.router.limits.Patience
	for i := range s.unacked {
		u := &s.unacked[i]
		if wait := u.since.Add(patience); wait.After(now) {
			s.router.wheel.arm(&s.patience, wait)
			return
		}
		u.settle()
	}
	s.patient = false
}

// settle tells the receipt, and whether there was one.
func (u *unacked) settle() bool {
	if u.receipt == nil {
		return false
	}
	u.receipt.Done(u.token)
	u.receipt = nil
	return true
}
