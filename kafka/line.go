package kafka

import (
	"context"
	"sync"
	"time"

	"parley/routing"
)

// Line is one ownership of one partition of a topic: which of its records are not
// done yet, and so how far it may be committed. The zero value is an empty line. It
// is a routing.Receipt; a Token's A is the record's place in the line. Its methods
// may be called from any goroutine.
type Line struct {
	mu      sync.Mutex
	ring    []waiting // a power of two long; place n is ring[n & (len-1)]
	head    int64     // place of the oldest record that is not done
	tail    int64     // place that the next record gets
	upTo    int64     // every offset below it is done; 0 before the first
	bytes   int       // of records that are not done
	crowded bool      // it has been over its limits, and is not well below them
	empty   chan struct{}

	limits *lineLimits // nil for none
}

// lineLimits are what a line may have out.
type lineLimits struct {
	replies, bytes int
	room           chan<- struct{} // told, without waiting, when a crowded line has room again
}

// waiting is a record in its line.
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

// Add puts a polled record at the end of the line. Offsets must rise; now is the
// process's clock, for Outstanding.
func (l *Line) Add(offset int64, bytes int, now time.Duration) routing.Token {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.tail-l.head == int64(len(l.ring)) {
		l.growLocked()
	}
	*l.atLocked(l.tail) = waiting{offset: offset, since: now, bytes: int32(bytes)}
	l.tail++
	l.bytes += bytes
	if most := l.limits; most != nil && (l.tail-l.head > int64(most.replies) || l.bytes > most.bytes) {
		l.crowded = true
	}
	return routing.Token{A: l.tail - 1, B: offset}
}

func (l *Line) atLocked(place int64) *waiting { return &l.ring[place&int64(len(l.ring)-1)] }

func (l *Line) growLocked() {
	old := l.ring
	l.ring = make([]waiting, max(smallRing, 2*len(old)))
	for n := l.head; n < l.tail; n++ {
		*l.atLocked(n) = old[n&int64(len(old)-1)]
	}
}

// Done implements routing.Receipt: the record need not be kept in Kafka. It does
// not block and may be called from any goroutine, more than once.
func (l *Line) Done(t routing.Token) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if t.A < l.head || t.A >= l.tail {
		return
	}
	if w := l.atLocked(t.A); !w.done {
		w.done = true
		l.bytes -= int(w.bytes)
	}
	for l.head < l.tail && l.atLocked(l.head).done {
		l.upTo = l.atLocked(l.head).offset + 1
		l.head++
	}
	if l.head == l.tail {
		l.emptiedLocked()
	}
	if l.crowded {
		l.thinLocked()
	}
}

// thinLocked ends a crowd when half of it is gone, lest the partition stop and
// go with every record.
func (l *Line) thinLocked() {
	most := l.limits
	if l.tail-l.head > int64(most.replies)/2 || l.bytes > most.bytes/2 {
		return
	}
	l.crowded = false
	select {
	case most.room <- struct{}{}:
	default:
	}
}

func (l *Line) isCrowded() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.crowded
}

func (l *Line) emptiedLocked() {
	if len(l.ring) >= largeRing {
		l.ring = nil
	}
	if l.empty != nil {
		close(l.empty)
		l.empty = nil
	}
}

// Committable is the offset that the next owner may start from, 0 where
// nothing is done yet.
func (l *Line) Committable() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.upTo
}

// Outstanding is how many records cannot be committed yet, done themselves or
// behind one that is not, and when the oldest came.
func (l *Line) Outstanding() (n int, oldest time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.head == l.tail {
		return 0, 0
	}
	return int(l.tail - l.head), l.atLocked(l.head).since
}

// Drain waits until every record is done, or ctx ends. One goroutine at a time
// may wait.
func (l *Line) Drain(ctx context.Context) {
	l.mu.Lock()
	if l.head == l.tail {
		l.mu.Unlock()
		return
	}
	empty := make(chan struct{})
	l.empty = empty
	l.mu.Unlock()
	select {
	case <-empty:
	case <-ctx.Done():
	}
}
