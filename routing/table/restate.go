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
	reclaim bool // others have taken this process for dead: its sessions are to be taken back
	lacks   int  // writes that Redis has refused, or that did not fit the queue
	mended  int  // as lacks was when all sessions were last written anew
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

// setReclaim has the next round take this node's sessions back. The round begins
// once the node has its lease again.
func (b *rebuilt) setReclaim() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.until, b.pending, b.reclaim = time.Now().Add(rebuildGrace), true, true
}

func (b *rebuilt) toReclaim() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.reclaim
}

// takeReclaim is toReclaim for the round that does it.
func (b *rebuilt) takeReclaim() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	was := b.reclaim
	b.reclaim = false
	return was
}

// lack notes that a write of this node's is not in Redis and will not be, unless its
// session is written anew.
func (b *rebuilt) lack() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lacks++
}

// counts answers how many writes have been lacking.
func (b *rebuilt) counts() (lacks int, mended bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.lacks, b.lacks == b.mended
}

// lacking tells whether Redis may lack a row of this node's that is not in the queue.
func (r *Redis) lacking() bool {
	_, mended := r.rebuilt.counts()
	return !mended || r.rebuilding()
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

// rewritten notes that this node's sessions are all in the queue, with what had been
// lacking when that began.
func (r *Redis) rewritten(lacked int) {
	r.rebuilt.mu.Lock()
	defer r.rebuilt.mu.Unlock()
	r.rebuilt.pending, r.rebuilt.mended = false, lacked
}

// restate prolongs the life of this node's sessions in Redis, once in
// Options.Resume, and writes them anew, or takes them back, when it is asked to,
// until ctx ends.
func (r *Redis) restate(ctx context.Context, from Node) {
	tick := time.NewTicker(r.o.Resume)
	defer tick.Stop()
	// Another node may have judged by what it saw before this one was back, and hold
	// a reply just after the round has looked for some: so there is a second round.
	var second <-chan time.Time
	var last how
	for {
		how, first := touch, true
		select {
		case <-ctx.Done():
			return
		case <-r.stale:
			how = anew
		case <-second:
			how, first = last, false
		case <-tick.C:
		}
		lacked, mended := r.rebuilt.counts()
		if how == touch && !mended {
			how = anew
		}
		if r.rebuilt.takeReclaim() {
			how = reclaim
			r.restateRound(ctx, from, how, true) // first those whose clients wait for something
		}
		r.restateRound(ctx, from, how, false)
		if how == touch {
			continue
		}
		r.rewritten(lacked)
		if second, last = nil, how; first {
			second = time.After(rebuildGrace)
		}
	}
}

// restateRound queues all sessions, or only the busy ones: those with open requests.
func (r *Redis) restateRound(ctx context.Context, from Node, how how, busy bool) {
	from.EachSession(
		func() bool { return r.queue.waitRoom(ctx) },
		func(s routing.SessionRow, open []routing.Row) {
			if len(open) > 0 || !busy {
				r.push(op{kind: opState, session: s.ID, state: &state{row: s, open: open, how: how}})
				r.resub(s)
				if how != touch {
					r.rewait(open)
				}
			}
		})
}
