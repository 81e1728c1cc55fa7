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
)

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
