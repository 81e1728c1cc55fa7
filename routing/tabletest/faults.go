package tabletest

import (
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"parley/routing"
	"parley/routing/table"
)

var faults = []story{
	// With Redis away nothing blocks and every failure is told; with it back, what
	// was not written is, and waiting replies go on in order.
	{name: "away and back", shared: true, tell: away},
	// Redis was away for longer than leases last: a node that is back before another
	// does not take that one for dead,
	{name: "back before the others", shared: true, tell: func(t *testing.T, h Harness) {
		backFirst(t, h, func() { h.expire(t, "a"); h.expire(t, "b") })
	}},
	// nor its sessions for unknown.
	{name: "back before the others, emptied", shared: true, tell: func(t *testing.T, h Harness) {
		backFirst(t, h, func() { must(t, h.Client.FlushDB(t.Context()).Err()) })
	}},
	// Redis lost everything: living nodes write their sessions and rows anew, and
	// meanwhile no reply is called unknown.
	{name: "emptied", shared: true, tell: emptied},
	// That lasts until all nodes have said that they have written what they have,
	{name: "word of the others", shared: true, tell: wordOfOthers},
	// and meanwhile nobody takes over a session whose owner may know more of it, be it that
	// Redis has lost even that it is the owner. A node that is dead is not waited for.
	{name: "taken before its owner is back", shared: true, tell: takenEarly("a", 2)},
	{name: "taken before its owner is back, whom Redis does not know", shared: true, tell: takenEarly("b", 1)},
	{name: "taken when its owner is dead", shared: true, tell: takenAfterDeath},
	// More writes than may wait are dropped and counted, never waited for, and the
	// rows are right in the end.
	{name: "queue full", shared: true, tell: queueFull},
	// A key of the wrong kind fails what needs it, by name, and nothing else.
	{name: "wrong kind", shared: true, tell: func(t *testing.T, h Harness) {
		a, b := h.start(t, table.Options{Node: "a"}), h.start(t, table.Options{Node: "b"})
		bad, good := newSession(), newSession()
		must(t, a.Open(t.Context(), good))
		must(t, h.Client.Set(t.Context(), sessionKey(bad), "text", time.Minute).Err())
		got := b.Route(t.Context(), append(series(bad, 0, 1), series(good, 1, 2)...))
		want(t, "good", got[1].Fate, routing.Relayed)
		want(t, "bad", got[0].Fate, routing.Failed)
		if text := got[0].Err.Error(); !strings.HasPrefix(text, "look up session: WRONGTYPE") {
			t.Errorf("error: %s", text)
		}
		err := a.Open(t.Context(), bad)
		if err == nil || !strings.HasPrefix(err.Error(), "open session: ") {
			t.Errorf("open: %v", err)
		}
		want(t, "away", a.Stats().Away, false)
	}},
	// A server that has forgotten the scripts is taught them again.
	{name: "scripts lost", shared: true, tell: func(t *testing.T, h Harness) {
		a, b := h.start(t, table.Options{Node: "a"}), h.start(t, table.Options{Node: "b"})
		for i := range int64(3) {
			must(t, h.Client.ScriptFlush(t.Context()).Err())
			s := newSession()
			must(t, a.Open(t.Context(), s))
			must(t, h.Client.ScriptFlush(t.Context()).Err())
			want(t, "fate", b.Route(t.Context(), series(s, i, i+1))[0].Fate, routing.Relayed)
		}
		a.mail.await(t, 3)
	}},
	// A session that has a newer owner is not written by an older one.
	{name: "newer epoch", shared: true, tell: func(t *testing.T, h Harness) {
		a, b := h.start(t, table.Options{Node: "a", Resume: 50 * time.Millisecond}), h.start(t, table.Options{Node: "b"})
		s := newSession()
		s.Epoch = 2
		must(t, b.Open(t.Context(), s))
		s.Epoch = 1
		if err := a.Open(t.Context(), s); err == nil {
			t.Error("the older epoch was opened")
		}
		want(t, "owner", h.Client.HGet(t.Context(), sessionKey(s), "owner").Val(), "b")
	}},
}

