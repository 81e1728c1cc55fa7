package tabletest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"parley/routing"
	"parley/routing/table"
)

// single is what holds for one node alone, with or without Redis.
var single = []story{
	// A table is there, and says so.
	{name: "ping", tell: func(t *testing.T, h Harness) {
		n := h.start(t, table.Options{Node: "a"})
		must(t, n.Ping(t.Context()))
	}},
	// A session opens and ends, its requests come and go, and nothing of this fails or blocks.
	{name: "a session's life", tell: func(t *testing.T, h Harness) {
		n := h.start(t, table.Options{Node: "a"})
		s := newSession()
		must(t, n.Open(t.Context(), s))
		n.Claim(routing.Row{Session: s.ID, N: 1, Service: "orders"}, nil)
		n.Release(s.ID, 1)
		n.End(s.ID)
		must(t, n.stop())
	}},
	// A reply for a session that nobody has is dropped as unknown, each with a verdict of its own.
	{name: "unknown session", tell: func(t *testing.T, h Harness) {
		n := h.start(t, table.Options{Node: "a"})
		for _, v := range n.Route(t.Context(), append(series(newSession(), 0, 3), series(newSession(), 3, 5)...)) {
			if h.Client == nil {
				v.Foreign = false // a reply may well be another gateway's
			}
			want(t, "verdict", v, routing.Verdict{Fate: routing.Dropped, Drop: routing.DropUnknownRequest})
		}
		want(t, "verdicts on nothing", len(n.Route(t.Context(), nil)), 0)
	}},
}

