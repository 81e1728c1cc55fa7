package table

import (
	"context"
	"sync"
	"time"

	"parley/routing"
)

// rebuilt remembers until when sessions may be missing from Redis that living
// nodes have.
type rebuilt struct {
	mu    sync.Mutex
	until time.Time
	back  time.Time // when a renewal last worked after some had not; zero if never
}

// rebuildGrace is how long after Redis was found emptied, or came back, a
// session that it does not know may still be written by its node.
const rebuildGrace = 5 * time.Second

// rebuild asks for all sessions to be written anew.
func (r *Redis) rebuild() {
	r.rebuilt.mu.Lock()
	r.rebuilt.until = time.Now().Add(rebuildGrace)
	r.rebuilt.mu.Unlock()
	r.restateSoon()
}

func (r *Redis) restateSoon() {
	select {
	case r.stale <- struct{}{}:
	default:
	}
}

// rebuilding tells whether what Redis does not know may yet exist.
func (r *Redis) rebuilding() bool {
	r.rebuilt.mu.Lock()
	defer r.rebuilt.mu.Unlock()
	return time.Now().Before(r.rebuilt.until)
}

// returning tells whether Redis is away, or so lately back that living nodes may
// not have renewed their leases yet. A lease that has lapsed then says nothing
// about its node: what is held for a session that a living node has attached
// would never reach its client.
func (r *Redis) returning() bool {
	if r.link.away() || r.lease.overdue(r.o.Lease) {
		return true
	}
	r.rebuilt.mu.Lock()
	defer r.rebuilt.mu.Unlock()
	return !r.rebuilt.back.IsZero() && time.Since(r.rebuilt.back) < 2*r.o.Lease
}

// waitForOthers notes that this node has come back, and others may be about to.
func (r *rebuilt) waitForOthers() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.back = time.Now()
}

// restate prolongs the life of this node's sessions in Redis, once in
// Options.Resume, and writes them anew when it is asked to, until ctx ends.
func (r *Redis) restate(ctx context.Context, from Inbox) {
	tick := time.NewTicker(r.o.Resume)
	defer tick.Stop()
	for {
		how := touch
		select {
		case <-ctx.Done():
			return
		case <-r.stale:
			how = anew
		case <-tick.C:
		}
		from.EachSession(
			func() bool { return r.queue.waitRoom(ctx) },
			func(s routing.SessionRow, open []routing.Row) {
				r.push(op{kind: opState, session: s.ID, state: &state{row: s, open: open, how: how}})
			})
	}
}