func away(t *testing.T, h Harness) {
	a, b := h.start(t, table.Options{Node: "a"}), h.start(t, table.Options{Node: "b"})
	s, late := newSession(), newSession()
	must(t, a.Open(t.Context(), s))
	a.mail.hold(s)
	h.Cut()
	started := time.Now()
	for _, v := range b.Route(t.Context(), series(s, 0, 2)) {
		want(t, "fate", v.Fate, routing.Failed)
		want(t, "told why", v.Err != nil, true)
	}
	if err := a.Open(t.Context(), late); err == nil {
		t.Error("a session was opened without Redis")
	}
	if a.Ping(t.Context()) == nil {
		t.Error("Redis was pinged")
	}
	row := routing.Row{Session: s.ID, N: 1, Service: "orders"}
	a.mail.hold(s, row)
	a.mail.hold(late)
	a.Claim(row, nil)
	if took := time.Since(started); took > 6*time.Second {
		t.Errorf("all this took %v", took)
	}
	eventually(t, "it is noticed", func() bool { return a.Stats().Away && b.Stats().Away })
	h.Heal()
	eventually(t, "it is noticed", func() bool { return !a.Stats().Away && !b.Stats().Away })
	eventually(t, "the row is written", func() bool { return h.Client.HExists(t.Context(), sessionKey(s), "r:1").Val() })
	eventually(t, "the session is written", func() bool { return h.Client.HGet(t.Context(), sessionKey(late), "owner").Val() == "a" })
	eventually(t, "replies go on", func() bool { return b.Route(t.Context(), series(s, 0, 2))[1].Fate == routing.Relayed })
	got := offsets(a.mail.await(t, 2))
	if !slices.Equal(got[:2], []int64{0, 1}) {
		t.Errorf("offsets: %v", got)
	}
}

// backFirst routes as soon as Redis is back, before the owner can have noticed.
func backFirst(t *testing.T, h Harness, meanwhile func()) {
	a, b := h.start(t, table.Options{Node: "a"}), h.start(t, table.Options{Node: "b"})
	s := newSession()
	must(t, a.Open(t.Context(), s))
	a.mail.hold(s)
	h.Cut()
	eventually(t, "it is noticed", func() bool { return a.Stats().Away && b.Stats().Away })
	meanwhile()
	h.Heal()
	got := routing.Verdict{}
	eventually(t, "the reply is routed", func() bool { got = b.Route(t.Context(), series(s, 0, 1))[0]; return got.Fate != routing.Failed })
	// Held where the session was written before the owner's renewal: it is given back.
	if got.Fate != routing.Relayed && got.Fate != routing.Held {
		t.Errorf("fate %d", got.Fate)
	}
	eventually(t, "it is at its owner", func() bool { return len(a.mail.replies())+len(a.mail.returned()) == 1 })
}

func emptied(t *testing.T, h Harness) {
	a, b := h.start(t, table.Options{Node: "a", Open: 10 * time.Second}), h.start(t, table.Options{Node: "b"})
	var all []routing.SessionRow
	for range 500 {
		s := newSession()
		all = append(all, s)
		a.Announce(s)
		a.mail.hold(s, routing.Row{Session: s.ID, N: 1, Service: "orders"})
	}
	must(t, a.Open(t.Context(), all[0]))
	must(t, h.Client.FlushDB(t.Context()).Err())
	eventually(t, "all are there again", func() bool {
		for _, s := range all {
			if h.Client.HGet(t.Context(), sessionKey(s), "r:1").Val() == "" {
				return false
			}
		}
		return true
	})
	eventually(t, "b is there again", func() bool { return h.Client.Exists(t.Context(), "parley:inbox:b").Val() == 1 })
	want(t, "relayed", b.Route(t.Context(), series(all[7], 0, 1))[0].Fate, routing.Relayed)
	a.mail.await(t, 1)
}