var sessions = []story{
	// A person finds an opened session with HGETALL, and it will expire.
	{name: "open", shared: true, tell: func(t *testing.T, h Harness) {
		n := h.start(t, table.Options{Node: "a", Resume: time.Minute})
		s := newSession()
		must(t, n.Open(t.Context(), s))
		got := h.Client.HGetAll(t.Context(), sessionKey(s)).Val()
		want(t, "owner", got["owner"], "a")
		want(t, "epoch", got["epoch"], "1")
		want(t, "subject", got["subject"], "somebody")
		want(t, "state", got["state"], "attached")
		want(t, "secret", got["secret"], strings.Repeat("30313233343536373839616263646566", 2))
		if life := h.Client.PTTL(t.Context(), sessionKey(s)).Val(); life < time.Minute || life > 3*time.Minute {
			t.Errorf("the session lives for %v", life)
		}
	}},
	// An announced session appears soon, and an ended one goes with all that was its own.
	{name: "announce and end", shared: true, tell: func(t *testing.T, h Harness) {
		n := h.start(t, table.Options{Node: "a"})
		s := newSession()
		n.Announce(s)
		n.Claim(routing.Row{Session: s.ID, N: 1, Service: "orders"}, nil)
		eventually(t, "the row is there", func() bool { return h.Client.HExists(t.Context(), sessionKey(s), "r:1").Val() })
		must(t, h.Client.RPush(t.Context(), sessionKey(s)+":held", "x").Err())
		n.End(s.ID)
		eventually(t, "all is gone", func() bool {
			return h.Client.Exists(t.Context(), sessionKey(s)).Val()+h.Client.Exists(t.Context(), sessionKey(s)+":held").Val() == 0
		})
	}},
	// The keys of a session whose node lives are prolonged before they expire.
	{name: "life is renewed", shared: true, tell: func(t *testing.T, h Harness) {
		n := h.start(t, table.Options{Node: "a", Resume: 100 * time.Millisecond})
		s := newSession()
		n.mail.hold(s)
		must(t, n.Open(t.Context(), s))
		for range 3 {
			must(t, h.Client.PExpire(t.Context(), sessionKey(s), 250*time.Millisecond).Err())
			eventually(t, "life is renewed", func() bool { return h.Client.PTTL(t.Context(), sessionKey(s)).Val() > 250*time.Millisecond })
		}
	}},
	// Only who shows secret and subject takes a session over; then the epoch
	// grows, the rows come along, and the old owner cannot end it any longer.
	{name: "resume", shared: true, tell: resume},
	// A node knows whose a session is, which the one that lost it may not have heard.
	{name: "owns", shared: true, tell: func(t *testing.T, h Harness) {
		a, b := h.start(t, table.Options{Node: "a"}), h.start(t, table.Options{Node: "b"})
		s := newSession()
		must(t, a.Open(t.Context(), s))
		owns(t, a, s, 1, true)
		_, err := b.Resume(t.Context(), resumption(s))
		must(t, err)
		owns(t, a, s, 1, false)
		owns(t, b, s, 2, true)
		owns(t, b, newSession(), 1, false)
	}},
	// The same for a table that nobody shares: only the rows are the router's to know.
	{name: "resume alone", tell: func(t *testing.T, h Harness) {
		n := h.start(t, table.Options{Node: "a"})
		s := newSession()
		must(t, n.Open(t.Context(), s))
		refused(t, n, s)
		for epoch := range uint64(3) {
			got, err := n.Resume(t.Context(), resumption(s))
			must(t, err)
			want(t, "epoch", got.Epoch, epoch+2)
		}
		owns(t, n, s, 4, true)
		owns(t, n, s, 3, false)
		n.End(s.ID)
		_, err := n.Resume(t.Context(), resumption(s))
		want(t, "after its end", errors.Is(err, routing.ErrSessionGone), true)
	}},
	// A client that comes back to its own node at once finds what was claimed and
	// released a moment ago.
	{name: "resume sees own writes", shared: true, tell: func(t *testing.T, h Harness) {
		n := h.start(t, table.Options{Node: "a", Pace: 20 * time.Millisecond})
		s := newSession()
		n.Announce(s)
		for i := range uint64(10) {
			n.Claim(routing.Row{Session: s.ID, N: i + 1, Service: "orders"}, nil)
			n.Claim(routing.Row{Session: s.ID, N: i + 100, Service: "orders"}, nil)
			got, err := n.Resume(t.Context(), resumption(s))
			must(t, err)
			want(t, "rows", len(got.Rows), 2)
			n.Release(s.ID, i+1)
			n.Release(s.ID, i+100)
		}
	}},
	// What the former owner had queued is seen by a second look.
	{name: "rows come late", shared: true, tell: func(t *testing.T, h Harness) {
		a, b := h.start(t, table.Options{Node: "a", Pace: 20 * time.Millisecond}), h.start(t, table.Options{Node: "b"})
		s := newSession()
		must(t, a.Open(t.Context(), s))
		_, err := b.Resume(t.Context(), resumption(s))
		must(t, err)
		row := routing.Row{Session: s.ID, N: 3, Service: "orders", ClientID: "7", Deadline: time.UnixMilli(1764000000123).UTC()}
		a.Claim(row, nil)
		eventually(t, "the row is seen", func() bool {
			got, err := b.Look(t.Context(), s.ID)
			return err == nil && slices.Equal(got.Rows, []routing.Row{row})
		})
		got, err := b.Look(t.Context(), newSession().ID)
		want(t, "rows of no session", fmt.Sprint(got, err), "{[] 0} <nil>")
	}},
	// A node that has given a session up says so once its rows are there, and whoever
	// looks then finds them all. Of a session that has ended nothing is left.
	{name: "left", shared: true, tell: func(t *testing.T, h Harness) {
		a, b := h.start(t, table.Options{Node: "a", Pace: 20 * time.Millisecond}), h.start(t, table.Options{Node: "b"})
		s := newSession()
		must(t, a.Open(t.Context(), s))
		_, err := b.Resume(t.Context(), resumption(s))
		must(t, err)
		for n := range uint64(3000) { // more than a pipeline takes
			a.Claim(routing.Row{Session: s.ID, N: n + 1, Service: "orders"}, nil)
		}
		a.Left(s.ID, 1, 1)
		eventually(t, "it is said", func() bool {
			got, err := b.Look(t.Context(), s.ID)
			if got.Left > 0 {
				want(t, "rows", len(got.Rows), 3000)
			}
			return err == nil && got.Left == 1
		})
		b.Left(s.ID, 2, 4)
		a.Left(s.ID, 1, 1)
		eventually(t, "the later counts", func() bool { return h.Client.HGet(t.Context(), sessionKey(s), "left").Val() == "4" })
		b.End(s.ID)
		b.Left(s.ID, 2, 4)
		_, err = b.Resume(t.Context(), resumption(s)) // after all that is queued
		want(t, "after its end", errors.Is(err, routing.ErrSessionGone), true)
		want(t, "left of it", h.Client.Exists(t.Context(), sessionKey(s)).Val(), int64(0))
	}},
	// Nodes that had a session one after the other say that they have left it in any order:
	// what later ones say counts once all before them have spoken.
	{name: "left in another order", shared: true, tell: func(t *testing.T, h Harness) {
		a := h.start(t, table.Options{Node: "a"})
		for _, order := range [][][2]uint64{
			{{1, 3}, {4, 4}, {5, 7}}, {{5, 7}, {4, 4}, {1, 3}}, {{4, 4}, {5, 7}, {1, 3}}, {{5, 7}, {4, 4}, {4, 4}, {1, 3}, {1, 3}}, {{4, 4}, {1, 3}, {5, 7}},
			{{1, 1}, {5, 5}, {3, 3}, {7, 7}, {4, 4}, {6, 6}, {2, 2}},
		} {
			s := newSession()
			must(t, a.Open(t.Context(), s))
			said := make(map[uint64]bool)
			for _, tenure := range order {
				for epoch := tenure[0]; epoch <= tenure[1]; epoch++ {
					said[epoch] = true
				}
				a.Left(s.ID, tenure[0], tenure[1])
				must(t, a.Open(t.Context(), newSession())) // after all that is queued
				whole := uint64(0)
				for said[whole+1] {
					whole++
				}
				got, err := a.Look(t.Context(), s.ID)
				must(t, err)
				want(t, fmt.Sprint("left, as was said ", order), got.Left, whole)
			}
			want(t, "what waits", h.Client.HGet(t.Context(), sessionKey(s), "behind").Val(), "")
		}
		s := newSession()
		must(t, a.Open(t.Context(), s))
		for epoch := uint64(100); epoch > 1; epoch -= 3 {
			a.Left(s.ID, epoch, epoch)
		}
		must(t, a.Open(t.Context(), newSession()))
		want(t, "no more than that waits", strings.Count(h.Client.HGet(t.Context(), sessionKey(s), "behind").Val(), ","), 7)
	}},
	// A node takes a session over and dies before it has told the old owner: the next
	// one tells it, or the old one would keep what comes for the session.
	{name: "taken twice", shared: true, tell: func(t *testing.T, h Harness) {
		a, b := h.start(t, table.Options{Node: "a"}), h.start(t, table.Options{Node: "b"})
		s := newSession()
		must(t, a.Open(t.Context(), s))
		a.mail.hold(s)
		must(t, h.Client.HSet(t.Context(), sessionKey(s), "owner", "dead", "boot", "d", "epoch", 2, "taken", "call "+bootOf(t, h, "a")+" a").Err())
		_, err := b.Resume(t.Context(), resumption(s))
		must(t, err)
		eventually(t, "the old owner is told", func() bool { return a.mail.takenUnder(s) == 3 })
		_, err = b.Resume(t.Context(), resumption(s)) // again, as if the answer were lost
		must(t, err)
		eventually(t, "it is told again", func() bool { return a.mail.takenUnder(s) == 4 })
	}},
	// A take-over of which the old owner was never told shows when its life is renewed.
	{name: "taken unnoticed", shared: true, tell: func(t *testing.T, h Harness) {
		n := h.start(t, table.Options{Node: "a", Resume: 50 * time.Millisecond})
		s := newSession()
		must(t, n.Open(t.Context(), s))
		n.mail.hold(s)
		must(t, h.Client.HSet(t.Context(), sessionKey(s), "owner", "b", "epoch", 5).Err())
		eventually(t, "it is seen", func() bool { return n.mail.takenUnder(s) == 5 })
		want(t, "owner", h.Client.HGet(t.Context(), sessionKey(s), "owner").Val(), "b")
	}},
}

