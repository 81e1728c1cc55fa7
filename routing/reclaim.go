package routing

import "slices"

// Reclaimed gives a session of this node what other nodes have held for it while
// they took this one for dead: it was awake, and its clients are still there. It
// does nothing when the session has left since, or was resumed here, which gave it
// the same. It does not block.
func (r *Router) Reclaimed(id SessionID, epoch uint64, held []*Reply) {
	s := r.session(id)
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != live || s.epoch != epoch {
		return
	}
	for _, reply := range held {
		if u := s.findLocked(reply); u == nil {
			s.takeEarlyLocked(early{Reply: reply, held: true})
		} else if !u.held {
			s.safeLocked(u)
		}
	}
}

// takeHeldLocked takes a reply that the table holds and keeps until it is told that
// it need not any longer.
func (s *Session) takeHeldLocked(reply *Reply) {
	s.takeLocked(reply, PathHeld)
	_, n, _ := reply.ID.Split()
	waiting := s.findEarlyPushLocked(reply.From)
	switch last := len(s.unacked) - 1; {
	case !s.acks: // what is written counts, and a session that dies with its node needs no more
		s.router.table.Unhold(reply.ID)
	case waiting != nil && isPush(n):
		waiting.asked, waiting.safe = true, true
		waiting.Reply.done()
	case last >= 0 && s.unacked[last].Reply == reply:
		s.safeLocked(&s.unacked[last])
	case s.waitsLocked(n):
		s.spillLocked(n)
	default:
		s.router.table.Unhold(reply.ID) // nobody waits for it any longer
	}
}

// safeLocked notes that a reply which was delivered is in the table too.
func (s *Session) safeLocked(u *unacked) {
	s.bytes -= u.bytes
	u.asked, u.safe, u.bytes = true, true, 0
	if u.Reply != nil {
		u.Reply.done()
	}
}

// waitsLocked tells whether a request is open, or its outcome not acknowledged.
func (s *Session) waitsLocked(n uint64) bool {
	return s.open[n] != nil || slices.ContainsFunc(s.unacked, func(u unacked) bool { return u.n == n })
}

// spillLocked notes that the table holds a part of the answer to a request which
// still waits: with the outcome's acknowledgement it is to be forgotten.
func (s *Session) spillLocked(n uint64) {
	if o := s.open[n]; o != nil {
		o.spilled = true
	}
	for i := range s.unacked {
		if s.unacked[i].n == n {
			s.unacked[i].spilled = true
		}
	}
}
