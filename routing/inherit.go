package routing

import (
	"context"
	"slices"
	"time"
)

// inheritance is what a session's former owners may still have of its replies, in
// their memory or their inboxes, until the table says that all of it has come.
type inheritance struct {
	asked bool // the table is asked that; it belongs to session.mu
}

// heir is a session that waits for its inheritance.
type heir struct {
	*Session
	of     *inheritance
	remind time.Time // when its former owners are to be reminded
}

// remindAfter is how long is waited for the word of former owners before they are told
// again that a session of theirs was taken over.
const remindAfter = time.Second

// inheritLocked begins the time in which replies may come from former owners.
func (s *Session) inheritLocked() {
	s.inherits = &inheritance{}
	for _, o := range s.open {
		o.moved = true
	}
	if s.feeds != nil {
		s.eachPastLocked(func(p *past) { p.known = false })
	}
}

// inheritsLocked tells whether replies to a request may still come from former owners of
// its session, or of a partition that came while the table was away.
func (o *open) inheritsLocked() bool {
	s := o.session
	if o.moved && s.inherits != nil {
		return true
	}
	came := s.router.behind.Load()
	return came != nil && o.submitted.Before(*came)
}

// CatchUp waits for what the former owners of partitions have sent, and remembers if that
// has not come. Whoever reads partitions calls it when some have come, before it delivers
// what it has read of them. It blocks for a moment at the longest.
func (r *Router) CatchUp(ctx context.Context) {
	if now := time.Now(); r.table.CatchUp(ctx) {
		r.behind.Store(nil)
	} else {
		r.behind.Store(&now)
	}
}

// askLocked has the table asked whether they do.
func (s *Session) askLocked() {
	if s.inherits == nil && s.router.behind.Load() != nil {
		s.inherits = &inheritance{}
	}
	if in := s.inherits; in != nil && !in.asked {
		in.asked = true
		s.router.heirs.put(heir{s, in, time.Now().Add(remindAfter)})
	}
}

// inherit asks, until ctx ends, for those sessions that wait for it, whether all has
// come that their former owners had.
func (r *Router) inherit(ctx context.Context) {
	var waiting []heir
	pause := relayAgain
	for {
		var again <-chan time.Time
		if len(waiting) > 0 {
			again = time.After(pause)
		}
		select {
		case <-r.heirs.wakeup:
			pause = relayAgain
		case <-again:
			pause = min(2*pause, relayAgainMax)
		case <-ctx.Done():
			return
		}
		for fresh := r.heirs.take(relayBatch); len(fresh) > 0; fresh = r.heirs.take(relayBatch) {
			waiting = append(waiting, fresh...)
		}
		var left []heir
		for batch := range slices.Chunk(waiting, relayBatch) {
			left = append(left, r.askFor(ctx, batch)...)
		}
		waiting = left
	}
}

// askFor answers those for whom it has to be asked again.
func (r *Router) askFor(ctx context.Context, heirs []heir) (left []heir) {
	if r.table.Fenced(time.Now()) {
		return heirs
	}
	ids := make([]SessionID, len(heirs))
	for i, h := range heirs {
		ids[i] = h.id
	}
	behind := r.behind.Load()
	all := r.table.Inherited(ctx, ids)
	if slices.ContainsFunc(all, func(l Legacy) bool { return l.Whole }) {
		r.behind.CompareAndSwap(behind, nil)
	}
	for i, h := range heirs {
		if all[i].Whole {
			h.inherited(h.of, all[i].Rows)
		} else if h.waits() {
			left = append(left, h)
		}
	}
	r.remind(ctx, left)
	return left
}

// remind tells the former owners again of those who have waited for a while.
func (r *Router) remind(ctx context.Context, heirs []heir) {
	var late []SessionID
	for i, now := 0, time.Now(); i < len(heirs); i++ {
		if h := &heirs[i]; now.After(h.remind) {
			h.remind = now.Add(remindAfter)
			late = append(late, h.id)
		}
	}
	if len(late) > 0 {
		r.table.Remind(ctx, late)
	}
}

// waits tells whether the answer is still wanted.
func (h *heir) waits() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.state != live || h.inherits != h.of {
		return false
	}
	for _, o := range h.open {
		if o.stream != nil && len(o.stream.ahead) > 0 {
			return true
		}
	}
	if h.feeds != nil && h.feeds.waits > 0 {
		return true
	}
	h.of.asked = false
	return false
}

// inherited takes what has waited for what former owners had: no more of that comes. The
// rows say what was acknowledged there just before.
func (s *Session) inherited(in *inheritance, rows []Row) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != live || s.inherits != in {
		return
	}
	s.inherits = nil
	for _, row := range rows {
		if o := s.open[row.N]; o != nil && o.moved {
			s.catchUpLocked(o, row.Had)
		}
	}
	s.orderLocked()
}

// orderLocked takes what has waited for parts that are there by now, or that the client
// is known to have.
func (s *Session) orderLocked() {
	for _, o := range s.openLocked() {
		s.reorderLocked(o)
	}
	s.takeWaitingPushesLocked()
}

// reorderLocked does so for one request, and tells whether something waits still. The
// table is asked about that, where former owners may have what is missing.
func (s *Session) reorderLocked(o *open) (waits bool) {
	s.closeRanksLocked(o, PathRelay)
	if st := o.stream; s.open[o.n] != o || st == nil || len(st.ahead) == 0 {
		return false
	}
	if o.inheritsLocked() {
		s.askLocked()
	}
	return true
}