func resume(t *testing.T, h Harness) {
	a, b := h.start(t, table.Options{Node: "a"}), h.start(t, table.Options{Node: "b"})
	s := newSession()
	must(t, a.Open(t.Context(), s))
	row := routing.Row{Session: s.ID, N: 3, Service: "orders", ClientID: `"my id"`, Digest: 1 << 63, Deadline: time.UnixMilli(1764000000123).UTC()}
	a.Claim(row, nil)
	eventually(t, "the row is there", func() bool { return h.Client.HExists(t.Context(), sessionKey(s), "r:3").Val() })

	refused(t, b, s)
	got, err := b.Resume(t.Context(), resumption(s))
	must(t, err)
	want(t, "epoch", got.Epoch, 2)
	if !slices.Equal(got.Rows, []routing.Row{row}) {
		t.Errorf("rows: %v", got.Rows)
	}
	here := b.Route(t.Context(), series(s, 0, 1))[0]
	want(t, "at its new owner", here, routing.Verdict{Fate: routing.Here, Epoch: 2})
	want(t, "at its old owner", a.Route(t.Context(), series(s, 1, 2))[0].Fate, routing.Relayed)
	b.mail.await(t, 1)
	eventually(t, "the old owner is told", func() bool { return a.mail.takenUnder(s) == 2 })

	a.End(s.ID)
	written := a.Stats().Written
	a.Announce(newSession())
	eventually(t, "the end was written", func() bool { return a.Stats().Written > written })
	want(t, "owner after the old one ended it", h.Client.HGet(t.Context(), sessionKey(s), "owner").Val(), "b")

	got, err = a.Resume(t.Context(), resumption(s))
	must(t, err)
	want(t, "epoch once it is back", got.Epoch, 3)
	eventually(t, "the second owner is told", func() bool { return b.mail.takenUnder(s) == 3 })
	a.End(s.ID)
	eventually(t, "its owner can end it", func() bool { return h.Client.Exists(t.Context(), sessionKey(s)).Val() == 0 })
}

// refused tries to resume a session with what is not enough.
func refused(t *testing.T, n *running, s routing.SessionRow) {
	t.Helper()
	secret, subject := resumption(s), resumption(s)
	secret.Secret, subject.Subject = []byte("another"), "somebody else"
	for _, q := range []routing.Resumption{secret, subject, resumption(newSession())} {
		if _, err := n.Resume(t.Context(), q); !errors.Is(err, routing.ErrSessionGone) {
			t.Fatalf("resumed with %+v: %v", q, err)
		}
	}
}

func resumption(s routing.SessionRow) routing.Resumption {
	return routing.Resumption{ID: s.ID, Subject: s.Subject, Secret: s.Secret}
}

func sessionKey(s routing.SessionRow) string { return "parley:{" + string(s.ID) + "}" }

func owns(t *testing.T, n *running, s routing.SessionRow, epoch uint64, is bool) {
	t.Helper()
	got, err := n.Owns(t.Context(), s.ID, epoch)
	must(t, err)
	want(t, fmt.Sprintf("owns the session under epoch %d", epoch), got, is)
}
