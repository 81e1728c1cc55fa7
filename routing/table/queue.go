package table

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"parley/routing"
)

// op is one write that waits for its turn.
type op struct {
	kind    opKind
	session routing.SessionID
	n       uint64
	from    uint64               // opLeft
	row     routing.Row          // opClaim, and the next
	tell    routing.Claimed      // nil for nobody
	state   *state               // opState, opBarrier
	notice  *notice              // opNotice
	wait    routing.Wait         // opWait, opUnwait; opHeard's request
	sub     routing.Subscription // opSub, opUnsub
}

type opKind uint8

const (
	opClaim opKind = iota
	opRelease
	opState
	opUnhold
	opEnd     // n is the epoch
	opLeft    // likewise, the last of some
	opHanded  // likewise
	opNotice  // session is ""
	opWait    // session is ""
	opUnwait  // likewise
	opSub     // session is ""
	opUnsub   // likewise
	opHeard   // likewise; n is a routing.Arrival
	opBarrier // session is ""
)

// state is a session to be written.
type state struct {
	row  routing.SessionRow
	open []routing.Row
	how  how
	done chan error // who waits for it; nil for nobody
}

// how a session is written: the words of session.lua.
type how string

const (
	open  how = "open"  // it is new
	touch how = "touch" // it should be there: only its life is prolonged
	anew  how = "anew"  // what is there may be wrong

	// others may have held replies for it, as they took this process for dead
	reclaim how = "reclaim"
)

// queue holds writes in order. Appending never blocks; the writer takes many at
// once.
type queue struct {
	limit int
	wake  chan struct{} // one token: there is something

	mu      sync.Mutex
	waiting []op
	spare   []op                           // the writer's last batch, to append to next
	torn    map[routing.SessionID]struct{} // sessions of which something was given up unwritten, since forgetTorn
}

func (q *queue) init(limit int) { q.limit, q.wake = limit, make(chan struct{}, 1) }

// append tells false when the queue is full.
func (q *queue) append(o op) bool {
	q.mu.Lock()
	n := len(q.waiting)
	if n < q.limit {
		q.waiting = append(q.waiting, o)
	}
	q.mu.Unlock()
	if n == 0 {
		q.signal()
	}
	return n < q.limit
}

// take answers the first writes, up to most. The slice is valid until the next
// take.
func (q *queue) take(most int) []op {
	q.mu.Lock()
	defer q.mu.Unlock()
	taken, rest := q.waiting, q.spare[:0]
	if len(taken) > most {
		rest = append(rest, taken[most:]...)
		clear(taken[most:])
		taken = taken[:most]
		q.signal()
	}
	q.waiting, q.spare = rest, taken
	return taken
}

func (q *queue) signal() { wake(q.wake) }

// reuse clears a batch that take answered, so that nothing in it is kept alive,
// and gives up one that an outage has made large.
func (q *queue) reuse(taken []op) {
	clear(taken)
	q.mu.Lock()
	defer q.mu.Unlock()
	if cap(taken) > 4096 {
		q.spare = nil
	}
}

// discard drops what waits, and tells those who wait for it.
func (q *queue) discard(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i := range q.waiting {
		o := &q.waiting[i]
		if o.kind == opClaim || o.kind == opState || o.kind == opEnd {
			q.tearLocked(o.session)
		}
		if s := o.state; s != nil && s.done != nil {
			s.done <- err // has room for its one answer
		}
	}
	clear(q.waiting)
	q.waiting = q.waiting[:0]
}

func (q *queue) tearLocked(session routing.SessionID) {
	if q.torn == nil {
		q.torn = make(map[routing.SessionID]struct{})
	}
	q.torn[session] = struct{}{}
}

// tear notes that a batch is given up, of which Redis may have nothing.
func (q *queue) tear(b *batch) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, g := range b.order {
		if g.state != nil || len(g.sets) > 0 || g.end {
			q.tearLocked(g.session)
		}
	}
}

// isTorn tells whether some row of a session may not have been written, so that nobody
// may say that all are there.
func (q *queue) isTorn(session routing.SessionID) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	_, torn := q.torn[session]
	return torn
}

func (q *queue) forgetTorn() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.torn = nil
}

