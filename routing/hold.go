package routing

import (
	"context"
	"time"
)

// hold has the table hold replies until ctx ends. What it cannot hold yet stays
// first in line.
func (r *Router) hold(ctx context.Context) {
	var waiting []Holding
	told := false
	for pause := relayAgain; ; {
		if len(waiting) == 0 {
			select {
			case <-r.holds.wakeup:
			case <-ctx.Done():
				return
			}
			pause = relayAgain
		} else if !sleep(ctx, pause) {
			return
		}
		for {
			waiting = append(waiting, r.holds.take(relayBatch-len(waiting))...)
			if len(waiting) == 0 {
				break
			}
			failed, err := r.holdBatch(ctx, waiting)
			if len(failed) > 0 {
				if !told { // once, until all went well again
					r.log.Warn("replies wait to be held", "request", string(failed[0].Reply.ID), "replies", len(failed), "err", err)
					told = true
				}
				waiting, pause = failed, min(2*pause, relayAgainMax)
				break
			}
			waiting, told = nil, false
		}
	}
}

// holdBatch answers what has to be tried again, and why.
func (r *Router) holdBatch(ctx context.Context, batch []Holding) (failed []Holding, why error) {
	for i, v := range r.table.Hold(ctx, batch) {
		h := batch[i]
		s := r.session(h.Session)
		switch {
		case v.Fate == Failed:
			failed, why = append(failed, h), v.Err
		case v.Fate == Moved && s != nil && (defectResumeUnfenced || s.holdAgain(h)):
		case v.Fate == Moved:
			r.reroute(h.Reply)
		case v.Fate == Dropped:
			r.drop(h.Reply, v.Drop)
		case s != nil:
			if v.Fate == Held {
				Pass(PointHeld)
				r.observer.Count(Replies, string(PathHeld))
			}
			s.held(h, v.Fate == Held)
		default:
			h.Reply.done()
		}
	}
	return failed, why
}

// sleep waits, and tells whether ctx goes on.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// Flush has the table hold all that is unacknowledged on this node, which is
// about to leave, and waits until it does or ctx ends.
func (r *Router) Flush(ctx context.Context) {
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	for {
		waiting := 0
		r.sessions.Range(func(_, v any) bool {
			waiting += v.(*Session).flush()
			return true
		})
		if waiting == 0 {
			return
		}
		select {
		case <-poll.C:
		case <-ctx.Done():
			r.log.Warn("left before all replies were held", "replies", waiting)
			return
		}
	}
}

// flush asks for all that is unacknowledged to be held, and tells how much waits.
func (s *Session) flush() (waiting int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	flush := func(u *unacked) {
		if s.holdLocked(u); !u.safe {
			waiting++
		}
	}
	for i := range s.unacked {
		flush(&s.unacked[i])
	}
	s.eachWaitingLocked(flush)
	return waiting
}
