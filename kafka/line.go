package kafka

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"parley/routing"
)

// partition is one ownership of one partition of the reply topic: which of its
// replies are not done yet, and so how far it may be committed. It is the
// Receipt of its replies; a Token's A is the reply's place in the line.
type partition struct {
	id int32

	mu      sync.Mutex
	ring    []waiting // a power of two long; place n is ring[n & (len-1)]
	head    int64     // place of the oldest reply that is not done
	tail    int64     // place that the next reply gets
	upTo    int64     // every offset below it is done; 0 before the first
	bytes   int       // of replies that are not done
	crowded bool      // it has been over its limits, and is not well below them
	empty   chan struct{}

	limits  *lineLimits // nil for none
	rewound time.Time   // what Replies.Rewind set it back to; guarded by Replies.mu
	*holding
}

// holding is what an ownership keeps through a rewind.
type holding struct {
	committed atomic.Int64 // what the group has at least; it only rises
	member    string       // the id that commits are made under; belongs to Replies.committing
	confirmed string       // the id that the group has assigned it to; guarded by Replies.mu
}

// raise notes what the group has committed.
func (h *holding) raise(committed int64) {
	for {
		known := h.committed.Load()
		if committed <= known || h.committed.CompareAndSwap(known, committed) {
			return
		}
	}
}

// lineLimits are what a partition may have out.
type lineLimits struct {
	replies, bytes int
	room           chan<- struct{} // told, without waiting, when a crowded partition has room again
}

// waiting is a reply in its partition's line.
type waiting struct {
	offset int64
	since  time.Duration // of the process's clock, see sinceStart
	bytes  int32
	done   bool
}

const (
	smallRing = 64
	largeRing = 4096 // given back when it is empty
)

var start = time.Now()

// sinceStart is a monotonic clock in one word.
func sinceStart(t time.Time) time.Duration { return t.Sub(start) }

// add puts a polled reply at the end of the line. Offsets must rise.
func (p *partition) add(offset int64, bytes int, now time.Duration) routing.Token {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.tail-p.head == int64(len(p.ring)) {
		p.growLocked()
	}
	*p.atLocked(p.tail) = waiting{offset: offset, since: now, bytes: int32(bytes)}
	p.tail++
	p.bytes += bytes
	if l := p.limits; l != nil && (p.tail-p.head > int64(l.replies) || p.bytes > l.bytes) {
		p.crowded = true
	}
	return routing.Token{A: p.tail - 1, B: offset}
}

func (p *partition) atLocked(place int64) *waiting { return &p.ring[place&int64(len(p.ring)-1)] }

func (p *partition) growLocked() {
	old := p.ring
	p.ring = make([]waiting, max(smallRing, 2*len(old)))
	for n := p.head; n < p.tail; n++ {
		*p.atLocked(n) = old[n&int64(len(old)-1)]
	}
}

// Done implements routing.Receipt: the reply need not be kept in Kafka. It does
// not block and may be called from any goroutine, more than once.
func (p *partition) Done(t routing.Token) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if t.A < p.head || t.A >= p.tail {
		return
	}
	if w := p.atLocked(t.A); !w.done {
		w.done = true
		p.bytes -= int(w.bytes)
	}
	for p.head < p.tail && p.atLocked(p.head).done {
		p.upTo = p.atLocked(p.head).offset + 1
		p.head++
	}
	if p.head == p.tail {
		p.emptiedLocked()
	}
	if p.crowded {
		p.thinLocked()
	}
}

// thinLocked ends a crowd when half of it is gone, lest the partition stop and
// go with every reply.
func (p *partition) thinLocked() {
	l := p.limits
	if p.tail-p.head > int64(l.replies)/2 || p.bytes > l.bytes/2 {
		return
	}
	p.crowded = false
	select {
	case l.room <- struct{}{}:
	default:
	}
}

func (p *partition) isCrowded() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.crowded
}

// again is the same ownership begun anew at an earlier offset, but not after the
// first reply that is not done. It is called with Replies.mu held, and p is not
// used by Replies after it.
func (p *partition) again(at int64) *partition {
	p.mu.Lock()
	defer p.mu.Unlock()
	first := p.upTo
	switch {
	case p.head < p.tail:
		first = p.atLocked(p.head).offset
	case first == 0:
		first = p.committed.Load() // nothing was polled yet
	}
	return &partition{id: p.id, upTo: min(at, first), limits: p.limits, holding: p.holding}
}

func (p *partition) emptiedLocked() {
	if len(p.ring) >= largeRing {
		p.ring = nil
	}
	if p.empty != nil {
		close(p.empty)
		p.empty = nil
	}
}

// committable is the offset that the next owner may start from, 0 where
// nothing is done yet.
func (p *partition) committable() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.upTo
}

// outstanding is how many replies cannot be committed yet, done themselves or
// behind one that is not, and when the oldest came.
func (p *partition) outstanding() (n int, oldest time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.head == p.tail {
		return 0, 0
	}
	return int(p.tail - p.head), p.atLocked(p.head).since
}

// drain waits until every reply is done, or ctx ends. One goroutine at a time
// may wait.
func (p *partition) drain(ctx context.Context) {
	p.mu.Lock()
	if p.head == p.tail {
		p.mu.Unlock()
		return
	}
	empty := make(chan struct{})
	p.empty = empty
	p.mu.Unlock()
	select {
	case <-empty:
	case <-ctx.Done():
	}
}
