package tabletest

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"parley/routing"
	"parley/routing/table"
)

// briskly is a lease that ends soon, and not too soon for a busy machine.
const briskly = 800 * time.Millisecond

func brisk(node routing.NodeID) table.Options {
	return table.Options{Node: node, Lease: briskly, Member: "member-of-" + string(node)}
}

// nodes are the stories of nodes that come and go.
var nodes = []story{
	// A node dies with replies in its inbox: one survivor is told to clean up, all are
	// told that the nodes have changed, and the replies are held, in order.
	{name: "dead node", shared: true, tell: deadNode},
	// What was in a dead node's inbox for a session that has moved reaches its new owner.
	{name: "dead node's session moved", shared: true, tell: movedOn},
	// A node that slept through its own removal is told so once, writes nothing of what
	// it had in mind, and is a node again.
	{name: "sleeper", shared: true, tell: sleeper},
	// With Redis away for longer than a lease nobody is taken for dead.
	{name: "all away", shared: true, tell: func(t *testing.T, h Harness) {
		a, b := h.start(t, brisk("a")), h.start(t, brisk("b"))
		s := newSession()
		must(t, a.Open(t.Context(), s))
		a.mail.hold(s)
		h.judging(a, b)
		h.Cut()
		eventually(t, "both leases lapse", func() bool { return h.lapsed(t, "a") && h.lapsed(t, "b") })
		b.wire.Cut()
		h.Heal()
		eventually(t, "one is back", a.Node.(*table.Redis).Leased)
		h.renewed(t, a) // the other is given the time to return as well
		b.wire.Heal()
		eventually(t, "both are back", func() bool { return a.Node.(*table.Redis).Leased() && b.Node.(*table.Redis).Leased() })
		eventually(t, "relayed", func() bool { return b.Route(t.Context(), series(s, 0, 1))[0].Fate == routing.Relayed })
		told := func(n *running) string {
			removed, changes, _, gone := n.mail.told()
			return fmt.Sprint(removed, changes > 1, gone)
		}
		want(t, "what a was told of removals and changes", told(a), "0 false []")
		want(t, "what b was told of removals and changes", told(b), "0 false []")
		h.ghost(t, "ghost", 0)
		eventually(t, "they judge again", func() bool { return a.heard("ghost")+b.heard("ghost") > 0 })
		removed, _, _, gone := a.mail.told()
		removedB, _, _, goneB := b.mail.told()
		want(t, "told of removals then", fmt.Sprint(removed, removedB, append(gone, goneB...)), "0 0 [ghost boot-of-ghost member]")
	}},
	// Joining and leaving are seen at once, and leave nothing to clean up.
	{name: "join and leave", shared: true, tell: func(t *testing.T, h Harness) {
		a := h.start(t, table.Options{Node: "a"})
		b := h.start(t, table.Options{Node: "b"})
		changes := func() int { _, n, _, _ := a.mail.told(); return n }
		soon(t, "a join is seen", func() bool { return changes() == 1 })
		must(t, b.stop())
		soon(t, "a leave is seen", func() bool { return changes() == 2 })
		_, _, _, gone := a.mail.told()
		want(t, "left without leaving", len(gone), 0)
	}},
	// A process that is started again before its lease ended cleans up after itself.
	{name: "quick restart", shared: true, tell: func(t *testing.T, h Harness) {
		a, b := h.start(t, brisk("a")), h.start(t, brisk("b"))
		boot := bootOf(t, h, "a")
		a.crash()
		again := h.start(t, brisk("a"))
		eventually(t, "it has heard of itself", func() bool { _, _, _, gone := again.mail.told(); return len(gone) == 1 })
		_, _, _, gone := again.mail.told()
		want(t, "gone", gone[0], "a "+boot+" member-of-a")
		eventually(t, "b has seen it", func() bool { _, changes, _, _ := b.mail.told(); return changes >= 1 })
		removed, _, _, _ := again.mail.told()
		want(t, "removed", removed, 0)
	}},
	// A survivor dies while it looks after a dead node's inbox: another goes on.
	{name: "the burier dies", shared: true, tell: burierDies},
	// The lease carries the group member, as it is now.
	{name: "member", shared: true, tell: func(t *testing.T, h Harness) {
		a := h.start(t, table.Options{Node: "a", Member: "one", Lease: time.Minute})
		a.Node.(*table.Redis).SetMember("two words")
		eventually(t, "it is in the lease", func() bool {
			return strings.HasSuffix(h.Client.HGet(t.Context(), "{parley:nodes}:members", "a").Val(), " two words")
		})
	}},
	// Redis was emptied: that is told, once a node.
	{name: "restored", shared: true, tell: func(t *testing.T, h Harness) {
		a := h.start(t, table.Options{Node: "a"})
		must(t, h.Client.FlushDB(t.Context()).Err())
		restores := func() int { _, _, n, _ := a.mail.told(); return n }
		eventually(t, "it is told", func() bool { return restores() == 1 })
		h.renewed(t, a)
		changes := func() int { _, n, _, _ := a.mail.told(); return n }
		before := changes()
		b := h.start(t, table.Options{Node: "b"})
		eventually(t, "it is told of b", func() bool { return changes() > before })
		must(t, b.stop())
		eventually(t, "it is told of b's leave", func() bool { return changes() > before+1 }) // after all that was news before
		want(t, "times", restores(), 1)
		removed, _, _, _ := a.mail.told()
		want(t, "removed", removed, 0)
	}},
}

