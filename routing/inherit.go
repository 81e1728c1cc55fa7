package routing

import (
	"context"
	"slices"
	"sync/atomic"
	"time"
)

// inheritance is what a session's former owners may still have of its replies, in
// their memory or their inboxes, for a while after another node took it over.
type inheritance struct {
	until time.Time // when it is waited for no longer
	asked bool      // the table is asked whether all of it has come; it belongs to session.mu
}

// heir is a session that waits for its inheritance.
type heir struct {
	*Session
	of *inheritance
}

// inheritLocked begins the time in which replies may come from former owners.
func (s *Session) inheritLocked() {
	s.inherits = &inheritance{until: time.Now().Add(s.router.limits.Gap)}
	for _, o := range s.open {
		o.moved = true
	}
}

// inheritsLocked tells whether replies to a request may still come from former owners of
// its session, or of a partition that came while the table was away.
func (o *open) inheritsLocked() bool {
	s := o.session
	if o.moved && s.inherits != nil && time.Now().Before(s.inherits.until) {
		return true
	}
	came := s.router.behind.Load()
	return came != nil && o.submitted.Before(*came) && time.Since(*came) < s.router.limits.Gap
}

// catchUp waits for what the former owners of partitions have sent, and remembers if that
// has not come.
func (r *Router) catchUp(ctx context.Context) {
	if now := time.Now(); r.table.CatchUp(ctx) {
		r.behind.Store(nil)
	} else {
		r.behind.Store(&now)
	}
}

// askLocked has the table asked whether they do.
func (s *Session) askLocked() {
	now := time.Now()
	if s.router.behind.Load() != nil && (s.inherits == nil || now.After(s.inherits.until)) {
		s.inherits = &inheritance{until: now.Add(s.router.limits.Gap)}
	}
	if in := s.inherits; in != nil && !in.asked {
		in.asked = true
		s.router.heirs.put(heir{s, in})
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
	if slices.Contains(all, true) {
		r.behind.CompareAndSwap(behind, nil)
	}
	for i, h := range heirs {
		switch {
		case all[i]:
			looked, err := r.table.Look(ctx, h.id) // what was acknowledged there just before
			if err != nil {
				looked = Looked{}
			}
			h.inherited(h.of, looked.Rows)
		case time.Now().After(h.of.until):
			h.inherited(h.of, nil)
		case h.waitsFor(h.of):
			left = append(left, h)
		}
	}
	return left
}

func (h heir) waitsFor(in *inheritance) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.state == live && h.Session.inherits == in
}

// inherited takes what has waited for what former owners had: no more of that comes.
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
	for _, o := range s.openLocked() {
		s.closeRanksLocked(o, PathRelay)
		if st := o.stream; s.open[o.n] == o && st != nil && len(st.ahead) > 0 && st.ahead[0].Place == 0 && o.inheritsLocked() {
			s.askLocked() // another partition has come meanwhile
		}
	}
}

// handing counts what a node still has of the replies for a session that it has given
// up: once that is nothing, it says so.
type handing struct {
	router  *Router
	session SessionID
	epoch   uint64
	left    atomic.Int64
}

// handOver begins to hand a session's replies on. It ends with done.
func (s *Session) handOverLocked() *handing {
	h := &handing{router: s.router, session: s.id, epoch: s.epoch}
	h.left.Store(1)
	return h
}

// pass routes a reply to the new owner.
func (h *handing) pass(reply *Reply) {
	h.left.Add(1)
	h.router.reroute(reply.under(handed{reply, h}))
}

// unpassed takes back a reply that was to be handed on, where the session has come back.
func unpassed(reply *Reply) (*Reply, *handing) {
	if h, passed := reply.Receipt.(handed); passed {
		return h.reply, h.by
	}
	return reply, nil
}

func (h *handing) done() {
	if h != nil && h.left.Add(-1) == 0 {
		h.router.table.HandedOver(h.session, h.epoch)
	}
}

// handed is the receipt of a reply that is handed on.
type handed struct {
	reply *Reply
	by    *handing
}

func (h handed) Done(Token) {
	h.reply.done()
	h.by.done()
}
