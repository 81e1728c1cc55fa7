package routing

import "slices"

// deliver takes a reply whose session this is, as far as this node knows: sure
// says that the table has just said so too.
func (s *Session) deliver(reply *Reply, path Path, sure bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, n, _ := reply.ID.Split()
	switch {
	case s.state == resuming:
		s.early = append(s.early, early{Reply: reply})
	case s.tooEarlyLocked(early{Reply: reply}):
	case s.state == ended:
		s.router.reroute(reply)
	case n > s.counter && s.acks && !sure:
		// Not a request of this node's: perhaps of one that has taken the session
		// over, of which this node has not heard yet.
		s.router.reroute(reply)
	default:
		s.takeLocked(reply, path)
	}
}

// takeLocked deals with a reply: a part, the outcome, or one that nobody waits
// for any longer.
func (s *Session) takeLocked(reply *Reply, path Path) {
	r := s.router
	_, n, _ := reply.ID.Split()
	o := s.open[n]
	switch {
	case o != nil && o.adopted && o.ID == "":
		o.ID = reply.ID // its salt was not in its row
	case (o == nil || o.hasHad(reply)) && s.keepBothLocked(reply):
		r.observer.Count(Drops, string(DropDuplicate))
		return
	case o != nil && o.hasHad(reply):
		r.drop(reply, DropDuplicate)
		return
	case o == nil || o.ID != reply.ID:
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

// pushLocked hands a delivery to the request's sink. A delivery to the
// session's own sink waits in unacked for its acknowledgement; where no socket is
// attached it waits there for one.
func (s *Session) pushLocked(o *open, d Delivery, path Path) {
	d.ClientID, d.ID, d.N, d.WantHeaders = o.Call.ClientID, o.ID, o.parts, o.Call.WantHeaders
	d.Trace = o.trace(d.Reply, path)
	o.parts++
	if d.Reply != nil {
		o.newest = d.Reply.From
	}
	to := s.sinkLocked(o)
	if o.own == nil {
		s.seq++
		d.Seq = s.seq
		s.awaitAckLocked(o, d)
	}
	if to != nil {
		to.Deliver(d)
	}
	if to != nil && defectDeliverTwice {
		to.Deliver(d)
	}
}
