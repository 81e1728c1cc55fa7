package tabletest

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"parley/routing"
	"parley/routing/table"
)

var rows = []story{
	// A row can be read by a person, and goes with its release.
	{name: "claim and release", shared: true, tell: func(t *testing.T, h Harness) {
		n := h.start(t, table.Options{Node: "a"})
		s := newSession()
		must(t, n.Open(t.Context(), s))
		n.Claim(routing.Row{Session: s.ID, N: 7, Service: "orders", ClientID: `"a b"`, Digest: 0xbeef, Deadline: time.UnixMilli(1764000000123)}, nil)
		key := sessionKey(s)
		eventually(t, "the row is there", func() bool { return h.Client.HExists(t.Context(), key, "r:7").Val() })
		want(t, "row", h.Client.HGet(t.Context(), key, "r:7").Val(), `orders 2025-11-24T16:00:00.123Z 000000000000beef "a b"`)
		n.Claim(routing.Row{Session: s.ID, N: 8, Service: "orders", ClientID: "8", Deadline: time.UnixMilli(1764000000123), WantTrace: true, WantHeaders: true}, nil)
		eventually(t, "the row is there", func() bool { return h.Client.HExists(t.Context(), key, "r:8").Val() })
		want(t, "row", h.Client.HGet(t.Context(), key, "r:8").Val(), "orders;trace;headers 2025-11-24T16:00:00.123Z 0000000000000000 8")
		n.Release(s.ID, 7)
		eventually(t, "the row is gone", func() bool { return !h.Client.HExists(t.Context(), key, "r:7").Val() })
	}},
	// A row of a streamed answer says how far its client has got, and is released like
	// any other, though it was claimed twice.
	{name: "progress", shared: true, tell: func(t *testing.T, h Harness) {
		n := h.start(t, table.Options{Node: "a"})
		s := newSession()
		must(t, n.Open(t.Context(), s))
		row := routing.Row{Session: s.ID, N: 7, Service: "orders", ClientID: "1", Deadline: time.UnixMilli(0).UTC()}
		key := sessionKey(s)
		n.Claim(row, nil)
		eventually(t, "the row is there", func() bool { return h.Client.HExists(t.Context(), key, "r:7").Val() })
		row.Had = &routing.Progress{Parts: 3, Newest: routing.RecordAt{Topic: "replies", Partition: 2, Offset: 99}, Said: 5}
		n.Claim(row, nil)
		eventually(t, "the progress is there", func() bool {
			return h.Client.HGet(t.Context(), key, "r:7").Val() == "orders 1970-01-01T00:00:00.000Z 0000000000000000;3+5;replies/2/99 1"
		})
		looked, err := n.Look(t.Context(), s.ID)
		must(t, err)
		want(t, "as it was", reflect.DeepEqual(looked.Rows, []routing.Row{row}), true)
		n.Claim(row, nil)
		n.Release(s.ID, 7)
		eventually(t, "the row is gone", func() bool { return !h.Client.HExists(t.Context(), key, "r:7").Val() })
	}},
	// However claims and releases fall into pipelines, what is left is what is open.
	{name: "order", shared: true, tell: order},
	// A request that is answered at once never costs Redis a command.
	{name: "claim and release cancel", shared: true, tell: func(t *testing.T, h Harness) {
		n := h.start(t, table.Options{Node: "a", Pace: 100 * time.Millisecond})
		s := newSession()
		must(t, n.Open(t.Context(), s)) // the next pipeline leaves after Pace
		before := n.Stats()
		for i := range uint64(100) {
			n.Claim(routing.Row{Session: s.ID, N: i + 1, Service: "orders"}, nil)
			n.Release(s.ID, i+1)
		}
		eventually(t, "they cancelled", func() bool { return n.Stats().Cancelled >= 100 })
		want(t, "commands", n.Stats().Written-before.Written, 0)
	}},
	// Who waits for a row is told once it is there, also of one that came and went within
	// a pipeline.
	{name: "told", shared: true, tell: func(t *testing.T, h Harness) {
		n := h.start(t, table.Options{Node: "a", Pace: 20 * time.Millisecond})
		s := newSession()
		must(t, n.Open(t.Context(), s))
		there, gone := make(waiter, 8), make(waiter, 8)
		want(t, "waits", n.Claim(routing.Row{Session: s.ID, N: 1, Service: "orders"}, there), true)
		want(t, "waits", n.Claim(routing.Row{Session: s.ID, N: 2, Service: "orders"}, gone), true)
		want(t, "waits for nothing", n.Claim(routing.Row{Session: s.ID, N: 3, Service: "orders"}, nil), false)
		n.Release(s.ID, 2)
		<-there
		want(t, "row", h.Client.HExists(t.Context(), sessionKey(s), "r:1").Val(), true)
		<-gone
	}},
	// Who waits for a row when Redis goes away is told that it is in vain, and later
	// there is nothing to wait for.
	{name: "told in an outage", shared: true, tell: func(t *testing.T, h Harness) {
		n := h.start(t, brisk("a"))
		s := newSession()
		must(t, n.Open(t.Context(), s))
		n.wire.Cut()
		told := make(waiter, 8)
		want(t, "waits", n.Claim(routing.Row{Session: s.ID, N: 1, Service: "orders"}, told), true)
		<-told
		want(t, "waits", n.Claim(routing.Row{Session: s.ID, N: 2, Service: "orders"}, told), false)
		n.wire.Heal()
		eventually(t, "the rows are there", func() bool { return h.Client.HExists(t.Context(), sessionKey(s), "r:2").Val() })
	}},
	// More rows than a command may carry are written all the same.
	{name: "many rows", shared: true, tell: func(t *testing.T, h Harness) {
		n := h.start(t, table.Options{Node: "a"})
		s := newSession()
		n.Announce(s)
		for i := range uint64(20_000) {
			n.Claim(routing.Row{Session: s.ID, N: i + 1, Service: "orders"}, nil)
		}
		left := func() int64 { return h.Client.HLen(t.Context(), sessionKey(s)).Val() }
		eventually(t, "all rows", func() bool { return left() == 20_000+6 })
		for i := range uint64(20_000) {
			n.Release(s.ID, i+1)
		}
		eventually(t, "no rows", func() bool { return left() == 6 })
	}},
}

