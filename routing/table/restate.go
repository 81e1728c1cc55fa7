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
	mu      sync.Mutex
	until   time.Time
	pending bool // this node's sessions are not all written yet
}

// rebuildGrace is how long after Redis was found emptied, or came back, a
// session that it does not know may still be written by its node.
const rebuildGrace = 5 * time.Second

// rebuild asks for all sessions to be written anew.
func (r *Redis) rebuild() {
	r.rebuilt.mu.Lock()
	r.rebuilt.until, r.rebuilt.pending = time.Now().Add(rebuildGrace), true
	r.rebuilt.mu.Unlock()
	r.restateSoon()
}

func (r *Redis) restateSoon() {
	wake(r.stale)
}

// rebuilding tells whether what Redis does not know may yet exist.
func (r *Redis) rebuilding() bool {
	r.rebuilt.mu.Lock()
	defer r.rebuilt.mu.Unlock()
	return r.rebuilt.pending || time.Now().Before(r.rebuilt.until)
}

// rewritten notes that this node's sessions are all in the queue.
func (r *Redis) rewritten() {
	r.rebuilt.mu.Lock()
	defer r.rebuilt.mu.Unlock()
	r.rebuilt.pending = false
}

// restate prolongs the life of this node's sessions in Redis, once in
// Options.Resume, and writes them anew when it is asked to, until ctx ends.
func (r *Redis) restate(ctx context.Context, from Node) {
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
		if how == anew {
			r.rewritten()
		}
	}
}