func deadNode(t *testing.T, h Harness) {
	a, b, c := h.start(t, brisk("a")), h.start(t, brisk("b")), h.start(t, brisk("c"))
	a.mail.settle = false
	s := newSession()
	must(t, a.Open(t.Context(), s))
	b.Route(t.Context(), series(s, 0, 5))
	a.mail.await(t, 5)
	boot := bootOf(t, h, "a")
	h.judging(b, c)
	_, before, _, _ := b.mail.told()
	_, beforeC, _, _ := c.mail.told()
	died := time.Now()
	a.crash()
	eventually(t, "all have seen it", func() bool {
		_, x, _, _ := b.mail.told()
		_, y, _, _ := c.mail.told()
		return x > before && y > beforeC
	})
	t.Logf("seen by all %v after the death, with a lease of %v", time.Since(died).Round(time.Millisecond), briskly)
	eventually(t, "all are held", func() bool { return len(heldOffsets(t, h, s)) == 5 })
	if got := heldOffsets(t, h, s); !slices.Equal(got, []int64{0, 1, 2, 3, 4}) {
		t.Errorf("held: %v", got)
	}
	eventually(t, "nothing is left of it", func() bool {
		return h.Client.Exists(t.Context(), "parley:inbox:a", "{parley:nodes}:graves").Val() == 0
	})
	eventually(t, "all is cleaned up", func() bool { return allDismissed(t, h) })
	h.renewed(t, b, c) // which is when a second removal would be
	_, _, _, gone := b.mail.told()
	_, _, _, goneC := c.mail.told()
	want(t, "told to clean up", fmt.Sprint(append(gone, goneC...)), "[a "+boot+" member-of-a]")
	want(t, "removals", b.Stats().Removed+c.Stats().Removed, 1)
	want(t, "rerouted", b.Stats().Rerouted+c.Stats().Rerouted, 5)
}

func movedOn(t *testing.T, h Harness) {
	a, b, c := h.start(t, brisk("a")), h.start(t, brisk("b")), h.start(t, brisk("c"))
	a.mail.settle = false
	var all []routing.SessionRow
	for i, n := range []*running{b, c} {
		s := newSession()
		must(t, a.Open(t.Context(), s))
		n.Route(t.Context(), series(s, 0, 300))
		a.mail.await(t, 300*(i+1))
		all = append(all, s)
	}
	a.crash()
	_, err := b.Resume(t.Context(), resumption(all[0]))
	must(t, err)
	_, err = c.Resume(t.Context(), resumption(all[1]))
	must(t, err)
	for _, n := range []*running{b, c} {
		if got := offsets(n.mail.await(t, 300)); !slices.IsSorted(got) {
			t.Errorf("offsets: %v", got)
		}
	}
	eventually(t, "nothing is left of it", func() bool {
		return h.Client.Exists(t.Context(), "parley:inbox:a", "{parley:nodes}:graves").Val() == 0
	})
	eventually(t, "the inboxes are empty", func() bool { return b.Stats().Unsettled+c.Stats().Unsettled == 0 })
	want(t, "replies", len(b.mail.replies())+len(c.mail.replies()), 600)
}

