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
// Limits.Strangers, and while the router is fenced: Kafka then keeps the rest.
func (r *Router) Deliver(ctx context.Context, replies []*Reply) {
	if !r.awake(ctx) {
		return
	}
	for _, reply := range replies {
		session, _, ok := reply.ID.Split()
		if !ok {
			r.drop(reply, DropUnknownRequest)
			continue
		}
		if s, here := r.sessions.Load(session); here {
			s.(*Session).deliver(reply, PathHome, false)
			continue
		}
		select {
		case r.strangers <- reply:
			r.crowded(reply.From.Partition)
		case <-ctx.Done():
			return
		}
	}
}

// DeliverRelayed takes replies from this node's inbox, in order, unless it is
// fenced. It does not block. A reply whose session has moved on is routed anew.
func (r *Router) DeliverRelayed(replies []*Reply) {
	for _, reply := range replies {
		session, _, _ := reply.ID.Split()
		if s, here := r.sessions.Load(session); here {
			s.(*Session).deliver(reply, PathRelay, false)
			continue
		}
		r.reroute(reply)
	}
}

// reroute sends a reply that is here to wherever its session is. It does not
// block; what waits is bounded by the sessions that had it.
func (r *Router) reroute(reply *Reply) { r.astray.put(reply) }

// forward hands the replies that have to be routed anew to the relay, until ctx ends.
func (r *Router) forward(ctx context.Context) {
	for {
		select {
		case <-r.astray.wakeup:
		case <-ctx.Done():
			return
		}
		for batch := r.astray.take(relayBatch); len(batch) > 0; batch = r.astray.take(relayBatch) {
			for _, reply := range batch {
				select {
				case r.strangers <- reply:
				case <-ctx.Done():
					return
				}
			}
		}
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
		r.eased()
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
		session, _, _ := reply.ID.Split()
		if s, here := r.sessions.Load(session); here {
			s.(*Session).deliver(reply, PathHome, true)
			return false
		}
		// It was this node's before a restart, or is about to be resumed here.
		r.holds.put(Holding{Session: session, Epoch: v.Epoch, Reply: reply})
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
