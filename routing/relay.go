package routing

import (
	"context"
	"time"
)

const (
	// relayBatch is how many strangers one look-up takes.
	relayBatch = 512
	// relayAgain is the pause before a reply is routed again.
	relayAgain = 10 * time.Millisecond
	// relayAgainMax is the longest such pause, while the table is away.
	relayAgainMax = 500 * time.Millisecond
	// rowGrace is how long a reply may be ahead of its session's row, which is
	// written beside the produce and not before it.
	rowGrace = time.Second
)

// Deliver takes a batch of replies that this node consumed, in the order of
// their partitions. It blocks only while more strangers wait for the table than
// Limits.Strangers: Kafka then keeps the rest.
func (r *Router) Deliver(ctx context.Context, replies []*Reply) {
	for _, reply := range replies {
		session, n, ok := reply.ID.Split()
		if !ok {
			r.drop(reply, DropUnknownRequest)
			continue
		}
		if s, here := r.sessions.Load(session); here {
			s.(*Session).deliver(n, reply, PathHome)
			continue
		}
		select {
		case r.strangers <- reply:
		case <-ctx.Done():
			return
		}
	}
}

// DeliverRelayed takes replies from this node's inbox, in order. It does not
// block. A reply whose session has gone is dropped: there is never a second relay.
func (r *Router) DeliverRelayed(replies []*Reply) {
	for _, reply := range replies {
		session, n, _ := reply.ID.Split()
		if s, here := r.sessions.Load(session); here {
			s.(*Session).deliver(n, reply, PathRelay)
			continue
		}
		r.drop(reply, DropSessionGone)
	}
}

// relay routes strangers until ctx ends. What cannot be routed yet stays at the
// head of the queue, so that the order of each request's replies is kept.
func (r *Router) relay(ctx context.Context) {
	var waiting []*Reply
	pause, told := relayAgain, false
	for {
		batch, ok := r.gather(ctx, waiting, pause)
		if !ok {
			return
		}
		verdicts := r.table.Route(ctx, batch)
		waiting = waiting[:0]
		var failed *Verdict
		for i, reply := range batch {
			if r.settle(reply, verdicts[i]) {
				waiting = append(waiting, reply)
				if failed == nil && verdicts[i].Fate == Failed {
					failed = &verdicts[i]
				}
			}
		}
		if failed == nil {
			pause, told = relayAgain, false
			continue
		}
		pause = min(2*pause, relayAgainMax)
		if !told { // once, until all went well again
			r.log.Warn("replies wait for the table", "request", string(waiting[0].ID), "replies", len(waiting), "err", failed.Err)
			told = true
		}
	}
}

// gather waits for strangers and answers up to relayBatch of them, those that
// wait for another try first. ok is false when ctx has ended.
func (r *Router) gather(ctx context.Context, waiting []*Reply, pause time.Duration) (batch []*Reply, ok bool) {
	batch = append(make([]*Reply, 0, relayBatch), waiting...)
	if len(waiting) > 0 {
		timer := time.NewTimer(pause)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return nil, false
		}
	} else {
		select {
		case reply := <-r.strangers:
			batch = append(batch, reply)
		case <-ctx.Done():
			return nil, false
		}
	}
	for len(batch) < relayBatch {
		select {
		case reply := <-r.strangers:
			batch = append(batch, reply)
		default:
			return batch, true
		}
	}
	return batch, true
}

// settle carries out a verdict, and tells whether the reply must be routed again.
func (r *Router) settle(reply *Reply, v Verdict) (again bool) {
	switch v.Fate {
	case Relayed:
		reply.done()
	case Held:
		r.observer.Count(Replies, string(PathHeld))
		reply.done()
	case Here:
		session, n, _ := reply.ID.Split()
		if s, here := r.sessions.Load(session); here {
			s.(*Session).deliver(n, reply, PathHome)
			return false
		}
		r.drop(reply, DropSessionGone)
	case Dropped:
		if v.Drop == DropUnknownRequest && time.Since(reply.Consumed) < rowGrace {
			return true
		}
		r.drop(reply, v.Drop)
	default:
		return true
	}
	return false
}