// waiter is somebody who waits for a row.
type waiter chan struct{}

func (w waiter) Claimed() { w <- struct{}{} }

func order(t *testing.T, h Harness) {
	n := h.start(t, table.Options{Node: "a"})
	s := newSession()
	must(t, n.Open(t.Context(), s))
	n.mail.hold(s)
	random := rand.New(rand.NewPCG(1, 2))
	model := make(map[string]string)
	var open []uint64
	for i := range uint64(3000) {
		if at := random.IntN(40); at < len(open) {
			n.Release(s.ID, open[at])
			delete(model, fmt.Sprintf("r:%d", open[at]))
			open = slices.Delete(open, at, at+1)
		} else {
			n.Claim(routing.Row{Session: s.ID, N: i + 1, Service: "orders", ClientID: fmt.Sprint(i), Deadline: time.UnixMilli(0)}, nil)
			model[fmt.Sprintf("r:%d", i+1)] = fmt.Sprintf("orders 1970-01-01T00:00:00.000Z 0000000000000000 %d", i)
			open = append(open, i+1)
		}
		if random.IntN(50) == 0 {
			written := n.Stats().Written
			eventually(t, "some are written", func() bool { s := n.Stats(); return s.Written > written || s.Pending == 0 })
		}
	}
	eventually(t, "the rows are those of the model", func() bool {
		got := h.Client.HGetAll(t.Context(), sessionKey(s)).Val()
		for _, field := range []string{"owner", "boot", "epoch", "state", "secret", "subject"} {
			delete(got, field)
		}
		return maps.Equal(got, model)
	})
}