func sleeper(t *testing.T, h Harness) {
	a, b := h.start(t, brisk("a")), h.start(t, brisk("b"))
	s, whole := newSession(), newSession()
	for _, s := range []routing.SessionRow{s, whole} {
		must(t, a.Open(t.Context(), s))
		a.mail.hold(s)
	}
	a.mail.lets = func() {
		a.Left(s.ID, 1, 1)
		a.Left(whole.ID, 1, 1)
	}
	boot := bootOf(t, h, "a")
	a.wire.Cut()
	eventually(t, "it is removed", func() bool {
		h.Sleep(a.Node) // all the while: a renewal whose answer was here already would wake it
		_, _, _, gone := b.mail.told()
		return len(gone) == 1
	})
	got, err := b.Resume(t.Context(), resumption(s))
	must(t, err)
	want(t, "epoch", got.Epoch, 2)
	a.Claim(routing.Row{Session: s.ID, N: 77, Service: "orders"}, nil)
	a.End(s.ID)
	a.wire.Heal()
	eventually(t, "it is told", func() bool { removed, _, _, _ := a.mail.told(); return removed == 1 })
	eventually(t, "it is a node again", func() bool { return bootOf(t, h, "a") != "" })
	if bootOf(t, h, "a") == boot {
		t.Error("it is the same process")
	}
	fresh := newSession()
	eventually(t, "it opens sessions", func() bool { return a.Open(t.Context(), fresh) == nil })
	a.mail.hold(fresh)
	eventually(t, "it is relayed to", func() bool { return b.Route(t.Context(), series(fresh, 0, 1))[0].Fate == routing.Relayed })
	a.mail.await(t, 1)
	a.Claim(routing.Row{Session: fresh.ID, N: 1, Service: "orders"}, nil) // it is written after what was queued before
	eventually(t, "it writes rows", func() bool { return h.Client.HExists(t.Context(), sessionKey(fresh), "r:1").Val() })
	h.renewed(t, a, b)
	removed, _, _, gone := a.mail.told()
	want(t, "what it was told", fmt.Sprint(removed, gone), "1 []")
	want(t, "the session's owner", h.Client.HGet(t.Context(), sessionKey(s), "owner").Val(), "b")
	want(t, "the row that it had in mind", h.Client.HExists(t.Context(), sessionKey(s), "r:77").Val(), false)
	want(t, "all rows are there of a session", h.Client.HGet(t.Context(), sessionKey(whole), "left").Val(), "1")
	want(t, "and of the one whose row it had in mind", h.Client.HGet(t.Context(), sessionKey(s), "left").Val(), "")
	_, _, _, gone = b.mail.told()
	want(t, "removals", len(gone), 1)
}

func burierDies(t *testing.T, h Harness) {
	a, b := h.start(t, brisk("a")), h.start(t, brisk("b"))
	a.mail.settle = false
	bad, good := newSession(), newSession()
	must(t, a.Open(t.Context(), bad))
	must(t, a.Open(t.Context(), good))
	b.Route(t.Context(), append(series(bad, 0, 3), series(good, 3, 6)...))
	a.mail.await(t, 6)
	must(t, h.Client.Rename(t.Context(), sessionKey(bad), sessionKey(bad)+":aside").Err())
	must(t, h.Client.Set(t.Context(), sessionKey(bad), "text", 0).Err()) // cannot be routed
	a.crash()
	eventually(t, "the good ones are held", func() bool { return len(heldOffsets(t, h, good)) == 3 })
	eventually(t, "the bad ones are left", func() bool { return h.Client.XLen(t.Context(), "parley:inbox:a").Val() == 3 })
	eventually(t, "the rest is done for it", func() bool { return h.Client.HLen(t.Context(), "{parley:nodes}:departed").Val() == 0 })
	b.crash()
	c := h.start(t, brisk("c"))
	must(t, h.Client.Rename(t.Context(), sessionKey(bad)+":aside", sessionKey(bad)).Err())
	eventually(t, "another goes on", func() bool { return len(heldOffsets(t, h, bad)) == 3 })
	eventually(t, "nothing is left", func() bool {
		return h.Client.Exists(t.Context(), "parley:inbox:a", "parley:inbox:b", "{parley:nodes}:graves").Val() == 0
	})
	_, _, _, gone := c.mail.told()
	want(t, "told to clean up", len(gone), 1)
}

func bootOf(t *testing.T, h Harness, node routing.NodeID) string {
	t.Helper()
	boot, _, _ := strings.Cut(h.Client.HGet(t.Context(), "{parley:nodes}:members", string(node)).Val(), " ")
	return boot
}

// soon is eventually for what must not wait for a lease.
func soon(t *testing.T, what string, so func() bool) {
	t.Helper()
	started := time.Now()
	eventually(t, what, so)
	if took := time.Since(started); took > 400*time.Millisecond {
		t.Errorf("%s only after %v", what, took)
	}
}
