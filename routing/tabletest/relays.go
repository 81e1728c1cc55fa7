package tabletest

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"parley/routing"
	"parley/routing/table"
)

var relays = []story{
	// A reply that b consumed reaches a, whose session it is, once, in order and whole.
	{name: "relay", shared: true, tell: relay},
	// A session of this node's own is no stranger.
	{name: "here", shared: true, tell: func(t *testing.T, h Harness) {
		n := h.start(t, table.Options{Node: "a"})
		s := newSession()
		must(t, n.Open(t.Context(), s))
		want(t, "fate", n.Route(t.Context(), series(s, 0, 1))[0].Fate, routing.Here)
	}},
	// Many strangers, for many sessions on two nodes and for nobody, all get the
	// verdict that is theirs, and each session its replies in order.
	{name: "many strangers", shared: true, tell: manyStrangers},
	// Large replies go in several steps, still in order.
	{name: "megabytes", shared: true, tell: func(t *testing.T, h Harness) {
		a, b := h.start(t, table.Options{Node: "a"}), h.start(t, table.Options{Node: "b"})
		s := newSession()
		must(t, a.Open(t.Context(), s))
		replies := series(s, 0, 8)
		for _, r := range replies {
			r.Body = bytes.Repeat([]byte{byte(r.From.Offset)}, 400_000)
		}
		for _, v := range b.Route(t.Context(), replies) {
			want(t, "fate", v.Fate, routing.Relayed)
		}
		for i, r := range a.mail.await(t, 8) {
			want(t, "body", bytes.Equal(r.Body, replies[i].Body), true)
		}
	}},
	// A node has all that was relayed to it once it has caught up, and needs no time for
	// that while Redis is away.
	{name: "catch up", shared: true, tell: func(t *testing.T, h Harness) {
		a, b := h.start(t, brisk("a")), h.start(t, table.Options{Node: "b"})
		s := newSession()
		must(t, a.Open(t.Context(), s))
		for round := range int64(5) {
			for _, v := range b.Route(t.Context(), series(s, 200*round, 200*round+200)) {
				want(t, "fate", v.Fate, routing.Relayed)
			}
			a.CatchUp(t.Context())
			want(t, "replies", int64(len(a.mail.replies())), 200*round+200)
		}
		a.wire.Cut()
		eventually(t, "it is away", func() bool { return a.Stats().Away })
		began := time.Now()
		a.CatchUp(t.Context())
		want(t, "took no time", time.Since(began) < 50*time.Millisecond, true)
		a.wire.Heal()
	}},
	// An entry stays in the inbox until it is settled, and then goes.
	{name: "settle", shared: true, tell: func(t *testing.T, h Harness) {
		a, b := h.start(t, table.Options{Node: "a"}), h.start(t, table.Options{Node: "b"})
		a.mail.settle = false
		s := newSession()
		must(t, a.Open(t.Context(), s))
		b.Route(t.Context(), series(s, 0, 3))
		got := a.mail.await(t, 3)
		got[1].Receipt.Done(got[1].Token)
		left := func() int64 { return h.Client.XLen(t.Context(), "parley:inbox:a").Val() }
		eventually(t, "one has gone", func() bool { return left() == 2 && a.Stats().Unsettled == 2 })
		got[0].Receipt.Done(got[0].Token)
		got[2].Receipt.Done(got[2].Token)
		eventually(t, "all have gone", func() bool { return left() == 0 && a.Stats().Unsettled == 0 })
	}},
	// A full inbox takes no more and loses nothing; what did not fit can come later.
	{name: "inbox full", shared: true, tell: func(t *testing.T, h Harness) {
		a, b := h.start(t, table.Options{Node: "a"}), h.start(t, table.Options{Node: "b", Inbox: 2})
		a.mail.settle = false
		s := newSession()
		must(t, a.Open(t.Context(), s))
		eventually(t, "it has no notices", func() bool { return h.Client.XLen(t.Context(), "parley:inbox:a").Val() == 0 })
		all := series(s, 0, 4)
		got := fates(b.Route(t.Context(), all))
		if !slices.Equal(got, []routing.Fate{routing.Relayed, routing.Relayed, routing.Failed, routing.Failed}) {
			t.Fatalf("fates: %v", got)
		}
		for _, r := range a.mail.await(t, 2) {
			r.Receipt.Done(r.Token)
		}
		eventually(t, "there is room", func() bool { return b.Route(t.Context(), all[2:3])[0].Fate == routing.Relayed })
		a.mail.await(t, 3)
	}},
	// A record that is relayed twice, as after an answer that was lost, arrives once.
	{name: "twice", shared: true, tell: func(t *testing.T, h Harness) {
		a, b := h.start(t, table.Options{Node: "a"}), h.start(t, table.Options{Node: "b"})
		s := newSession()
		must(t, a.Open(t.Context(), s))
		b.Route(t.Context(), series(s, 0, 3))
		b.Route(t.Context(), series(s, 1, 5))
		got := offsets(a.mail.await(t, 5))
		if !slices.Equal(got, []int64{0, 1, 2, 3, 4}) {
			t.Errorf("offsets: %v", got)
		}
		eventually(t, "the inbox is empty", func() bool { return h.Client.XLen(t.Context(), "parley:inbox:a").Val() == 0 })
		want(t, "replies", len(a.mail.replies()), 5)
	}},
	// What was relayed to a process that died before it settled it is held by the
	// next process of that name, for the session that it left.
	{name: "restart", shared: true, tell: restart},
	// A node that leaves takes its name and its empty inbox away, having read what was there.
	{name: "leave", shared: true, tell: func(t *testing.T, h Harness) {
		a, b := h.start(t, table.Options{Node: "a"}), h.start(t, table.Options{Node: "b"})
		s := newSession()
		must(t, a.Open(t.Context(), s))
		b.Route(t.Context(), series(s, 0, 100))
		must(t, a.stop())
		want(t, "replies", len(a.mail.replies()), 100)
		want(t, "inbox", h.Client.Exists(t.Context(), "parley:inbox:a").Val(), 0)
		want(t, "names", fmt.Sprint(h.Client.ZRange(t.Context(), "parley:nodes", 0, -1).Val()), "[b]")
	}},
	// An entry that says nothing is named, counted and taken away.
	{name: "bad entry", shared: true, tell: func(t *testing.T, h Harness) {
		a := h.start(t, table.Options{Node: "a"})
		must(t, h.Client.Do(t.Context(), "XADD", "parley:inbox:a", "*", "r", "nonsense").Err())
		eventually(t, "it is counted", func() bool { return a.Stats().Refused == 1 })
		eventually(t, "it is gone", func() bool { return h.Client.XLen(t.Context(), "parley:inbox:a").Val() == 0 })
	}},
}

