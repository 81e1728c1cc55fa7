package routing

import (
	"bytes"
	"context"
	"sync"
	"testing"
)

// world is a cluster in memory with the rules of the real table: owners, epochs,
// rows, held replies. Each node sees it through a view.
type world struct {
	mu       sync.Mutex
	sessions map[SessionID]*entry
	nodes    map[NodeID]*Router          // those that live
	inbox    map[NodeID]map[int64]*Reply // relayed, and not settled
	relayed  int64
}

type entry struct {
	SessionRow
	owner NodeID
	rows  map[uint64]Row
	held  []*Reply
}

func newWorld() *world {
	return &world{sessions: make(map[SessionID]*entry), nodes: make(map[NodeID]*Router), inbox: make(map[NodeID]map[int64]*Reply)}
}

// view is the world as one node's Table.
type view struct {
	*world
	node NodeID
}

func (v view) Open(_ context.Context, s SessionRow) error { v.Announce(s); return nil }

func (v view) Announce(s SessionRow) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.sessions[s.ID] = &entry{SessionRow: s, owner: v.node, rows: make(map[uint64]Row)}
}

func (v view) End(id SessionID) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if e := v.sessions[id]; e != nil && e.owner == v.node {
		delete(v.sessions, id)
	}
}

func (v view) Claim(row Row) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if e := v.sessions[row.Session]; e != nil {
		e.rows[row.N] = row
	}
}

func (v view) Release(id SessionID, n uint64) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if e := v.sessions[id]; e != nil {
		delete(e.rows, n)
	}
}

func (v view) Unhold(id RequestID) {
	v.mu.Lock()
	defer v.mu.Unlock()
	session, _, _ := id.Split()
	if e := v.sessions[session]; e != nil {
		var kept []*Reply
		for _, r := range e.held {
			if r.ID != id {
				kept = append(kept, r)
			}
		}
		e.held = kept
	}
}

func (v view) Resume(_ context.Context, s Resumption) (Resumed, error) {
	v.mu.Lock()
	e := v.sessions[s.ID]
	if e == nil || !bytes.Equal(e.Secret, s.Secret) || e.Subject != s.Subject {
		v.mu.Unlock()
		return Resumed{}, ErrSessionGone
	}
	before := v.nodes[e.owner]
	elsewhere := e.owner != v.node
	e.owner = v.node
	e.Epoch++
	got := Resumed{Epoch: e.Epoch}
	for _, row := range e.rows {
		got.Rows = append(got.Rows, row)
	}
	for _, r := range e.held {
		got.Held = append(got.Held, plain(r))
	}
	v.mu.Unlock()
	if elsewhere && before != nil {
		go before.TakenOver(s.ID, got.Epoch) // through the inbox: at some time
	}
	return got, nil
}

// plain is a reply as it comes out of Redis: without a receipt.
func plain(r *Reply) *Reply {
	return &Reply{ID: r.ID, Final: r.Final, Body: r.Body, From: r.From, Consumed: r.Consumed, Err: r.Err}
}

func (v view) Route(_ context.Context, replies []*Reply) []Verdict {
	verdicts := make([]Verdict, len(replies))
	for i, r := range replies {
		verdicts[i] = v.routeOne(r)
	}
	return verdicts
}

func (v view) routeOne(r *Reply) Verdict {
	v.mu.Lock()
	session, _, _ := r.ID.Split()
	e := v.sessions[session]
	switch {
	case e == nil:
		v.mu.Unlock()
		return Verdict{Fate: Dropped, Drop: DropUnknownRequest}
	case e.owner == v.node:
		v.mu.Unlock()
		return Verdict{Fate: Here, Epoch: e.Epoch}
	case v.nodes[e.owner] == nil:
		e.held = append(e.held, r)
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
	v.mu.Unlock()
	go owner.DeliverRelayed([]*Reply{reply})
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

// bury has a survivor route what a dead node left in its inbox.
func (w *world) bury(name NodeID) {
	w.mu.Lock()
	left := w.inbox[name]
	delete(w.inbox, name)
	var survivor *Router
	for _, survivor = range w.nodes {
	}
	mine := w.inbox[survivor.node]
	if mine == nil {
		mine = make(map[int64]*Reply)
		w.inbox[survivor.node] = mine
	}
	var again []*Reply
	for n, reply := range left {
		mine[n] = plain(reply)
		mine[n].Receipt, mine[n].Token = w, Token{A: n}
		again = append(again, mine[n])
	}
	w.mu.Unlock()
	for _, reply := range again {
		survivor.reroute(reply)
	}
}

func (v view) Hold(_ context.Context, all []Holding) []Verdict {
	v.mu.Lock()
	defer v.mu.Unlock()
	verdicts := make([]Verdict, len(all))
	for i, h := range all {
		e := v.sessions[h.Session]
		switch {
		case e == nil:
			verdicts[i] = Verdict{Fate: Dropped, Drop: DropSessionGone}
		case e.Epoch != h.Epoch:
			verdicts[i] = Verdict{Fate: Moved}
		default:
			e.held = append(e.held, h.Reply)
			verdicts[i] = Verdict{Fate: Held}
		}
	}
	return verdicts
}

// start brings a node to life in the world, and answers it and how to kill it.
func (w *world) start(t *testing.T, name NodeID, producer Producer, limits Limits) (r *Router, kill func()) {
	r = New(Options{
		Node: name, Producer: producer, Table: view{w, name}, Limits: limits,
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
		delete(w.nodes, name)
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
