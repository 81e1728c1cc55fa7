package tabletest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"parley/routing"
	"parley/routing/table"
)

var waits = []story{
	// Who waits for an event is found by any node until the wait is taken back, and
	// keys of any kind are kept apart.
	{name: "wait and unwait", tell: func(t *testing.T, h Harness) {
		n := h.start(t, table.Options{Node: "a"})
		s := newSession()
		must(t, n.Open(t.Context(), s))
		odd := routing.Entity{Service: "orders", Key: "a}b {c\n"}
		plain := routing.Entity{Service: "orders", Key: "o-1"}
		for _, err := range n.Await(t.Context(), []routing.Wait{waitOf(s, 1, plain), waitOf(s, 2, odd), waitOf(s, 3, plain)}) {
			must(t, err)
		}
		found := waiting(t, n, plain, routing.Entity{Service: "orders", Key: "o-2"}, odd)
		slices.Sort(found[0])
		want(t, "who waits", fmt.Sprint(found), fmt.Sprintf("[[%s.1 %s.3] [] [%s.2]]", s.ID, s.ID, s.ID))
		n.Unwait(plain, waitOf(s, 1, plain).Request)
		eventually(t, "one is gone", func() bool { return len(waiting(t, n, plain)[0]) == 1 })
	}},
	// Ten thousand may wait for one event; far more are refused by name.
	{name: "crowd", tell: func(t *testing.T, h Harness) {
		n := h.start(t, table.Options{Node: "a"})
		s := newSession()
		must(t, n.Open(t.Context(), s))
		about := routing.Entity{Service: "orders", Key: "o-1"}
		crowded := 0
		for first := range 34 {
			batch := make([]routing.Wait, 512)
			for i := range batch {
				batch[i] = waitOf(s, uint64(first*512+i+1), about)
			}
			for _, err := range n.Await(t.Context(), batch) {
				if errors.Is(err, routing.ErrCrowded) {
					crowded++
				} else {
					must(t, err)
				}
			}
		}
		want(t, "refused", crowded, 34*512-1<<14)
		want(t, "wait", len(waiting(t, n, about)[0]), 1<<14)
	}},
	// Another node finds a wait together with its session, and a wait that is over
	// expires.
	{name: "seen elsewhere", shared: true, tell: func(t *testing.T, h Harness) {
		a, b := h.start(t, table.Options{Node: "a"}), h.start(t, table.Options{Node: "b"})
		s, about := newSession(), routing.Entity{Service: "orders", Key: "o-1"}
		a.Announce(s) // written behind: the wait must not overtake it
		must(t, a.Await(t.Context(), []routing.Wait{waitOf(s, 1, about)})[0])
		want(t, "seen by b", len(waiting(t, b, about)[0]), 1)
		got := b.Route(t.Context(), series(s, 0, 1))
		want(t, "fate", got[0].Fate, routing.Relayed)
		if life := h.Client.PTTL(t.Context(), "parley:{w:orders:o-1}").Val(); life <= 0 || life > time.Minute {
			t.Errorf("it lives for %v", life)
		}
	}},
	// Redis lost everything: living nodes write their waits anew, but for those that have
	// ended.
	{name: "waits emptied", shared: true, tell: func(t *testing.T, h Harness) {
		n := h.start(t, table.Options{Node: "a", Lease: 200 * time.Millisecond})
		s, about := newSession(), routing.Entity{Service: "orders", Key: "o/1 x"}
		must(t, n.Open(t.Context(), s))
		row := routing.Row{Session: s.ID, N: 1, Service: "orders", ClientID: "1", Entity: about.Key, Deadline: time.Now().Add(time.Minute)}
		over := row
		over.N, over.ClientID, over.Entity, over.Deadline = 2, "2", "o-2", time.Now().Add(-time.Second)
		n.Claim(row, nil)
		n.mail.hold(s, over, row)
		wait, _ := row.Wait()
		must(t, n.Await(t.Context(), []routing.Wait{wait})[0])
		must(t, h.Client.FlushDB(t.Context()).Err())
		eventually(t, "it notices", func() bool { _, _, restores, _ := n.mail.told(); return restores > 0 })
		eventually(t, "the wait is back", func() bool {
			found, err := n.waits().Waiting(t.Context(), []routing.Entity{about})
			return err == nil && len(found[0]) == 1 && found[0][0] == wait.Request
		})
		got, err := n.Look(t.Context(), s.ID)
		must(t, err)
		keys := make(map[string]bool)
		for _, row := range got.Rows {
			keys[row.Entity] = true
		}
		want(t, "rows", fmt.Sprint(keys), fmt.Sprint(map[string]bool{about.Key: true, over.Entity: true}))
		want(t, "the wait that is over", h.Client.Exists(t.Context(), "parley:{w:orders:o-2}").Val(), 0)
	}},
	// Who has answered a wait takes it back behind Redis's loss of the answer: it is not
	// taken from who noted it anew.
	{name: "unwait of before", shared: true, tell: func(t *testing.T, h Harness) {
		a, b := h.start(t, table.Options{Node: "a", Open: 10 * time.Second}), h.start(t, table.Options{Node: "b", Grace: time.Hour})
		s := newSession()
		must(t, b.Open(t.Context(), s))
		row := routing.Row{Session: s.ID, N: 1, Service: "orders", ClientID: "1", Entity: "o-1", Deadline: time.Now().Add(time.Minute)}
		b.mail.hold(s, row)
		wait, _ := row.Wait()
		h.renewed(t, a, b)
		a.wire.Cut()
		a.Unwait(wait.Entity, wait.Request)
		eventually(t, "it cannot", func() bool { return a.Stats().Away })
		must(t, h.Client.FlushDB(t.Context()).Err())
		eventually(t, "the wait is noted anew", func() bool { return h.Client.Exists(t.Context(), "parley:{w:orders:o-1}").Val() == 1 })
		a.wire.Heal()
		eventually(t, "a is back", func() bool { return !a.Stats().Away })
		must(t, a.Open(t.Context(), newSession())) // and so what was queued before
		want(t, "who waits", len(waiting(t, b, wait.Entity)[0]), 1)
	}},
	// Where another Redis answers, the answer to a wait may be lost, and its removal not: who
	// has removed it notes it again, for the event is read again.
	{name: "unwait without the answer", shared: true, tell: func(t *testing.T, h Harness) {
		n := h.start(t, table.Options{Node: "a", Lease: 200 * time.Millisecond})
		s, about := newSession(), routing.Entity{Service: "orders", Key: "o-1"}
		must(t, n.Open(t.Context(), s))
		wait := waitOf(s, 1, about)
		must(t, n.Await(t.Context(), []routing.Wait{wait})[0])
		n.Unwait(about, wait.Request)
		must(t, n.Open(t.Context(), newSession())) // and so what was queued before
		want(t, "who waits", len(waiting(t, n, about)[0]), 0)
		must(t, h.Client.FlushDB(t.Context()).Err())
		eventually(t, "it is noted again", func() bool { return h.Client.HExists(t.Context(), "parley:{w:orders:o-1}", string(wait.Request)).Val() })
	}},
	// With Redis away a wait is refused soon, and looking for waits is an error.
	{name: "waits away", shared: true, tell: func(t *testing.T, h Harness) {
		n := h.start(t, table.Options{Node: "a", Timeout: 300 * time.Millisecond})
		s, about := newSession(), routing.Entity{Service: "orders", Key: "o-1"}
		must(t, n.Open(t.Context(), s))
		h.Cut()
		defer h.Heal()
		if err := n.Await(t.Context(), []routing.Wait{waitOf(s, 1, about)})[0]; err == nil {
			t.Error("it says that the wait is there")
		}
		if _, err := n.waits().Waiting(t.Context(), []routing.Entity{about}); err == nil {
			t.Error("it says that nobody waits")
		}
	}},
}

// awaiter is a table as a consumer of events uses it.
type awaiter interface {
	Waiting(ctx context.Context, about []routing.Entity) ([][]routing.RequestID, error)
}

func (n *running) waits() awaiter { return n.Node.(awaiter) }

func waitOf(s routing.SessionRow, n uint64, about routing.Entity) routing.Wait {
	w, _ := routing.Row{Session: s.ID, N: n, Service: about.Service, Entity: about.Key, Deadline: time.Now().Add(20 * time.Second)}.Wait()
	return w
}

func waiting(t *testing.T, n *running, about ...routing.Entity) [][]routing.RequestID {
	t.Helper()
	found, err := n.waits().Waiting(t.Context(), about)
	must(t, err)
	return found
}