// cutEmptied has Redis lose everything while one node cannot reach it, and waits until
// another has noticed. Only words can end what that causes.
func cutEmptied(t *testing.T, h Harness) (cut, there *running, s routing.SessionRow) {
	cut, there = h.start(t, table.Options{Node: "a", Grace: time.Hour}), h.start(t, table.Options{Node: "b", Grace: time.Hour})
	s = newSession()
	s.Epoch = 2
	must(t, cut.Open(t.Context(), s))
	cut.mail.hold(s, routing.Row{Session: s.ID, N: 1, Service: "orders"})
	h.renewed(t, cut, there)
	cut.wire.Cut()
	must(t, h.Client.FlushDB(t.Context()).Err())
	eventually(t, "it is noticed", func() bool { _, _, restores, _ := there.mail.told(); return restores > 0 })
	return cut, there, s
}

func wordOfOthers(t *testing.T, h Harness) {
	a, b, s := cutEmptied(t, h)
	nobodys := newSession()
	want(t, "a session that nobody has, as far as b knows", b.Route(t.Context(), series(nobodys, 0, 1))[0].Fate, routing.Failed)
	about, feed := []routing.Entity{{Service: "orders", Key: "nobody"}}, []routing.Feed{{Topic: "orders.events", Key: "nobody"}}
	if _, err := b.waits().Waiting(t.Context(), about); err == nil {
		t.Error("b says that nobody waits")
	}
	if _, err := b.feeds().Subscribers(t.Context(), feed); err == nil {
		t.Error("b says that nobody has subscribed")
	}
	a.wire.Heal()
	eventually(t, "all have given their word", func() bool { return b.Route(t.Context(), series(nobodys, 0, 1))[0].Fate == routing.Dropped })
	_, err := b.waits().Waiting(t.Context(), about)
	must(t, err)
	_, err = b.feeds().Subscribers(t.Context(), feed)
	must(t, err)
	want(t, "the session that a has", b.Route(t.Context(), series(s, 0, 1))[0].Fate, routing.Relayed)
	eventually(t, "a knows it too", func() bool { return a.Route(t.Context(), series(nobodys, 1, 2))[0].Fate == routing.Dropped })
}

// takenEarly has a replica become the primary that does not know the session's last rows,
// nor perhaps its last owner.
func takenEarly(owner string, epoch uint64) func(*testing.T, Harness) {
	return func(t *testing.T, h Harness) {
		a, b, s := cutEmptied(t, h)
		h.know(t, s, owner, epoch)
		if _, err := b.Resume(t.Context(), resumption(s)); err == nil || errors.Is(err, routing.ErrSessionGone) {
			t.Errorf("taken over: %v", err)
		}
		a.wire.Heal()
		var got routing.Resumed
		eventually(t, "it can be taken over", func() (ok bool) { r, err := b.Resume(t.Context(), resumption(s)); got = r; return err == nil })
		want(t, "rows", len(got.Rows), 1)
		want(t, "epoch", got.Epoch, 3)
	}
}

// know has Redis know of a session, and nothing of what it waits for.
func (h Harness) know(t *testing.T, s routing.SessionRow, owner string, epoch uint64) {
	t.Helper()
	must(t, h.Client.HSet(t.Context(), sessionKey(s), "owner", owner, "epoch", epoch, "secret", hex.EncodeToString(s.Secret), "subject", s.Subject).Err())
}

func takenAfterDeath(t *testing.T, h Harness) {
	a, b, s := cutEmptied(t, h)
	h.know(t, s, "a", 2)
	h.ghost(t, "a", time.Hour) // the node was known again
	h.renewed(t, b)
	h.kill(t, a)
	eventually(t, "it can be taken over", func() bool { _, err := b.Resume(t.Context(), resumption(s)); return err == nil })
}

func queueFull(t *testing.T, h Harness) {
	a := h.start(t, table.Options{Node: "a", Pending: 100, Pace: 20 * time.Millisecond})
	s := newSession()
	must(t, a.Open(t.Context(), s))
	var open []routing.Row
	for i := range uint64(5000) {
		open = append(open, routing.Row{Session: s.ID, N: i + 1, Service: "orders"})
	}
	a.mail.hold(s, open...)
	for _, row := range open {
		a.Claim(row, nil)
	}
	if a.Stats().Dropped == 0 {
		t.Skip("the writer was faster")
	}
	eventually(t, "all rows are there", func() bool { return h.Client.HLen(t.Context(), sessionKey(s)).Val() >= 5006 })
}
