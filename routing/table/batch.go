package table

import (
	"fmt"

	"github.com/redis/go-redis/v9"

	"parley/routing"
)

// batch turns queued writes into commands, with what cancels itself left out.
// It belongs to the writer and is used again and again.
type batch struct {
	groups map[routing.SessionID]*group
	order  []*group
	claims map[rowKey]int // where a claim of this batch stands in its group's sets
	free   []*group

	boot     string       // the process that the commands speak for
	era      uint64       // as Redis.era when they were queued
	notices  []*notice    // to other nodes
	barriers []chan error // who waits for all of this batch
	tells    []routing.Claimed
	waits    []routing.Wait
	unwaits  []routing.Wait
	subs     []op // opSub and opUnsub
	heard    []op

	cmds    []redis.Cmder
	unwait  []redis.Cmder // those of cmds that remove waits
	states  []written     // the commands that write a session, and for whom
	back    bool          // some of them take sessions back
	held    []given       // the sessions that were taken back, where replies are held for them
	unholds []written     // the commands that shorten a held list
	ended   []written     // the sessions that end
	saved   int           // claims that were released before they were written
}

type rowKey struct {
	session routing.SessionID
	n       uint64
}

// group is all that a batch does to one session, in this order.
type group struct {
	session  routing.SessionID
	state    *state
	waiters  []chan error
	sets     []routing.Row // N is 0 where the claim was cancelled
	releases []uint64
	unholds  []uint64
	left     []tenure
	handed   uint64 // it has handed on what it had of the session before this take-over; 0 for none
	end      bool
	epoch    uint64 // under which the session ends
}

// tenure is a row of take-overs by which this node had a session, and has it no longer.
type tenure struct{ from, to uint64 }

type written struct {
	cmd     *redis.Cmd
	session routing.SessionID
	epoch   uint64
	waiters []chan error
}

func newBatch() *batch {
	return &batch{groups: make(map[routing.SessionID]*group), claims: make(map[rowKey]int)}
}

// add takes the next write, in order. A session never uses an n twice, so a claim
// never follows a release of the same row. It may follow a claim, with more progress.
func (b *batch) add(o *op) {
	switch o.kind {
	case opNotice:
		b.notices = append(b.notices, o.notice)
		return
	case opBarrier:
		b.barriers = append(b.barriers, o.state.done)
		return
	case opSub, opUnsub:
		b.subs = append(b.subs, *o)
		return
	case opHeard:
		if b.heard = append(b.heard, *o); o.tell != nil {
			b.tells = append(b.tells, o.tell)
		}
		return
	case opWait, opUnwait:
		if o.kind == opWait {
			b.waits = append(b.waits, o.wait)
		} else {
			b.unwaits = append(b.unwaits, o.wait)
		}
		return
	}
	g := b.group(o.session)
	key := rowKey{o.session, o.n}
	switch o.kind {
	case opClaim:
		if o.tell != nil {
			b.tells = append(b.tells, o.tell)
		}
		if at, here := b.claims[key]; here {
			g.sets[at] = o.row
			return
		}
		b.claims[key] = len(g.sets)
		g.sets = append(g.sets, o.row)
	case opRelease:
		if at, here := b.claims[key]; here {
			g.sets[at].N = 0
			delete(b.claims, key)
			if b.saved++; g.sets[at].Had == nil {
				return
			} // else it may have been written before, with less progress
		}
		g.releases = append(g.releases, o.n)
	case opState:
		b.state(g, o.state)
	case opUnhold:
		g.unholds = append(g.unholds, o.n)
	case opLeft:
		g.left = append(g.left, tenure{o.from, o.n})
	case opHanded:
		g.handed = max(g.handed, o.n)
	case opEnd:
		b.forgetRows(g)
		g.unholds = g.unholds[:0]
		g.end, g.epoch = true, o.n
	}
}

// state makes a session's state part of its group. One that is written anew or taken
// back says all about its rows up to here.
func (b *batch) state(g *group, s *state) {
	if s.done != nil {
		g.waiters = append(g.waiters, s.done)
	}
	if g.state != nil && g.state.how == reclaim && s.how == anew {
		s.how = reclaim
	}
	switch {
	case s.how == reclaim, s.how == anew && (g.state == nil || g.state.how != open):
		b.forgetRows(g)
		g.state = s
	case g.state == nil:
		g.state = s
	}
}

func (b *batch) forgetRows(g *group) {
	for _, row := range g.sets {
		delete(b.claims, rowKey{g.session, row.N})
	}
	g.sets, g.releases = g.sets[:0], g.releases[:0]
}

func (b *batch) group(session routing.SessionID) *group {
	if g := b.groups[session]; g != nil {
		return g
	}
	var g *group
	if n := len(b.free); n > 0 {
		g, b.free = b.free[n-1], b.free[:n-1]
	} else {
		g = new(group)
	}
	g.session = session
	b.groups[session] = g
	b.order = append(b.order, g)
	return g
}

// answer tells those who wait for a session what became of it, and the router
// which sessions others have.
func (b *batch) answer(r *Redis) {
	for _, w := range b.states {
		n, err := w.cmd.Int64()
		switch {
		case err != nil:
			err = fmt.Errorf("open session: %w", err)
		case n <= 0:
			err = fmt.Errorf("open session: %w", errTaken)
			r.seesTaken(w.session, max(uint64(-n), w.epoch+1))
		case n > 2:
			b.held = append(b.held, given{w.session, w.epoch, n - 2})
		}
		tell(w.waiters, err)
	}
	for _, w := range b.unholds {
		if left, err := w.cmd.Int(); err == nil {
			r.standing.holds(w.session, left)
		}
	}
	for _, w := range b.ended { // a hold that was on its way may have noted it again
		r.standing.lost(w.session, w.epoch+1)
	}
	tell(b.barriers, nil)
}

// fail tells them that they need not wait; what the batch writes stays in it.
func (b *batch) fail(err error) {
	for i := range b.states {
		tell(b.states[i].waiters, fmt.Errorf("open session: %w", err))
		b.states[i].waiters = nil
	}
	tell(b.barriers, err)
	b.barriers = b.barriers[:0]
}

// tellClaims tells those who wait for a row of this batch, the first time that it is called.
func (b *batch) tellClaims() {
	for _, t := range b.tells {
		t.Claimed()
	}
	clear(b.tells)
	b.tells = b.tells[:0]
}

func tell(waiters []chan error, err error) {
	for _, w := range waiters {
		w <- err // has room for its one answer
	}
}

// reset makes the batch empty.
func (b *batch) reset() {
	for _, g := range b.order {
		clear(g.sets)
		if cap(g.sets) <= 256 && len(b.free) < 4096 {
			*g = group{sets: g.sets[:0], releases: g.releases[:0], unholds: g.unholds[:0]}
			b.free = append(b.free, g)
		}
	}
	clear(b.groups)
	clear(b.claims)
	clear(b.order)
	clear(b.cmds)
	clear(b.states)
	clear(b.unholds)
	clear(b.ended)
	clear(b.notices)
	clear(b.barriers)
	clear(b.waits)
	clear(b.subs)
	clear(b.heard)
	b.subs, b.heard = b.subs[:0], b.heard[:0]
	clear(b.unwaits)
	b.waits, b.unwaits = b.waits[:0], b.unwaits[:0]
	b.held, b.back = b.held[:0], false
	b.unholds, b.ended, b.notices, b.barriers = b.unholds[:0], b.ended[:0], b.notices[:0], b.barriers[:0]
	b.order, b.cmds, b.states, b.saved = b.order[:0], b.cmds[:0], b.states[:0], 0
}
