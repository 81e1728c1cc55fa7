package tabletest

import (
	"slices"
	"testing"
	"time"

	"parley/routing"
	"parley/routing/table"
)

var held = []story{
	// The owner is dead: its session's replies are kept, in order, for who resumes it.
	{name: "dead owner", shared: true, tell: func(t *testing.T, h Harness) {
		b, s := orphan(t, h, table.Options{Node: "b"})
		for _, part := range [][]*routing.Reply{series(s, 0, 3), series(s, 3, 300)} {
			for _, v := range b.Route(t.Context(), part) {
				want(t, "fate", v.Fate, routing.Held)
			}
		}
		got := heldOffsets(t, h, s)
		want(t, "held", len(got), 300)
		want(t, "in order", slices.IsSorted(got), true)
		if life := h.Client.PTTL(t.Context(), sessionKey(s)+":held").Val(); life <= 0 {
			t.Errorf("held replies live for %v", life)
		}
		want(t, "counted", b.Stats().Held, 300)
	}},
	// As much is held as may be; what is over it is dropped under a name.
	{name: "count", shared: true, tell: func(t *testing.T, h Harness) {
		b, s := orphan(t, h, table.Options{Node: "b", HeldCount: 3})
		heldUntil(t, b.Route(t.Context(), series(s, 0, 5)), 3)
		heldUntil(t, b.Route(t.Context(), series(s, 5, 6)), 0)
	}},
	{name: "bytes", shared: true, tell: func(t *testing.T, h Harness) {
		b, s := orphan(t, h, table.Options{Node: "b", HeldBytes: 1000})
		replies := series(s, 0, 5)
		for _, r := range replies {
			r.Body = make([]byte, 400)
		}
		heldUntil(t, b.Route(t.Context(), replies[:1]), 1)
		heldUntil(t, b.Route(t.Context(), replies[1:]), 0)
	}},
	// A lease that has lapsed says nothing as long as nobody has removed the node: when
	// Redis was away they all lapse. A node that was removed is dead, whatever it thinks.
	{name: "lease ends", shared: true, tell: func(t *testing.T, h Harness) {
		b := h.start(t, table.Options{Node: "b"})
		h.start(t, table.Options{Node: "a", Lease: time.Minute})
		s := newSession()
		a := h.start(t, table.Options{Node: "c", Lease: time.Minute})
		must(t, a.Open(t.Context(), s))
		want(t, "while it lasts", b.Route(t.Context(), series(s, 0, 1))[0].Fate, routing.Relayed)
		h.expire(t, "c")
		want(t, "after it", b.Route(t.Context(), series(s, 1, 2))[0].Fate, routing.Relayed)
		h.remove(t, "c")
		want(t, "once it is removed", b.Route(t.Context(), series(s, 2, 3))[0].Fate, routing.Held)
	}},
	// What is held comes along when the session is resumed.
	{name: "resume", shared: true, tell: func(t *testing.T, h Harness) {
		b, s := orphan(t, h, table.Options{Node: "b"})
		b.Route(t.Context(), series(s, 0, 4))
		got, err := b.Resume(t.Context(), resumption(s))
		must(t, err)
		if !slices.Equal(offsets(got.Held), []int64{0, 1, 2, 3}) {
			t.Errorf("held: %v", offsets(got.Held))
		}
		want(t, "code", got.Held[0].Err.Code, "no_stock")
		want(t, "fate now", b.Route(t.Context(), series(s, 4, 5))[0].Fate, routing.Here)
	}},
}

// orphan makes a session whose node has died, and a node that lives.
func orphan(t *testing.T, h Harness, o table.Options) (*running, routing.SessionRow) {
	t.Helper()
	a := h.start(t, table.Options{Node: "a"})
	s := newSession()
	must(t, a.Open(t.Context(), s))
	h.kill(t, a)
	return h.start(t, o), s
}

func heldUntil(t *testing.T, verdicts []routing.Verdict, n int) {
	t.Helper()
	for i, v := range verdicts {
		expect := routing.Verdict{Fate: routing.Held}
		if i >= n {
			expect = routing.Verdict{Fate: routing.Dropped, Drop: routing.DropHeldFull}
		}
		want(t, "verdict", v, expect)
	}
}

// heldOffsets looks into a session's held list past the table.
func heldOffsets(t *testing.T, h Harness, s routing.SessionRow) []int64 {
	t.Helper()
	entries, err := h.Client.LRange(t.Context(), sessionKey(s)+":held", 0, -1).Result()
	must(t, err)
	var all []int64
	for _, entry := range entries {
		reply, err := table.DecodeHeld([]byte(entry))
		must(t, err)
		all = append(all, reply.From.Offset)
	}
	return all
}
