package routing

import (
	"context"
	"iter"
	"math"
	"slices"
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

// reroute sends a reply that is here to wherever its session is, before all that this node
// consumes for that session from now on. It does not block; what waits is bounded by the
// sessions that had it.
func (r *Router) reroute(reply *Reply) {
	r.afield.goes(reply)
	r.astray.put(reply)
}

// relay routes strangers, and what has gone astray, until ctx ends. What cannot be routed
// yet is parked, so that the order of each request's replies is kept, and no session waits
// for another.
func (r *Router) relay(ctx context.Context) {
	p := newParked(r.limits.Strangers)
	for {
		batch, ok := r.gather(ctx, p)
		if !ok {
			return
		}
		r.eased()
		r.tryAll(ctx, p, slices.Chunk(batch, relayBatch))
		if p.due() {
			p.rest(r.tryAll(ctx, p, slices.Values(p.take())))
		}
	}
}

// tryAll routes batches, up to where the table is away.
func (r *Router) tryAll(ctx context.Context, p *parked, batches iter.Seq[[]*Reply]) (sure bool) {
	sure = true
	for batch := range batches {
		if p.stuck && !sure {
			p.put(batch...)
		} else if batch = p.join(batch); len(batch) > 0 {
			sure = r.try(ctx, p, batch) && sure
		}
	}
	return sure
}

// try routes a batch and parks what must be routed again. It is sure where all of that
// is only ahead of its row.
func (r *Router) try(ctx context.Context, p *parked, batch []*Reply) (sure bool) {
	verdicts := r.table.Route(ctx, batch)
	sure, p.stuck = true, true
	var strays []Holding
	for i, reply := range batch {
		v := &verdicts[i]
		p.stuck = p.stuck && v.Fate == Failed && !v.Early
		if v.Fate == Here && !r.isHere(reply, v.Epoch) {
			session, _, _ := reply.ID.Split()
			strays = append(strays, Holding{Session: session, Epoch: v.Epoch, Reply: reply})
			continue
		}
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
	return r.holdStrays(ctx, p, strays) && sure
}

// isHere tells whether there is somebody here to take what the table says is this node's.
// There is not where the session was this node's before a restart, or is about to be
// resumed here, or the table's word that it was given to this node anew was lost.
func (r *Router) isHere(reply *Reply, epoch uint64) bool {
	session, _, _ := reply.ID.Split()
	s := r.session(session)
	return s != nil && s.takes(epoch)
}

// holdStrays has those held that nobody here takes, and parks what is to be routed again.
// Nothing behind them is routed meanwhile.
func (r *Router) holdStrays(ctx context.Context, p *parked, strays []Holding) (sure bool) {
	if len(strays) == 0 {
		return true
	}
	sure = true
	for i, v := range r.table.Hold(ctx, strays) {
		switch reply := strays[i].Reply; {
		case v.Fate == Here: // by a table that keeps nothing
			reply.done()
			r.afield.went(reply)
		case r.settle(reply, v):
			p.put(reply)
			sure = sure && v.Fate != Failed
		}
	}
	return sure
}

// gather waits for replies, and answers up to relayBatch strangers behind all that has gone
// astray, or for the time to try the parked ones again. ok is false when ctx has ended.
func (r *Router) gather(ctx context.Context, p *parked) (batch []*Reply, ok bool) {
	batch = make([]*Reply, 0, relayBatch)
	strangers, astray := r.strangers, r.astray.wakeup
	var again <-chan time.Time
	if p.count > 0 {
		timer := time.NewTimer(time.Until(p.next))
		defer timer.Stop()
		again = timer.C
		if p.waits() {
			strangers, astray = nil, nil
		}
	}
	select {
	case reply := <-strangers:
		batch = append(batch, reply)
	case <-astray:
	case <-again:
	case <-ctx.Done():
		return nil, false
	}
	if p.full() {
		return batch, true
	}
	for len(batch) < relayBatch {
		select {
		case reply := <-r.strangers:
			batch = append(batch, reply)
			continue
		default:
		}
		break
	}
	batch = r.bringHome(p, batch)
	if left := r.astray.take(math.MaxInt); len(left) > 0 {
		batch = append(left, batch...)
	}
	return batch, true
}

// bringHome gives strangers that are pushes to those sessions that have come to this node
// meanwhile, and answers the rest. Such a session may have older ones, which nobody else
// has; should it leave, they go astray before it is gone, and so before what is routed here.
func (r *Router) bringHome(p *parked, batch []*Reply) (rest []*Reply) {
	here := make(map[SessionID]*Session) // nil for one that was away: what follows goes the same way
	return slices.DeleteFunc(batch, func(reply *Reply) bool {
		session, n, _ := reply.ID.Split()
		if !isPush(n) {
			return false
		}
		s, known := here[session]
		if !known && !p.has(session) {
			s = r.session(session)
		}
		if here[session] = s; s == nil {
			return false
		}
		s.deliver(early{Reply: reply}, PathHome)
		r.afield.went(reply)
		return true
	})
}

// settle carries out a verdict, and tells whether the reply must be routed again.
func (r *Router) settle(reply *Reply, v Verdict) (again bool) {
	defer func() {
		if !again {
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
		return true
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
