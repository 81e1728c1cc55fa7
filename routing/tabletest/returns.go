package tabletest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"parley/routing"
	"parley/routing/table"
)

// returns are the stories of nodes that were out of reach, or asleep, and are back.
var returns = []story{
	// A node that was awake and was taken for dead goes on: its sessions are its again,
	// with what was held for them, except those that somebody has taken meanwhile.
	{name: "cut off", shared: true, tell: cutOff},
	// The same for many sessions, more than one pipeline takes.
	{name: "many taken back", shared: true, tell: manyTakenBack},
	// Redis was emptied, and others saw a session before its node was a member again:
	// what they held comes back.
	{name: "held from a node that Redis forgot", shared: true, tell: func(t *testing.T, h Harness) {
		a, b := h.start(t, brisk("a")), h.start(t, brisk("b"))
		s := newSession()
		a.mail.hold(s)
		h.remove(t, "a")
		must(t, a.Open(t.Context(), s))
		if fate := b.Route(t.Context(), series(s, 0, 1))[0].Fate; fate != routing.Held {
			t.Skip("the node was faster")
		}
		eventually(t, "it is at its owner", func() bool { return len(a.mail.returned()) == 1 })
	}},
	// A process that slept hands nothing over until it knows that it still is a node.
	{name: "short sleep", shared: true, tell: shortSleep},
}

// cut takes Redis away from a node until others have removed it.
func (h Harness) cut(t *testing.T, n, other *running) {
	t.Helper()
	n.wire.Cut()
	eventually(t, "it is removed", func() bool { _, _, _, gone := other.mail.told(); return len(gone) == 1 })
}

func cutOff(t *testing.T, h Harness) {
	a, b := h.start(t, brisk("a")), h.start(t, brisk("b"))
	a.mail.settle = false
	kept, moved, over, late := newSession(), newSession(), newSession(), newSession()
	for _, s := range []routing.SessionRow{kept, moved, over} {
		must(t, a.Open(t.Context(), s))
		a.mail.hold(s)
	}
	want(t, "relayed", b.Route(t.Context(), series(kept, 0, 1))[0].Fate, routing.Relayed)
	a.mail.await(t, 1)
	boot := bootOf(t, h, "a")
	h.cut(t, a, b)
	for i, s := range []routing.SessionRow{kept, moved, over} {
		want(t, "meanwhile", b.Route(t.Context(), series(s, int64(10*i+1), int64(10*i+3)))[1].Fate, routing.Held)
	}
	_, err := b.Resume(t.Context(), resumption(moved))
	must(t, err)
	_ = a.Open(t.Context(), late)
	row := routing.Row{Session: kept.ID, N: 77, Service: "orders"}
	a.Claim(row, nil)
	a.mail.hold(kept, row)
	a.mail.hold(late)
	a.mail.forget(over)
	a.End(over.ID)
	want(t, "fenced", a.Fenced(time.Now()), false)
	a.wire.Heal()
	eventually(t, "what was held is its", func() bool {
		return slices.Equal(offsets(a.mail.returned()), []int64{0, 1, 2}) || slices.Equal(offsets(a.mail.returned()), []int64{1, 2, 0})
	})
	eventually(t, "the other one is not", func() bool { return a.mail.takenUnder(moved) == 2 })
	want(t, "its owner", h.Client.HGet(t.Context(), sessionKey(moved), "owner").Val(), "b")
	eventually(t, "what was unknown is written", func() bool { return h.Client.HGet(t.Context(), sessionKey(late), "owner").Val() == "a" })
	eventually(t, "what ended is gone", func() bool {
		return h.Client.Exists(t.Context(), sessionKey(over), sessionKey(over)+":held").Val() == 0
	})
	want(t, "row", h.Client.HExists(t.Context(), sessionKey(kept), "r:77").Val(), true)
	want(t, "epoch", h.Client.HGet(t.Context(), sessionKey(kept), "epoch").Val(), "1")
	if now := bootOf(t, h, "a"); now == boot || h.Client.HGet(t.Context(), sessionKey(kept), "boot").Val() != now {
		t.Errorf("boot %q before, %q now", boot, now)
	}
	for i, s := range []routing.SessionRow{kept, late} {
		eventually(t, "relayed again", func() bool { // b may be taking the old boot's inbox away at this moment
			return b.Route(t.Context(), series(s, int64(50+i), int64(51+i)))[0].Fate == routing.Relayed
		})
	}
	eventually(t, "it is relayed to", func() bool {
		got := offsets(a.mail.replies())
		return slices.Contains(got, 50) && slices.Contains(got, 51)
	})
	a.Unhold(replyTo(kept, 1, 1).ID)
	eventually(t, "nothing is held any more", func() bool { return len(heldOffsets(t, h, kept)) == 0 })
	removed, _, _, gone := a.mail.told()
	want(t, "what it was told", fmt.Sprint(removed, gone), "0 []")
}

// patient is brisk with time for pipelines that a Redis within the tests, on a busy machine
// and under the race detector, takes seconds for.
func patient(node routing.NodeID) table.Options {
	o := brisk(node)
	o.Lease, o.Open, o.Timeout = 3*briskly, time.Minute, time.Minute
	return o
}

func manyTakenBack(t *testing.T, h Harness) {
	const many = 2500
	a, b := h.start(t, patient("a")), h.start(t, patient("b"))
	var all []*routing.Reply
	for i := range int64(many) {
		s := newSession()
		a.Announce(s)
		a.mail.hold(s)
		all = append(all, series(s, i, i+1)...)
	}
	must(t, a.Open(t.Context(), newSession())) // and so the others
	h.cut(t, a, b)
	for some := range slices.Chunk(all, 512) {
		for _, v := range b.Route(t.Context(), some) {
			want(t, "meanwhile", v.Fate, routing.Held)
		}
	}
	want(t, "held by a", a.Stats().Holding, 0)
	a.wire.Heal()
	eventually(t, "all is its again", func() bool { return len(a.mail.returned()) >= many })
	want(t, "held by a", a.Stats().Holding, many)
	got := offsets(a.mail.returned())
	slices.Sort(got)
	want(t, "different ones", len(slices.Compact(got)), many)
}

func shortSleep(t *testing.T, h Harness) {
	a, b := h.start(t, brisk("a")), h.start(t, brisk("b"))
	s := newSession()
	must(t, a.Open(t.Context(), s))
	a.mail.hold(s)
	a.wire.Cut()
	eventually(t, "it has noticed", func() bool { return a.Stats().Away }) // or the answer to a renewal would wake it
	h.Sleep(a.Node)
	want(t, "fenced", a.Fenced(time.Now()), true)
	want(t, "relayed", b.Route(t.Context(), series(s, 0, 1))[0].Fate, routing.Relayed)
	a.wire.Heal()
	eventually(t, "it goes on", func() bool { return !a.Fenced(time.Now()) })
	a.mail.await(t, 1)
	want(t, "at home", a.Route(t.Context(), series(s, 1, 2))[0].Fate, routing.Here)
	h.Sleep(a.Node)
	if fate := a.Route(t.Context(), series(s, 1, 2))[0].Fate; fate == routing.Here && a.Fenced(time.Now()) {
		t.Error("a reply is to be delivered by a node that is fenced")
	}
	removed, _, _, gone := b.mail.told()
	want(t, "what the other was told", fmt.Sprint(removed, gone), "0 []")
}
