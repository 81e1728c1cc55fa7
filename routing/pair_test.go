package routing

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// world is a cluster in memory with the rules of the real table: owners, epochs,
// rows, held replies. Each node sees it through a view.
type world struct {
	mu       sync.Mutex
	sessions map[SessionID]*entry
	nodes    map[NodeID]*Router          // those that live
	inbox    map[NodeID]map[int64]*Reply // relayed, and not settled
	relayed  int64
	away     map[NodeID]*outage // those that are cut off
	lag      time.Duration      // how long a claim stays in its node's queue
	deaf     map[NodeID]bool    // those that do not hear of take-overs
	claims   map[string]*Kept
	waits    map[Entity][]RequestID
	noWaits  error // what Await answers
	mail     map[NodeID]*mailbox
	graves   map[*Router]map[int64]*Reply // of the dead, whose inboxes nobody has routed again
	slow     func() time.Duration         // how long something stands in an inbox; nil: no time
	thinks   func() time.Duration         // how long the table takes to hear, and to answer
	fatal    func(relayed *Reply) bool    // whether its node dies of it; nil: of none
	log      *slog.Logger                 // of nodes that are started from now on; nil for none
}

type entry struct {
	SessionRow
	owner NodeID
	rows  map[uint64]Row
	held  []*Reply
	left  uint64

	behind map[uint64]uint64  // tenures whose nodes have spoken before those that had the session earlier
	at     *Router            // the owner's process
	past   map[*Router]uint64 // those before it that have not handed all over, and the epoch of each
	kept   *Kept              // a kept request
	err    *Error             // its outcome, where that is no reply
	heard  Arrival            // what Kafka has said of it
}

func newWorld() *world {
	return &world{sessions: make(map[SessionID]*entry), nodes: make(map[NodeID]*Router), inbox: make(map[NodeID]map[int64]*Reply), away: make(map[NodeID]*outage), claims: make(map[string]*Kept), mail: make(map[NodeID]*mailbox), graves: make(map[*Router]map[int64]*Reply), waits: make(map[Entity][]RequestID)}
}

// view is the world as one process's Table.
type view struct {
	*world
	node NodeID
	dead *atomic.Bool // a killed process says nothing more, though its goroutines are still about to end
}

// as answers the world as a node that lives sees it.
func (w *world) as(node NodeID) view { return view{w, node, new(atomic.Bool)} }

// write does a write now, or when the node can be reached again.
func (v view) write(do func()) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if cut := v.away[v.node]; v.dead.Load() {
		return
	} else if cut != nil {
		cut.writes = append(cut.writes, do)
	} else {
		do()
	}
}

func (v view) cut() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.away[v.node] != nil || v.dead.Load()
}

var errCut = errors.New("the node is cut off")

func (v view) Open(_ context.Context, s SessionRow) error { v.Announce(s); return nil }

func (v view) Announce(s SessionRow) {
	v.write(func() {
		v.sessions[s.ID] = &entry{SessionRow: s, owner: v.node, at: v.nodes[v.node], past: make(map[*Router]uint64), rows: make(map[uint64]Row)}
	})
}

func (v view) Await(_ context.Context, waits []Wait) []error {
	errs := make([]error, len(waits))
	v.mu.Lock()
	defer v.mu.Unlock()
	for i, w := range waits {
		if errs[i] = v.noWaits; v.away[v.node] != nil {
			errs[i] = errCut
		}
		if errs[i] == nil {
			v.waits[w.Entity] = append(v.waits[w.Entity], w.Request)
		}
	}
	return errs
}

func (v view) Unwait(about Entity, id RequestID) {
	v.write(func() {
		v.waits[about] = slices.DeleteFunc(v.waits[about], func(r RequestID) bool { return r == id })
	})
}

func (w *world) refuseWaits(with error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.noWaits = with
}

// waiting answers who waits for an event about a key of the service checkout.
func (w *world) waiting(key string) []RequestID {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.waits[Entity{"checkout", key}])
}

func (v view) Subscribe(_ context.Context, subs []Subscription) []error {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, s := range subs {
		if e := v.sessions[s.Session]; e != nil {
			e.Feeds = append(e.Feeds, s.Feed)
		}
	}
	return make([]error, len(subs))
}

func (v view) Unsubscribe(s Subscription) {
	v.write(func() {
		if e := v.sessions[s.Session]; e != nil {
			e.Feeds = slices.DeleteFunc(e.Feeds, func(f Feed) bool { return f == s.Feed })
		}
	})
}

