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
	relayAgainMax = 100 * time.Millisecond
	// rowGrace is how long a reply may be ahead of its session's row, which is
	// written beside the produce and not before it.
	rowGrace = time.Second
)

// Deliver takes a batch of replies that this node consumed, in the order of
// their partitions. It blocks for a moment after partitions have come, and else only
// while more strangers wait for the table than
// Limits.Strangers, and while the router is fenced: Kafka then keeps the rest.
func (r *Router) Deliver(ctx context.Context, replies []*Reply) {
	if !r.awake(ctx) {
		return
	}
	if r.gained.Load() && r.gained.CompareAndSwap(true, false) {
		r.CatchUp(ctx)
	}
	for _, reply := range replies {
		session, n, ok := reply.ID.Split()
		if !ok {
			r.drop(reply, DropUnknownRequest)
			continue
		}
		if s := r.session(session); s != nil && !(isPush(n) && r.afield.has(session)) {
			s.deliver(early{Reply: reply}, PathHome)
			continue
		}
		r.afield.goes(reply)
		select {
		case r.strangers <- reply:
			r.crowded(stretch{reply.From.Topic, reply.From.Partition})
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
		if s := r.session(session); s != nil {
			s.deliver(early{Reply: reply}, PathRelay)
			continue
		}
		r.reroute(reply)
	}
}

// reroute sends a reply that is here to wherever its session is. It does not
// block; what waits is bounded by the sessions that had it.
func (r *Router) reroute(reply *Reply) {
	r.afield.goes(reply)
	r.astray.put(reply)
}

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

// relay routes strangers until ctx ends. What cannot be routed yet is parked, so that
// the order of each request's replies is kept, and no session waits for another.
func (r *Router) relay(ctx context.Context) {
	p := newParked(r.limits.Strangers)
	for {
		batch, ok := r.gather(ctx, p)
		if !ok {
			return
		}
		r.eased()
		if batch = p.join(batch); len(batch) > 0 {
			r.try(ctx, p, batch)
		}
		if p.due() {
			r.tryAgain(ctx, p)
		}
	}
}

// tryAgain routes what is parked, up to where the table is away.
func (r *Router) tryAgain(ctx context.Context, p *parked) {
	sure := true
	for _, batch := range p.take() {
		if p.stuck && !sure {
			p.put(batch...)
		} else {
			sure = r.try(ctx, p, batch) && sure
		}
	}
	p.rest(sure)
}

// try routes a batch and parks what must be routed again. It is sure where all of that
// is only ahead of its row.
func (r *Router) try(ctx context.Context, p *parked, batch []*Reply) (sure bool) {
	verdicts := r.table.Route(ctx, batch)
	sure, p.stuck = true, true
	for i, reply := range batch {
		v := &verdicts[i]
		p.stuck = p.stuck && v.Fate == Failed && !v.Early
		if !r.settle(reply, *v) {
			continue
		}
		p.put(reply)
		sure = sure && v.Fate != Failed
		if v.Fate == Failed && !p.told { // once, until all went well again
			r.log.Warn("replies wait for the table", "request", string(reply.ID), "replies", len(batch), "err", v.Err)
			p.told = true
		}
	}
	return sure
}

// gather waits for strangers, and answers up to relayBatch of them, or for the time to
// try the parked ones again. ok is false when ctx has ended.
func (r *Router) gather(ctx context.Context, p *parked) (batch []*Reply, ok bool) {
	batch = make([]*Reply, 0, relayBatch)
	strangers := r.strangers
	var again <-chan time.Time
	if p.count > 0 {
		timer := time.NewTimer(time.Until(p.next))
		defer timer.Stop()
		again = timer.C
		if p.waits() {
			strangers = nil
		}
	}
	select {
	case reply := <-strangers:
		batch = append(batch, reply)
	case <-again:
	case <-ctx.Done():
		return nil, false
	}
	for len(batch) < relayBatch && !p.full() {
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
	strays := false
	defer func() {
		if !again && !strays {
			r.afield.went(reply)
		}
	}()
	switch v.Fate {
	case Relayed:
		Pass(PointRelayed)
		reply.done()
	case Held:
		Pass(PointHeld)
		r.observer.Count(Replies, string(PathHeld))
		r.waiters.look(reply.ID)
		reply.done()
	case Here:
		session, _, _ := reply.ID.Split()
		if s := r.session(session); s != nil {
			reply, by := unpassed(reply)
			s.deliver(early{Reply: reply, sure: true, epoch: v.Epoch}, PathHome)
			by.done()
			return false
		}
		// It was this node's before a restart, or is about to be resumed here.
		strays = true
		r.holds.put(Holding{Session: session, Epoch: v.Epoch, Reply: reply, stray: true})
	case Dropped:
		if session, n, _ := reply.ID.Split(); v.Drop == DropUnknownRequest && isPush(n) {
			r.drop(reply, DropSessionGone)
			r.table.Unsubscribe(Subscription{session, feedOf(reply)})
			return false
		}
		if v.Drop == DropUnknownRequest && time.Since(reply.Consumed) < rowGrace {
			return true
		}
		r.dropQuietly(reply, v.Drop, v.Foreign)
	default:
		return true
	}
	return false
}
