package tabletest

import (
	"slices"
	"strconv"
	"testing"

	"parley/routing"
	"parley/routing/table"
)

// holds are the stories of replies that their session's own node has held.
var holds = []story{
	// What a client does not acknowledge is held once, however often it is asked for,
	// comes along with a resume, and goes with its acknowledgement.
	{name: "hold and unhold", shared: true, tell: holdAndUnhold},
	// The same record is held once, whichever nodes have consumed it.
	{name: "held twice", shared: true, tell: func(t *testing.T, h Harness) {
		b, s := orphan(t, h, table.Options{Node: "b"})
		c := h.start(t, table.Options{Node: "c"})
		for _, n := range []*running{b, c, b} {
			for _, v := range n.Route(t.Context(), series(s, 0, 3)) {
				want(t, "fate", v.Fate, routing.Held)
			}
		}
		c.Route(t.Context(), series(s, 2, 5))
		if got := heldOffsets(t, h, s); !slices.Equal(got, []int64{0, 1, 2, 3, 4}) {
			t.Errorf("held: %v", got)
		}
		wantBytes(t, h, s)
	}},
	// Another node has the session: nothing is held by the old owner, which learns of it.
	{name: "hold what has moved", shared: true, tell: func(t *testing.T, h Harness) {
		n := h.start(t, table.Options{Node: "a"})
		s := newSession()
		must(t, n.Open(t.Context(), s))
		must(t, h.Client.HSet(t.Context(), sessionKey(s), "owner", "b", "boot", "x", "epoch", 2).Err())
		want(t, "verdict", n.Hold(t.Context(), holdings(s, 1, 0, 1))[0], routing.Verdict{Fate: routing.Moved})
		want(t, "told", n.mail.takenUnder(s), 2)
		want(t, "held", len(heldOffsets(t, h, s)), 0)
	}},
	// The session has come back here under a later epoch, as the router may yet have
	// to learn: it is no other node's.
	{name: "hold under an old epoch", shared: true, tell: func(t *testing.T, h Harness) {
		n := h.start(t, table.Options{Node: "a"})
		s := newSession()
		must(t, n.Open(t.Context(), s))
		_, err := n.Resume(t.Context(), resumption(s))
		must(t, err)
		got := n.Hold(t.Context(), append(holdings(s, 1, 0, 1), holdings(s, 2, 1, 2)...))
		want(t, "old", got[0].Fate, routing.Moved)
		want(t, "new", got[1].Fate, routing.Held)
		want(t, "told", n.mail.takenUnder(s), 0)
	}},
	// A session that nobody has ended is held for by a later process of its node too.
	{name: "hold after a restart", shared: true, tell: func(t *testing.T, h Harness) {
		a := h.start(t, table.Options{Node: "a"})
		s := newSession()
		must(t, a.Open(t.Context(), s))
		h.kill(t, a)
		again := h.start(t, table.Options{Node: "a"})
		want(t, "fate", again.Hold(t.Context(), holdings(s, 1, 0, 1))[0].Fate, routing.Held)
	}},
	// What cannot be held is told apart: gone, full, away.
	{name: "not held", shared: true, tell: func(t *testing.T, h Harness) {
		n := h.start(t, table.Options{Node: "a", HeldCount: 2})
		gone, full := newSession(), newSession()
		must(t, n.Open(t.Context(), full))
		want(t, "gone", n.Hold(t.Context(), holdings(gone, 1, 0, 1))[0], routing.Verdict{Fate: routing.Dropped, Drop: routing.DropSessionGone})
		heldUntil(t, n.Hold(t.Context(), holdings(full, 1, 0, 4)), 2)
		h.Cut()
		v := n.Hold(t.Context(), holdings(full, 1, 0, 1))[0]
		want(t, "away", v.Fate, routing.Failed)
		want(t, "told why", v.Err != nil, true)
		h.Heal()
		eventually(t, "it is held", func() bool { return n.Hold(t.Context(), holdings(full, 1, 0, 1))[0].Fate == routing.Held })
	}},
	// Sessions that are written anew keep what is held for them.
	{name: "hold and write anew", shared: true, tell: func(t *testing.T, h Harness) {
		n := h.start(t, table.Options{Node: "a"})
		s := newSession()
		must(t, n.Open(t.Context(), s))
		n.mail.hold(s)
		want(t, "fate", n.Hold(t.Context(), holdings(s, 1, 0, 1))[0].Fate, routing.Held)
		must(t, h.Client.Del(t.Context(), "parley:nodes").Err()) // as if Redis had forgotten
		must(t, h.Client.HSet(t.Context(), sessionKey(s), "r:9", "stale").Err())
		eventually(t, "it is written", func() bool { return !h.Client.HExists(t.Context(), sessionKey(s), "r:9").Val() })
		n.Hold(t.Context(), holdings(s, 1, 0, 2))
		want(t, "held", len(heldOffsets(t, h, s)), 2)
		wantBytes(t, h, s)
	}},
}

func holdAndUnhold(t *testing.T, h Harness) {
	a, b := h.start(t, table.Options{Node: "a"}), h.start(t, table.Options{Node: "b"})
	s := newSession()
	must(t, a.Open(t.Context(), s))
	all := holdings(s, 1, 0, 200)
	for i := range all {
		all[i].Reply.ID = routing.RequestID(string(s.ID) + "." + strconv.Itoa(1+i%3) + "ab")
	}
	for range 2 {
		for _, v := range a.Hold(t.Context(), all) {
			want(t, "fate", v, routing.Verdict{Fate: routing.Held})
		}
	}
	want(t, "held", len(heldOffsets(t, h, s)), 200)
	want(t, "in numbers", a.Stats().Holding, 200)
	wantBytes(t, h, s)

	a.Unhold(all[1].Reply.ID) // 1, 4, 7, ...
	eventually(t, "a third is gone", func() bool { return a.Stats().Holding == 133 })
	for _, offset := range heldOffsets(t, h, s) {
		want(t, "is of the request", offset%3 == 1, false)
	}
	wantBytes(t, h, s)

	got, err := b.Resume(t.Context(), resumption(s))
	must(t, err)
	want(t, "along", len(got.Held), 133)
	eventually(t, "the count moves too", func() bool { return a.Stats().Holding == 0 && b.Stats().Holding == 133 })
	b.Unhold(all[0].Reply.ID)
	b.Unhold(all[2].Reply.ID)
	b.Unhold(all[2].Reply.ID)
	eventually(t, "all are gone", func() bool { return b.Stats().Holding == 0 })
	want(t, "bytes", h.Client.HGet(t.Context(), sessionKey(s), "held").Val(), "0")
}

// holdings are replies to request 1 with offsets from a to below b.
func holdings(s routing.SessionRow, epoch uint64, a, b int64) (all []routing.Holding) {
	for _, r := range series(s, a, b) {
		all = append(all, routing.Holding{Session: s.ID, Epoch: epoch, Reply: r})
	}
	return all
}

// wantBytes compares a session's count of held bytes with its list.
func wantBytes(t *testing.T, h Harness, s routing.SessionRow) {
	t.Helper()
	sum := 0
	for _, entry := range h.Client.LRange(t.Context(), sessionKey(s)+":held", 0, -1).Val() {
		sum += len(entry)
	}
	want(t, "bytes", h.Client.HGet(t.Context(), sessionKey(s), "held").Val(), strconv.Itoa(sum))
}
