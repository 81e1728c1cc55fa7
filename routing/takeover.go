package routing

// TakenOver tells that another node owns a session now, by the take-over with
// this epoch: its sink is left, and what is not acknowledged is routed to the new
// owner, which is told when that is done. It may be called again, until that owner
// has heard. It does not block.
func (r *Router) TakenOver(id SessionID, epoch uint64) {
	s := r.session(id)
	if s == nil { // it is handed over, or has ended, or the table's word that it is here was lost
		r.handOver(id, epoch).done()
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if defectResumeUnfenced {
		return
	}
	s.taken = max(s.taken, epoch)
	switch {
	case s.state == resuming: // attach and giveUp answer
	case s.state == ended, epoch <= s.epoch:
		r.handOver(id, epoch).done()
	default:
		s.tellLeftLocked()
		s.leaveLocked(LeaveTakenOver, true)
	}
}

// tellLeftLocked says of a session that is about to be given up that all rows are queued that
// this node has made of it.
func (s *Session) tellLeftLocked() {
	s.router.table.Left(s.id, max(s.since, 1), s.epoch)
}

// leaveLocked gives the session up to another node.
func (s *Session) leaveLocked(why Leaving, reroute bool) {
	if s.sink != nil {
		s.sink.Leave(why)
	}
	var to *handing
	if reroute {
		to = s.router.handOver(s.id, s.taken)
	}
	pass := func(u *unacked) {
		if u.Reply != nil && !u.safe && reroute {
			to.pass(u.Reply)
		}
	}
	for i := range s.unacked {
		pass(&s.unacked[i])
	}
	s.eachEarlyPushLocked(pass)
	for _, o := range s.openLocked() {
		if left := o.leftLocked(); reroute {
			for _, reply := range left {
				to.pass(reply)
			}
		}
		if o.stream != nil {
			s.emptyLocked(o)
		}
		s.dropLocked(o)
	}
	for _, e := range s.early {
		if reroute && !e.held {
			to.pass(e.Reply)
		}
	}
	to.done()
	s.clearLocked()
}

// Removed tells that the other nodes took this one for dead and have dealt with
// all that it held: its clients are sent to resume, and can be told there which of their
// requests were never taken here ([Rows.Left]). It does not block.
func (r *Router) Removed() {
	r.sessions.Range(func(_, found any) bool {
		s := found.(*Session)
		s.mu.Lock()
		defer s.mu.Unlock()
		switch {
		case s.state != live:
		case s.acks:
			s.tellLeftLocked()
			s.leaveLocked(LeaveRemoved, false)
		default:
			if s.sink != nil {
				s.sink.Leave(LeaveRemoved)
			}
			s.closeLocked(true)
		}
		return true
	})
}