func (view) Fenced(time.Time) bool { return false }

func (v view) End(id SessionID) {
	v.write(func() {
		if e := v.sessions[id]; e != nil && e.owner == v.node {
			delete(v.sessions, id)
		}
	})
}

func (v view) Claim(row Row, tell Claimed) bool {
	v.later(func() {
		if e := v.sessions[row.Session]; e != nil {
			e.rows[row.N] = row
		}
		if tell != nil {
			go tell.Claimed()
		}
	})
	return tell != nil && !v.cut()
}

// later does a write after the node's lag.
func (v view) later(do func()) {
	if v.lag == 0 {
		v.write(do)
	} else {
		time.AfterFunc(v.lag, func() { v.write(do) })
	}
}

func (v view) Release(id SessionID, n uint64) {
	v.write(func() {
		if e := v.sessions[id]; e != nil {
			delete(e.rows, n)
		}
	})
}

func (v view) Unhold(id RequestID) {
	v.write(func() {
		session, _, _ := id.Split()
		if e := v.sessions[session]; e != nil {
			e.held = slices.DeleteFunc(e.held, func(r *Reply) bool { return r.ID == id })
		}
	})
}

func (v view) Look(_ context.Context, id SessionID) (Looked, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if e := v.sessions[id]; e != nil {
		return Looked{slices.Collect(maps.Values(e.rows)), e.left}, nil
	}
	return Looked{}, nil
}

func (v view) Left(id SessionID, from, to uint64) {
	v.later(func() {
		if e := v.sessions[id]; e != nil {
			if e.behind == nil {
				e.behind = make(map[uint64]uint64)
			}
			e.behind[from] = to
			for end, said := e.behind[e.left+1]; said; end, said = e.behind[e.left+1] {
				delete(e.behind, e.left+1)
				e.left = end
			}
		}
	})
}

func (v view) Owns(_ context.Context, id SessionID, epoch uint64) (bool, error) {
	if v.cut() {
		return false, errCut
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	e := v.sessions[id]
	return e != nil && e.owner == v.node && e.Epoch == epoch, nil
}

func (v view) Resume(_ context.Context, s Resumption) (Resumed, error) {
	pause(v.thinks)
	defer pause(v.thinks)
	if v.cut() {
		return Resumed{}, errCut
	}
	v.mu.Lock()
	e := v.sessions[s.ID]
	if e == nil || !bytes.Equal(e.Secret, s.Secret) || e.Subject != s.Subject {
		v.mu.Unlock()
		return Resumed{}, ErrSessionGone
	}
	before := v.nodes[e.owner]
	elsewhere := e.owner != v.node
	if me := v.nodes[v.node]; e.at != me {
		if e.at != nil {
			e.past[e.at] = e.Epoch
		}
		e.at = me
	}
	e.owner = v.node
	e.Epoch++
	got := Resumed{Epoch: e.Epoch, Feeds: slices.Clone(e.Feeds)}
	for _, row := range e.rows {
		got.Rows = append(got.Rows, row)
	}
	for _, r := range e.held {
		got.Held = append(got.Held, plain(r))
	}
	v.mu.Unlock()
	if elsewhere && before != nil && !v.deaf[before.node] {
		v.post(before, func() { before.TakenOver(s.ID, got.Epoch) })
	}
	return got, nil
}

// plain is a reply as it comes out of Redis: without a receipt.
func plain(r *Reply) *Reply {
	return &Reply{ID: r.ID, Final: r.Final, Body: r.Body, Headers: r.Headers, From: r.From, Consumed: r.Consumed, Err: r.Err, Place: r.Place, After: r.After}
}

func (v view) Route(_ context.Context, replies []*Reply) []Verdict {
	pause(v.thinks)
	defer pause(v.thinks)
	verdicts := make([]Verdict, len(replies))
	if v.cut() {
		return verdicts // all failed
	}
	for i, r := range replies {
		verdicts[i] = v.routeOne(r, false)
	}
	return verdicts
}

// routeOne routes a reply; with aside, one for the node's own session goes through its
// inbox too.
func (v view) routeOne(r *Reply, aside bool) Verdict {
	v.mu.Lock()
	session, _, _ := r.ID.Split()
	e := v.sessions[session]
	switch {
	case v.dead.Load():
		v.mu.Unlock()
		return Verdict{}
	case e == nil:
		v.mu.Unlock()
		return Verdict{Fate: Dropped, Drop: DropUnknownRequest}
	case e.owner == v.node && !aside:
		epoch := e.Epoch
		v.mu.Unlock()
		return Verdict{Fate: Here, Epoch: epoch}
	case v.nodes[e.owner] == nil && e.holdKept().Fate == Dropped:
		defer v.mu.Unlock()
		return e.holdKept()
	case v.nodes[e.owner] == nil:
		e.hold(r)
		v.mu.Unlock()
		return Verdict{Fate: Held}
	}
	owner := v.nodes[e.owner]
	reply := plain(r)
	v.relayed++
	reply.Receipt, reply.Token = v, Token{A: v.relayed}
	if v.inbox[e.owner] == nil {
		v.inbox[e.owner] = make(map[int64]*Reply)
	}
	v.inbox[e.owner][v.relayed] = reply
	number := v.relayed
	if v.fatal != nil && v.fatal(r) {
		v.dead.Store(true)
	}
	v.mu.Unlock()
	v.post(owner, func() {
		v.mu.Lock()
		_, there := v.inbox[owner.node][number]
		v.mu.Unlock()
		if there { // nobody has buried it
			owner.DeliverRelayed([]*Reply{reply})
		}
	})
	return Verdict{Fate: Relayed}
}

// Done takes a reply out of the inbox that it came through.
func (w *world) Done(t Token) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, inbox := range w.inbox {
		delete(inbox, t.A)
	}
}

