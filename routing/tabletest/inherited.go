package tabletest

import (
	"context"
	"sync"
	"testing"
	"time"

	"parley/routing"
	"parley/routing/table"
)

// inherited are the stories of what a session's former owners still have of its replies.
var inherited = []story{
	// A former owner that lives says when it has handed on what it had, each time that it
	// had the session.
	{name: "handed over", shared: true, tell: handedOver},
	// A former owner that has said nothing is told again, and no other.
	{name: "reminded", shared: true, tell: reminded},
	// Of one that died all has come once its inbox was routed again, and was read.
	{name: "buried", shared: true, tell: buried},
	// A node whose inbox is always behind finds out all the same.
	{name: "always behind", shared: true, tell: alwaysBehind},
	// One that was started again routes by itself what its former process has left.
	{name: "started again", shared: true, tell: startedAgain},
}

func (n *running) inherited(t *testing.T, s routing.SessionRow) bool {
	return n.Inherited(t.Context(), []routing.SessionID{s.ID})[0].Whole
}

// to gives a session to a node.
func (n *running) to(t *testing.T, s routing.SessionRow) {
	t.Helper()
	_, err := n.Resume(t.Context(), resumption(s))
	must(t, err)
}

func handedOver(t *testing.T, h Harness) {
	a, b := h.start(t, table.Options{Node: "a"}), h.start(t, table.Options{Node: "b"})
	s := newSession()
	must(t, a.Open(t.Context(), s))
	want(t, "nobody had it before", a.inherited(t, s), true)
	b.to(t, s)
	want(t, "before a has said so", b.inherited(t, s), false)
	a.to(t, s)
	b.to(t, s)
	a.HandedOver(s.ID, 2) // of its first time
	b.HandedOver(s.ID, 3)
	must(t, a.Open(t.Context(), newSession())) // and so what was said before
	must(t, b.Open(t.Context(), newSession()))
	want(t, "before a has said so of its second time", b.inherited(t, s), false)
	a.HandedOver(s.ID, 4)
	eventually(t, "all has come", func() bool { return b.inherited(t, s) })
	both := b.Inherited(t.Context(), []routing.SessionID{newSession().ID, s.ID})
	want(t, "of two", both[0].Whole && both[1].Whole, true)
	b.wire.Cut()
	eventually(t, "it is away", func() bool { return b.Stats().Away })
	want(t, "while Redis is away", b.inherited(t, s), false)
	b.wire.Heal()
}

func alwaysBehind(t *testing.T, h Harness) {
	a, b := h.start(t, table.Options{Node: "a"}), h.start(t, table.Options{Node: "b"})
	s, other := newSession(), newSession()
	must(t, a.Open(t.Context(), s))
	must(t, b.Open(t.Context(), other))
	b.to(t, s)
	a.HandedOver(s.ID, 2)
	b.mail.mu.Lock()
	b.mail.slow = 300 * time.Millisecond
	b.mail.mu.Unlock()
	enough, cancel := context.WithCancel(t.Context())
	var relaying sync.WaitGroup
	defer relaying.Wait()
	defer cancel()
	relaying.Go(func() {
		for i := int64(0); enough.Err() == nil; i++ {
			a.Route(enough, series(other, i, i+1))
			time.Sleep(5 * time.Millisecond)
		}
	})
	eventually(t, "it is behind", func() bool { return h.Client.XLen(t.Context(), "parley:inbox:b").Val() > 5 })
	eventually(t, "all has come", func() bool { return b.inherited(t, s) })
}

// unhear has a node know nothing of a session's being another's.
func (m *mailbox) unhear(s routing.SessionRow) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.taken, s.ID)
}

func reminded(t *testing.T, h Harness) {
	a, b, c := h.start(t, table.Options{Node: "a"}), h.start(t, table.Options{Node: "b"}), h.start(t, table.Options{Node: "c"})
	s := newSession()
	must(t, a.Open(t.Context(), s))
	for epoch, n := range []*running{b, c, b} {
		n.to(t, s)
		written := a.Stats().Written
		a.HandedOver(s.ID, uint64(epoch+2))
		eventually(t, "its word is in the table", func() bool { return a.Stats().Written > written })
		eventually(t, "the former owners have heard", func() bool { return a.mail.takenUnder(s) == uint64(epoch+2) || epoch > 1 })
	}
	eventually(t, "c has heard", func() bool { return c.mail.takenUnder(s) == 4 })
	a.mail.unhear(s)
	c.mail.unhear(s)
	b.mail.unhear(s)
	want(t, "b has all", b.inherited(t, s), false)
	b.Remind(t.Context(), []routing.SessionID{s.ID})
	eventually(t, "c is told again", func() bool { return c.mail.takenUnder(s) == 4 })
	eventually(t, "b is, of its own former time", func() bool { return b.mail.takenUnder(s) == 4 })
	want(t, "a is", a.mail.takenUnder(s), 0)
	b.HandedOver(s.ID, 4)
	c.HandedOver(s.ID, 4)
	eventually(t, "all has come", func() bool { return b.inherited(t, s) })
}

// owes opens a session at a node, which gets a hundred replies to it from another and
// settles none.
func (n *running) owes(t *testing.T, from *running) routing.SessionRow {
	t.Helper()
	n.mail.settle = false
	s := newSession()
	must(t, n.Open(t.Context(), s))
	for _, v := range from.Route(t.Context(), series(s, 0, 100)) {
		want(t, "fate", v.Fate, routing.Relayed)
	}
	n.mail.await(t, 100)
	return s
}

func buried(t *testing.T, h Harness) {
	a, b, c := h.start(t, brisk("a")), h.start(t, brisk("b")), h.start(t, brisk("c"))
	s := a.owes(t, c)
	h.judging(b, c)
	a.crash()
	b.to(t, s)
	want(t, "before a is removed", b.inherited(t, s), false)
	eventually(t, "all has come", func() bool { return b.inherited(t, s) })
	want(t, "replies by then", len(b.mail.replies()), 100)
}

func startedAgain(t *testing.T, h Harness) {
	a, b, c := h.start(t, table.Options{Node: "a"}), h.start(t, table.Options{Node: "b"}), h.start(t, table.Options{Node: "c"})
	s := a.owes(t, c)
	a.crash()
	b.to(t, s)
	want(t, "before a is back", b.inherited(t, s), false)
	h.start(t, table.Options{Node: "a"})
	eventually(t, "all has come", func() bool { return b.inherited(t, s) })
	want(t, "replies by then", len(b.mail.replies()), 100)
}
