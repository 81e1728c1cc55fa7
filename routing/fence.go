package routing

import (
	"context"
	"time"
)

const (
	// fencePoll is how often a fenced router looks whether it still is.
	fencePoll = 5 * time.Millisecond
	// fenceGrace is how long a request waits at least after a sleep that its deadline
	// fell into: its reply may have come in time, and be about to be read.
	fenceGrace = 500 * time.Millisecond
	// wakeWait is how long doors wait at the most, from the first that does.
	wakeWait = 2 * time.Second
)

// Awake waits while this process has slept and does not know whether it still is a node: for
// as long as it takes to ask the table, and two seconds at most. Doors call it before they
// hand on what a client sent. Where the node turns out to be removed, its sockets are closed
// with that unread, and what was never read the client sends again by itself elsewhere,
// without its caller noticing anything. It costs a look at the clock.
func (r *Router) Awake(ctx context.Context) {
	now := time.Now()
	if !r.table.Fenced(now) {
		if r.woke.Load() != nil {
			r.woke.Store(nil)
		}
		return
	}
	r.woke.CompareAndSwap(nil, &now)
	for since := r.woke.Load(); since != nil && time.Since(*since) < wakeWait && r.table.Fenced(time.Now()); {
		if !sleep(ctx, fencePoll) {
			return
		}
	}
}

// awake blocks while the router is fenced, and tells whether ctx goes on.
func (r *Router) awake(ctx context.Context) bool {
	for r.table.Fenced(time.Now()) {
		if !sleep(ctx, fencePoll) {
			return false
		}
	}
	return true
}

// unmute does what could not be done while the router was fenced, until ctx ends.
func (r *Router) unmute(ctx context.Context) {
	for {
		select {
		case <-r.muted.wakeup:
		case <-ctx.Done():
			return
		}
		if !r.awake(ctx) {
			return
		}
		for batch := r.muted.take(relayBatch); len(batch) > 0; batch = r.muted.take(relayBatch) {
			for _, do := range batch {
				do()
			}
		}
	}
}

// waitOn gives a request whose deadline has passed meanwhile a grace.
func (o *open) waitOn() {
	s := o.session
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open[o.n] == o {
		s.router.wheel.arm(&o.deadline, time.Now().Add(fenceGrace))
	}
}
