package routing

import (
	"context"
	"time"
)

// mailbox is what a node has not read yet of its inbox: replies and notices, in order.
type mailbox struct {
	unread []func()
}

// post puts something into a node's inbox, where it is read in order, a while later,
// unless the node dies or is removed first.
func (w *world) post(to *Router, read func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.nodes[to.node] != to {
		return
	}
	m := w.mail[to.node]
	if m == nil {
		m = &mailbox{}
		w.mail[to.node] = m
	}
	if m.unread = append(m.unread, read); len(m.unread) == 1 {
		go w.readAll(to.node, m)
	}
}

// readAll reads a mailbox until it is empty, or no longer the node's.
func (w *world) readAll(name NodeID, m *mailbox) {
	for {
		pause(w.slow)
		for w.isAway(name) {
			time.Sleep(10 * time.Millisecond)
		}
		w.mu.Lock()
		if w.mail[name] != m {
			w.mu.Unlock()
			return
		}
		read := m.unread[0]
		w.mu.Unlock()
		read()
		w.mu.Lock()
		m.unread = m.unread[1:]
		empty := len(m.unread) == 0
		w.mu.Unlock()
		if empty {
			return
		}
	}
}

func (w *world) isAway(name NodeID) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.away[name] != nil
}

// pause takes as long as it is told to.
func pause(long func() time.Duration) {
	if long != nil {
		time.Sleep(long())
	}
}

// CatchUp waits for what stands in the node's inbox now.
func (v view) CatchUp(context.Context) bool {
	v.mu.Lock()
	m := v.mail[v.node]
	if away := v.away[v.node] != nil; m == nil || len(m.unread) == 0 || away {
		v.mu.Unlock()
		return !away
	}
	read := make(chan struct{})
	m.unread = append(m.unread, func() { close(read) })
	v.mu.Unlock()
	select {
	case <-read:
		return true
	case <-time.After(250 * time.Millisecond):
		return false
	}
}

// HandedOver notes that a node has handed on what it had of a session before an epoch.
func (v view) HandedOver(id SessionID, epoch uint64) {
	v.mu.Lock()
	me := v.nodes[v.node]
	v.mu.Unlock()
	v.later(func() {
		if e := v.sessions[id]; e != nil && e.past[me] < epoch {
			delete(e.past, me)
		}
	})
}

func (v view) lives() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.nodes[v.node] != nil
}

// Inherited tells whether all former owners have handed over, or are dead and buried.
func (v view) Inherited(ctx context.Context, ids []SessionID) []Legacy {
	pause(v.thinks)
	defer pause(v.thinks)
	all := make([]Legacy, len(ids))
	v.mu.Lock()
	for i, id := range ids {
		whole := v.away[v.node] == nil
		if e := v.sessions[id]; e != nil {
			for former := range e.past {
				_, unburied := v.graves[former]
				whole = whole && v.nodes[former.node] != former && !unburied
			}
		}
		all[i].Whole = whole
	}
	v.mu.Unlock()
	if caughtUp := v.CatchUp(ctx); !caughtUp || !v.lives() {
		clear(all)
	}
	for i, id := range ids {
		if all[i].Whole {
			looked, _ := v.Look(ctx, id)
			all[i].Rows = looked.Rows
		}
	}
	return all
}

// Remind tells the living former owners again.
func (v view) Remind(_ context.Context, ids []SessionID) {
	if v.cut() {
		return
	}
	v.mu.Lock()
	var tell []func()
	for _, id := range ids {
		e := v.sessions[id]
		if e == nil || e.owner != v.node {
			continue
		}
		for former := range e.past {
			epoch := e.Epoch
			tell = append(tell, func() { v.post(former, func() { former.TakenOver(id, epoch) }) })
		}
	}
	v.mu.Unlock()
	for _, do := range tell {
		do()
	}
}