// bury has a survivor route what dead processes of a node left in their inboxes.
func (w *world) bury(name NodeID) {
	w.mu.Lock()
	left, dead := make(map[int64]*Reply), []*Router(nil)
	for r, inbox := range w.graves {
		if r.node == name {
			dead = append(dead, r)
			maps.Copy(left, inbox)
		}
	}
	var survivor NodeID
	for survivor = range w.nodes {
	}
	w.mu.Unlock()
	for _, n := range slices.Sorted(maps.Keys(left)) {
		w.as(survivor).routeOne(plain(left[n]), true)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range dead {
		delete(w.graves, r)
	}
}

// hold keeps a reply, once.
func (e *entry) hold(r *Reply) {
	if !slices.ContainsFunc(e.held, func(h *Reply) bool { return h.From == r.From && h.ID == r.ID }) {
		e.held = append(e.held, r)
	}
}

func (v view) Hold(_ context.Context, all []Holding) []Verdict {
	pause(v.thinks)
	defer pause(v.thinks)
	verdicts := make([]Verdict, len(all))
	if v.cut() {
		return verdicts
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	for i, h := range all {
		e := v.sessions[h.Session]
		switch {
		case v.dead.Load():
		case e == nil:
			verdicts[i] = Verdict{Fate: Dropped, Drop: DropSessionGone}
		case e.Epoch != h.Epoch:
			verdicts[i] = Verdict{Fate: Moved}
		default:
			e.hold(h.Reply)
			verdicts[i] = Verdict{Fate: Held}
		}
	}
	return verdicts
}

// start brings a node to life in the world, and answers it and how to kill it.
func (w *world) start(t *testing.T, name NodeID, producer Producer, limits Limits) (r *Router, kill func()) {
	table := w.as(name)
	r = New(Options{
		Node: name, Producer: producer, Table: table, Limits: limits, Log: w.log,
		Services: []*Service{{Name: "orders", Topic: "orders.requests", Timeout: 1e11, MaxTimeout: 1e12, Partitioner: Murmur2}},
	})
	r.SetHomes(NewHomes(4, []int32{1, 2}))
	w.mu.Lock()
	w.nodes[name] = r
	w.mu.Unlock()
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { r.Run(ctx) })
	kill = func() {
		w.mu.Lock()
		table.dead.Store(true)
		if w.nodes[name] == r {
			w.graves[r] = w.inbox[name]
			delete(w.inbox, name)
		}
		delete(w.nodes, name)
		delete(w.away, name)
		delete(w.mail, name)
		w.mu.Unlock()
		cancel()
		running.Wait()
	}
	t.Cleanup(kill)
	return r, kill
}

func (w *world) held(id SessionID) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.sessions[id].held)
}

func (w *world) rows(id SessionID) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.sessions[id].rows)
}

// inMemory is how many bytes of replies the session keeps.
func (s *Session) inMemory() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bytes
}