func relay(t *testing.T, h Harness) {
	a, b := h.start(t, table.Options{Node: "a"}), h.start(t, table.Options{Node: "b"})
	s := newSession()
	must(t, a.Open(t.Context(), s))
	sent := series(s, 0, 300)
	for _, v := range b.Route(t.Context(), sent) {
		want(t, "fate", v.Fate, routing.Relayed)
	}
	for i, got := range a.mail.await(t, len(sent)) {
		if age := time.Since(got.Relayed); age < 0 || age > time.Minute {
			t.Fatalf("relayed %v ago", age)
		}
		want(t, "stamp", got.Stamp.UnixNano(), sent[i].Stamp.UnixNano())
		want(t, "consumed", got.Consumed.UnixNano(), sent[i].Consumed.UnixNano())
		plain, expect := *got, *sent[i]
		plain.Receipt, plain.Token, plain.Relayed = nil, routing.Token{}, time.Time{}
		plain.Stamp, plain.Consumed, expect.Stamp, expect.Consumed = time.Time{}, time.Time{}, time.Time{}, time.Time{}
		if !reflect.DeepEqual(plain, expect) {
			t.Fatalf("reply %d:\n got %+v\nwant %+v", i, plain, expect)
		}
	}
	want(t, "replies at the consumer", len(b.mail.replies()), 0)
	eventually(t, "the inbox is empty", func() bool { return h.Client.XLen(t.Context(), "parley:inbox:a").Val() == 0 })
	want(t, "replies", len(a.mail.replies()), len(sent))
}

func manyStrangers(t *testing.T, h Harness) {
	c := h.start(t, table.Options{Node: "c"})
	nodes := []*running{h.start(t, table.Options{Node: "a"}), h.start(t, table.Options{Node: "b"}), nil}
	var batch []*routing.Reply
	var expect []routing.Fate
	var all []routing.SessionRow
	for i := range 60 {
		s := newSession()
		all = append(all, s)
		if n := nodes[i%3]; n != nil {
			must(t, n.Open(t.Context(), s))
		}
	}
	for i := range 600 {
		batch = append(batch, replyTo(all[i%60], 1, int64(i)))
		expect = append(expect, []routing.Fate{routing.Relayed, routing.Relayed, routing.Dropped}[i%3])
	}
	if got := fates(c.Route(t.Context(), batch)); !slices.Equal(got, expect) {
		t.Fatalf("fates: %v", got)
	}
	for _, n := range nodes[:2] {
		newest := make(map[routing.RequestID]int64)
		for _, r := range n.mail.await(t, 200) {
			if last, seen := newest[r.ID]; seen && r.From.Offset != last+60 {
				t.Fatalf("offset %d after %d", r.From.Offset, last)
			}
			newest[r.ID] = r.From.Offset
		}
	}
}

func restart(t *testing.T, h Harness) {
	a, b := h.start(t, table.Options{Node: "a"}), h.start(t, table.Options{Node: "b"})
	a.mail.settle = false
	s := newSession()
	must(t, a.Open(t.Context(), s))
	b.Route(t.Context(), series(s, 0, 5))
	a.mail.await(t, 5)
	h.kill(t, a)

	again := h.start(t, table.Options{Node: "a"})
	eventually(t, "all are held", func() bool { return len(heldOffsets(t, h, s)) == 5 })
	if got := heldOffsets(t, h, s); !slices.Equal(got, []int64{0, 1, 2, 3, 4}) {
		t.Errorf("held: %v", got)
	}
	eventually(t, "the inbox is empty", func() bool { return h.Client.XLen(t.Context(), "parley:inbox:a").Val() == 0 })
	want(t, "given to the new process", len(again.mail.replies()), 0)

	fresh := newSession()
	must(t, again.Open(t.Context(), fresh))
	eventually(t, "the new process is relayed to", func() bool { return b.Route(t.Context(), series(fresh, 9, 10))[0].Fate == routing.Relayed })
	again.mail.await(t, 1)
}
