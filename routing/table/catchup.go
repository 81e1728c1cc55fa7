package table

import (
	"context"
	"time"

	"parley/routing"
)

const (
	// catchUpFor is how long CatchUp takes at most.
	catchUpFor = 250 * time.Millisecond
	// catchUpPoll is how often it looks.
	catchUpPoll = 2 * time.Millisecond
)

// CatchUp blocks until the node has been handed all that stood in its inbox, and all
// that was held for sessions which it is taking back, but no longer than catchUpFor.
// While Redis is away it answers at once. It tells whether all of that was.
func (r *Redis) CatchUp(ctx context.Context) bool {
	if r.link.away() {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, catchUpFor)
	defer cancel()
	newest, ok := r.newest(ctx)
	return ok && until(ctx, func() bool { return r.inbox.hasReached(newest) })
}

// newest waits until the node has been handed all that was held for sessions which it is
// taking back, and answers the newest entry of its inbox.
func (r *Redis) newest(ctx context.Context) (id routing.Token, ok bool) {
	if !until(ctx, func() bool { return !r.rebuilt.owes() }) || r.flush(ctx) != nil {
		return id, false
	}
	handed := func() bool { // what the writer has taken back it hands over before it gives up its turn
		free := r.turn.TryLock()
		if free {
			r.turn.Unlock()
		}
		return free
	}
	if !until(ctx, handed) {
		return id, false
	}
	entries, err := r.client.XRevRangeN(ctx, inboxKey(r.o.Node), "+", "-", 1).Result()
	if err != nil || len(entries) == 0 {
		return id, err == nil
	}
	return parseID(entries[0].ID)
}

// until looks again and again whether something is so, and answers false when ctx has
// ended first.
func until(ctx context.Context, so func() bool) bool {
	for !so() {
		if !sleep(ctx, catchUpPoll) {
			return false
		}
	}
	return true
}

// owes tells whether sessions are about to be taken back, or written anew.
func (b *rebuilt) owes() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.pending || b.reclaim
}

// reach notes that all entries up to one have been dealt with.
func (in *inbox) reach(id string) {
	at, ok := parseID(id)
	in.mu.Lock()
	defer in.mu.Unlock()
	if ok && !in.rewound {
		in.reached = at
	}
}

func (in *inbox) hasReached(id routing.Token) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.reached.A > id.A || in.reached.A == id.A && in.reached.B >= id.B
}
