package table

import (
	"context"
	"maps"
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

	rounds  int                     // how often they were to be
	unsaid  bool                    // others have not been told that they are
	since   int64                   // by Redis's clock: when the last round was asked for
	awaited map[routing.NodeID]bool // who has not said so since; true where Redis knows the node since
}

// rebuild asks for all sessions to be written anew, and waits for the word of all nodes
// that they have done so, too.
func (r *Redis) rebuild(c *census) {
	r.lease.mu.Lock()
	others := maps.Clone(r.lease.members) // Redis may have lost them
	r.lease.mu.Unlock()
	b := &r.rebuilt
	b.mu.Lock()
	b.until, b.pending, b.unsaid, b.since = time.Now().Add(r.o.Grace), true, true, c.now
	b.rounds++
	b.awaited = make(map[routing.NodeID]bool)
	for node := range others {
		b.awaited[node] = false
	}
	for node := range c.members {
		b.awaited[node] = true
	}
	delete(b.awaited, r.o.Node)
	b.mu.Unlock()
	r.restateSoon()
}

// hear takes other nodes' word that all they have is in Redis. It counts where they gave
// it after a renewal that was later than what made this node ask: that has told them. Nor
// is there anything to come of a node that was a member since and is none any more.
func (b *rebuilt) hear(c *census) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for node, since := range c.restated {
		if since >= b.since {
			delete(b.awaited, node)
		}
	}
	for node, known := range b.awaited {
		if _, member := c.members[node]; member {
			b.awaited[node] = true
		} else if known {
			delete(b.awaited, node)
		}
	}
}

// owesWord tells whether this node cannot say that all it has is in Redis.
func (b *rebuilt) owesWord() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.pending || b.reclaim || b.unsaid
}

// said notes that what the rounds up to one have queued is in Redis.
func (b *rebuilt) said(rounds int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.unsaid = b.unsaid && b.rounds != rounds
}

// setReclaim has the next round take this node's sessions back. The round begins
// once the node has its lease again.
func (b *rebuilt) setReclaim() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.pending, b.reclaim = true, true
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

func (b *rebuilt) asked() (rounds int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.rounds
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
	b := &r.rebuilt
	return b.pending || (b.unsaid || len(b.awaited) > 0) && time.Now().Before(b.until)
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
		rounds := r.rebuilt.asked()
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
		if r.flush(ctx) == nil { // else there is another round
			r.rebuilt.said(rounds)
			r.lease.renewNow()
		}
		if second, last = nil, how; first {
			second = time.After(r.o.Grace)
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
