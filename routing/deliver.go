package routing

import "slices"

// deliver takes a reply whose session this is, as far as this node knows.
func (s *Session) deliver(e early, path Path) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deliverLocked(e, path)
}

func (s *Session) deliverLocked(e early, path Path) {
	_, n, _ := e.ID.Split()
	if isPush(n) {
		e.epoch = max(e.epoch, s.earlyPushLocked())
	}
	switch {
	case s.state == resuming:
		s.early = append(s.early, e)
	case s.state == ended:
		s.router.reroute(e.Reply)
	case s.aheadLocked(e):
	case s.tooEarlyLocked(e):
	case n > s.counter && s.acks && !e.sure && !isPush(n):
		// Not a request of this node's: perhaps of one that has taken the session
		// over, of which this node has not heard yet.
		s.router.reroute(e.Reply)
	default:
		s.takeLocked(e.Reply, path)
	}
}

// takeLocked deals with a reply: a part, the outcome, or one that nobody waits
// for any longer.
func (s *Session) takeLocked(reply *Reply, path Path) {
	r := s.router
	_, n, _ := reply.ID.Split()
	if isPush(n) {
		s.takePushLocked(reply, path)
		return
	}
	o := s.open[n]
	if o != nil && o.adopted && o.ID == "" {
		o.ID = reply.ID // its salt was not in its row
	}
	switch {
	case (o == nil || o.hasHad(reply)) && s.keepBothLocked(reply):
		r.observer.Count(Drops, string(DropDuplicate))
		return
	case o != nil && o.hasHad(reply):
		r.drop(reply, DropDuplicate)
		return
	case o == nil || o.ID != reply.ID:
		r.drop(reply, s.whyNotOpenLocked(n, o, reply))
		return
	case o.stream != nil && o.stream.outcome != "":
		r.drop(reply, o.stream.whyEnded())
		return
	case o.overtakes(reply):
		s.keepAheadLocked(o, reply)
		return
	}
	s.acceptLocked(o, reply, path)
	s.closeRanksLocked(o, path)
}

// acceptLocked takes the reply that comes next.
func (s *Session) acceptLocked(o *open, reply *Reply, path Path) {
	r := s.router
	r.observer.Count(Replies, string(path))
	r.stages(o, reply)
	switch {
	case len(reply.Body) > r.limits.Reply:
		s.rejectLocked(o, reply)
	case !reply.Final:
		s.pushLocked(o, Delivery{Part: true, Reply: reply}, path)
	case reply.Err != nil:
		s.endLocked(o, FromService, Delivery{Reply: reply, Err: fromService(reply)}, path)
	default:
		s.endLocked(o, OK, Delivery{Reply: reply}, path)
	}
}

// endLocked gives an open request its outcome, behind the parts for which its client
// is not ready.
func (s *Session) endLocked(o *open, word Word, d Delivery, path Path) {
	s.loseAheadLocked(o, DropAfterFinal)
	if st := o.stream; st != nil && len(st.waiting) > 0 {
		st.outcome = word
		s.router.wheel.disarm(&o.deadline)
	} else {
		s.forgetLocked(o, word)
	}
	s.pushLocked(o, d, path)
}

// rejectLocked ends a request whose reply is larger than a client may get.
func (s *Session) rejectLocked(o *open, reply *Reply) {
	limit := s.router.limits.Reply
	s.router.log.Warn("reply too large", "request", string(o.ID), "service", o.Service.Name, "bytes", len(reply.Body), "limit", limit)
	s.router.drop(reply, DropTooLarge)
	s.failLocked(o, refuseDone(TooLarge, "the service's reply has %d bytes; the limit is %d", len(reply.Body), limit))
	if !reply.Final {
		s.recallLocked(o)
	}
}

// whyNotOpenLocked names the reason to drop a reply to request n.
func (s *Session) whyNotOpenLocked(n uint64, o *open, reply *Reply) Drop {
	switch {
	case o != nil || n == 0 || n > s.counter:
		return DropUnknownRequest // an id that this session never made
	case slices.Contains(s.late[:], n):
		return DropLate
	case s.isAfterFinalLocked(n, reply):
		return DropAfterFinal
	}
	return DropDuplicate
}

// failLocked gives an open request the outcome e, at once: the parts for which its
// client is not ready are dropped.
func (s *Session) failLocked(o *open, e *Error) {
	if o.stream != nil {
		if o.stream.outcome != "" {
			e.Outcome = Done
		}
		s.discardLocked(o, DropNoCredit)
	}
	s.forgetLocked(o, e.Word)
	s.pushLocked(o, Delivery{Err: e}, "")
}

// pushLocked hands a delivery to the request's sink, once the client is ready for it.
func (s *Session) pushLocked(o *open, d Delivery, path Path) {
	if d.Reply != nil && d.Reply.Place > 0 {
		o.parts = d.Reply.Place - 1
	}
	d.ClientID, d.ID, d.N, d.WantHeaders = o.Call.ClientID, o.shown(), o.parts, o.Call.WantHeaders
	d.Trace = o.trace(d.Reply, path)
	if d.Reply != nil {
		o.parts++
		o.newest = d.Reply.From
		if d.N > 0 && !d.Part {
			s.endedLocked(o, d.Reply.From)
		}
	}
	if o.stream.mustWait(&d) {
		s.waitLocked(o, d)
		return
	}
	if o.own != nil {
		handTo(o.own, d)
		return
	}
	s.handLocked(o, unackedOf(o, d))
}

// handLocked hands a delivery to the request's sink. One to the session's own sink
// waits in unacked for its acknowledgement; where no socket is attached it waits
// there for one.
func (s *Session) handLocked(o *open, u unacked) {
	to := s.sinkLocked(o)
	if o.own == nil {
		s.seq++
		u.Seq = s.seq
		s.awaitAckLocked(u)
	}
	if to != nil {
		handTo(to, u.Delivery)
	}
}

func handTo(to Sink, d Delivery) {
	if defectLosePart && d.Part && d.N == 1 {
		return
	}
	to.Deliver(d)
	if defectDeliverTwice {
		to.Deliver(d)
	}
}
