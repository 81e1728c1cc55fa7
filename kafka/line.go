package kafka

import (
	"context"
	"sync"
	"time"

	"parley/routing"
)

// partition is one ownership of one partition of the reply topic: which of its
// replies are not done yet, and so how far it may be committed. It is the
// Receipt of its replies; a Token's A is the reply's place in the line.
type partition struct {
	id int32

	mu    sync.Mutex
	ring  []waiting // a power of two long; place n is ring[n & (len-1)]
	head  int64     // place of the oldest reply that is not done
	tail  int64     // place that the next reply gets
	upTo  int64     // every offset below it is done; 0 before the first
	empty chan struct{}

	committed int64 // belongs to Replies.committing
}

// waiting is a reply in its partition's line.
type waiting struct {
	offset int64
	since  time.Duration // of the process's clock, see sinceStart
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
func (p *partition) add(offset int64, now time.Duration) routing.Token {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.tail-p.head == int64(len(p.ring)) {
		p.growLocked()
	}
	*p.atLocked(p.tail) = waiting{offset: offset, since: now}
	p.tail++
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
	p.atLocked(t.A).done = true
	for p.head < p.tail && p.atLocked(p.head).done {
		p.upTo = p.atLocked(p.head).offset + 1
		p.head++
	}
	if p.head == p.tail {
		p.emptiedLocked()
	}
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