// forgetUnwaits drops the removals of waits. Where Redis may have lost something they are
// out of date: so may be the answers that they are about, and who still waits says so
// anew. Elsewhere a wait that stays is over with its request.
func (q *queue) forgetUnwaits() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting = slices.DeleteFunc(q.waiting, func(o op) bool { return o.kind == opUnwait })
}

func (q *queue) len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.waiting)
}

// waitRoom blocks while a pipeline's worth of writes waits, so that new claims
// find room and need not wait long when sessions are written anew. It answers
// false when ctx has ended.
func (q *queue) waitRoom(ctx context.Context) bool {
	for q.len() > min(q.limit/4, writeOps) {
		if !sleep(ctx, 5*time.Millisecond) {
			return false
		}
	}
	return ctx.Err() == nil
}

// push queues a write, or drops and counts it. All sessions are written anew
// later, which makes up for any but an end; what an end leaves behind expires.
func (r *Redis) push(o op) bool {
	if r.queue.append(o) {
		return true
	}
	r.dropped.Add(1)
	r.rebuilt.lack()
	r.restateSoon()
	if kept, ok := r.drops.pass(); ok {
		r.o.Log.Warn("too many writes wait for Redis: dropped, to be written anew", "reason", string(routing.Overloaded), "limit", r.queue.limit, "kept_back", kept)
	}
	return false
}

// Claim queues a row. There is nothing to wait for where Redis is away: it is looked
// at after the row is queued, as whoever finds Redis to be away tells those who have
// queued before.
func (r *Redis) Claim(row routing.Row, tell routing.Claimed) (waits bool) {
	queued := r.push(op{kind: opClaim, session: row.Session, n: row.N, row: row, tell: tell})
	return tell != nil && queued && !r.link.away()
}

// tellClaims tells those who wait for a row that it has to wait.
func (q *queue) tellClaims() {
	q.mu.Lock()
	var told []routing.Claimed
	for i := range q.waiting {
		if o := &q.waiting[i]; o.tell != nil {
			told = append(told, o.tell)
			o.tell = nil
		}
	}
	q.mu.Unlock()
	for _, t := range told {
		t.Claimed()
	}
}

// Release queues the removal of a row.
func (r *Redis) Release(session routing.SessionID, n uint64) {
	r.push(op{kind: opRelease, session: session, n: n})
}

// Left queues that this node has given a session up, unless a write of its time may
// be missing.
func (r *Redis) Left(session routing.SessionID, from, to uint64) {
	if !r.lacking() {
		r.push(op{kind: opLeft, session: session, from: from, n: to})
	}
}

// Announce queues a session.
func (r *Redis) Announce(s routing.SessionRow) {
	r.standing.took(s.ID, s.Epoch, 0)
	r.push(op{kind: opState, session: s.ID, state: &state{row: s, how: open}})
}

// End queues the removal of a session and all its rows. Whoever has taken it over
// by then, be it this node again, keeps it.
func (r *Redis) End(id routing.SessionID) {
	r.push(op{kind: opEnd, session: id, n: r.standing.end(id)})
}

// flush waits until all that was queued before is written, for Options.Timeout at
// the longest.
func (r *Redis) flush(ctx context.Context) error {
	if r.link.away() {
		return errAway
	}
	done := make(chan error, 1)
	if !r.queue.append(op{kind: opBarrier, state: &state{done: done}}) {
		return errFull
	}
	ctx, cancel := context.WithTimeout(ctx, r.o.Timeout)
	defer cancel()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Open queues a session and waits until it is written, for Options.Open at the
// longest. After an error it is written all the same as soon as Redis can be
// reached again.
func (r *Redis) Open(ctx context.Context, s routing.SessionRow) error {
	r.standing.took(s.ID, s.Epoch, 0)
	done := make(chan error, 1)
	if !r.push(op{kind: opState, session: s.ID, state: &state{row: s, how: open, done: done}}) {
		return fmt.Errorf("open session: %w", errFull)
	}
	if r.link.away() {
		return fmt.Errorf("open session: %w", errAway)
	}
	timer := time.NewTimer(r.o.Open)
	defer timer.Stop()
	select {
	case err := <-done:
		return err
	case <-timer.C:
		return fmt.Errorf("open session: %w", errSlow)
	case <-ctx.Done():
		return ctx.Err()
	}
}
