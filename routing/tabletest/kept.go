package tabletest

import (
	"errors"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"parley/routing"
	"parley/routing/table"
)

// kept are the stories of requests whose answers are collected.
var kept = []story{
	// Replies to a kept request are held, whoever consumes them, and can be read from
	// any position as often as its subject likes; nothing comes after the final one.
	{name: "collect", tell: collect},
	// Nobody else learns that there is such a request, nor anybody after its time.
	{name: "not collected", tell: func(t *testing.T, h Harness) {
		n := h.start(t, table.Options{Node: "a"})
		k := newKept("ann", "")
		keep(t, n, k)
		short := newKept("ann", "")
		short.Life = 20 * time.Millisecond
		keep(t, n, short)
		want(t, "pending", collectOne(t, n, k.ID, "ann", 0).State, routing.Pending)
		want(t, "service", collectOne(t, n, k.ID, "ann", 0).Service, "orders")
		want(t, "another subject", collectOne(t, n, k.ID, "eve", 0).State, routing.Gone)
		want(t, "another salt", collectOne(t, n, k.ID[:len(k.ID)-1]+"Z", "ann", 0).State, routing.Gone)
		want(t, "unknown", collectOne(t, n, newKept("", "").ID, "ann", 0).State, routing.Gone)
		eventually(t, "its time is over", func() bool {
			pass(h, 20*time.Millisecond)
			return collectOne(t, n, short.ID, "ann", 0).State == routing.Gone
		})
		want(t, "a reply then", n.Route(t.Context(), repliesTo(short, 0, 1))[0].Fate, routing.Dropped)
	}},
	// A key belongs to the first who claims it: the same again joins, another is refused.
	{name: "keys", tell: func(t *testing.T, h Harness) {
		n := h.start(t, table.Options{Node: "a"})
		first, same, other := newKept("ann", "k"), newKept("ann", "k"), newKept("ann", "k")
		other.Digest = "else"
		keep(t, n, first)
		got := n.Keep(t.Context(), []*routing.Kept{same, other, newKept("ann", "l")}, 100)
		want(t, "joins", got[0], routing.Keeping{ID: first.ID})
		want(t, "refused", got[1].Err, routing.ErrKeyUsed)
		want(t, "another key", got[2].Err, nil)
		want(t, "who joined left nothing", collectOne(t, n, same.ID, "ann", 0).State, routing.Gone)
		want(t, "given up", conclude(t, n, first, routing.NotSent), nil)
		keep(t, n, same)
		// Who gives it up a second time does not take it from who has it now.
		want(t, "twice", conclude(t, n, first, routing.NotSent), routing.ErrConcluded)
		got = n.Keep(t.Context(), []*routing.Kept{newKept("ann", "k")}, 100)
		want(t, "still another's", got[0].ID, same.ID)
	}},
	// No more are kept than may be, until those whose time is over have gone.
	{name: "too many kept", tell: func(t *testing.T, h Harness) {
		n := h.start(t, table.Options{Node: "a"})
		var all []*routing.Kept
		for range 5 {
			k := newKept("ann", "")
			k.Life = 50 * time.Millisecond
			all = append(all, k)
		}
		for i, got := range n.Keep(t.Context(), all, 3) {
			want(t, "error", got.Err, []error{nil, nil, nil, routing.ErrTooManyKept, routing.ErrTooManyKept}[i])
		}
		want(t, "left nothing", collectOne(t, n, all[4].ID, "ann", 0).State, routing.Gone)
		eventually(t, "there is room again", func() bool {
			k := newKept("ann", "")
			k.Life = 50 * time.Millisecond
			return n.Keep(t.Context(), []*routing.Kept{k}, 3)[0].Err == nil
		})
	}},
	// A request is cancelled: that is its outcome, and its reply is late. One that was
	// answered cannot be cancelled any more, nor one of another subject.
	{name: "conclude", tell: func(t *testing.T, h Harness) {
		n := h.start(t, table.Options{Node: "a"})
		k, answered := newKept("ann", "c"), newKept("ann", "")
		keep(t, n, k)
		keep(t, n, answered)
		eve := *k
		eve.Subject = "eve"
		want(t, "another's", conclude(t, n, &eve, routing.Unknown), routing.ErrNotKept)
		want(t, "cancel", conclude(t, n, k, routing.Unknown), nil)
		want(t, "twice", conclude(t, n, k, routing.Unknown), routing.ErrConcluded)
		want(t, "reply", n.Route(t.Context(), repliesTo(k, 0, 1))[0], routing.Verdict{Fate: routing.Dropped, Drop: routing.DropLate})
		c := collectOne(t, n, k.ID, "ann", 0)
		want(t, "state", c.State, routing.Over)
		want(t, "outcome", *c.Err, routing.Error{Word: routing.Cancelled, Message: "it is over now", Outcome: routing.Unknown})
		want(t, "reply", n.Route(t.Context(), final(repliesTo(answered, 0, 1)))[0].Fate, routing.Held)
		want(t, "too late", conclude(t, n, answered, routing.Unknown), routing.ErrConcluded)
		want(t, "unknown", conclude(t, n, newKept("ann", ""), routing.Unknown), routing.ErrNotKept)
	}},
	// More than is held of one request ends it, as the asker is told.
	{name: "too much for one", tell: func(t *testing.T, h Harness) {
		n := h.start(t, table.Options{Node: "a"})
		k := newKept("ann", "")
		keep(t, n, k)
		replies := repliesTo(k, 0, 5)
		for i := range replies {
			replies[i].Body = []byte(strings.Repeat("x", 1<<20-1000))
		}
		verdicts := n.Route(t.Context(), final(replies))
		want(t, "the fourth", verdicts[3].Fate, routing.Held)
		want(t, "the fifth", verdicts[4].Drop, routing.DropHeldFull)
		got := 0
		for {
			c := collectOne(t, n, k.ID, "ann", got)
			if got += len(c.Replies); len(c.Replies) == 0 {
				want(t, "state", c.State, routing.Over)
				want(t, "outcome", c.Err.Word, routing.TooLarge)
				break
			}
		}
		want(t, "replies", got, 4)
	}},
	// What the service's record was keyed by is known to whoever cancels, also once the
	// request has its outcome.
	{name: "record key", tell: func(t *testing.T, h Harness) {
		n := h.start(t, table.Options{Node: "a"})
		k, without := newKept("ann", ""), newKept("ann", "")
		k.Key = "o-1 \x00\xff"
		keep(t, n, k)
		keep(t, n, without)
		want(t, "pending", collectOne(t, n, k.ID, "ann", 0).Key, k.Key)
		want(t, "another subject", collectOne(t, n, k.ID, "eve", 0).Key, "")
		want(t, "none", collectOne(t, n, without.ID, "ann", 0).Key, "")
		want(t, "reply", n.Route(t.Context(), final(repliesTo(k, 0, 1)))[0].Fate, routing.Held)
		c := collectOne(t, n, k.ID, "ann", 0)
		want(t, "answered", c.Key, k.Key)
		want(t, "replies", len(c.Replies), 1)
	}},
	// What the event that answers is to be about is known to whoever cancels; the wait is
	// as any other, and ends with its request where nobody takes it back.
	{name: "kept for an event", tell: func(t *testing.T, h Harness) {
		n := h.start(t, table.Options{Node: "a"})
		k := newKept("ann", "")
		k.Row.Entity, k.ID = "o 1@x;y", routing.RequestID(k.Row.Session)+".1"
		k.Life = 200 * time.Millisecond
		k.Row.Deadline = time.Now().Add(-10*time.Second + k.Life) // a wait is kept for ten seconds longer
		keep(t, n, k)
		wait, _ := k.Row.Wait()
		want(t, "whose", wait.Request, k.ID)
		must(t, n.Await(t.Context(), []routing.Wait{wait})[0])
		want(t, "waits", len(waiting(t, n, wait.Entity)[0]), 1)
		c := collectOne(t, n, k.ID, "ann", 0)
		want(t, "about", routing.Entity{Service: c.Service, Key: c.Entity}, wait.Entity)
		eventually(t, "it is forgotten", func() bool {
			pass(h, 20*time.Millisecond)
			n.Keep(t.Context(), []*routing.Kept{newKept("ann", "")}, 1000) // a table in memory looks then
			return len(waiting(t, n, wait.Entity)[0]) == 0
		})
	}},
	// What Kafka has said of a request is known at all nodes soon; a reply says that it has it.
	// Nothing is noted of one that there is no longer.
	{name: "heard", tell: func(t *testing.T, h Harness) {
		a := h.start(t, table.Options{Node: "a"})
		b := a
		if h.Client != nil {
			b = h.start(t, table.Options{Node: "b"})
		}
		sure, doubted, quiet, gone := newKept("ann", "k"), newKept("ann", "l"), newKept("ann", "m"), newKept("ann", "")
		keep(t, a, sure)
		keep(t, a, doubted)
		keep(t, a, quiet)
		want(t, "before", collectOne(t, b, sure.ID, "ann", 0).Arrival, routing.Unheard)
		noted := make(waiter, 4)
		a.Heard(sure.ID, routing.Arrived, noted)
		a.Heard(doubted.ID, routing.Doubtful, noted)
		a.Heard(gone.ID, routing.Arrived, noted)
		a.Heard(quiet.ID+"x", routing.Arrived, noted)
		for range cap(noted) {
			<-noted
		}
		b.Heard(sure.ID, routing.Doubtful, noted)
		<-noted
		want(t, "sure", collectOne(t, b, sure.ID, "ann", 0).Arrival, routing.Arrived)
		want(t, "doubted", collectOne(t, b, doubted.ID, "ann", 0).Arrival, routing.Doubtful)
		want(t, "another salt", collectOne(t, b, quiet.ID, "ann", 0).Arrival, routing.Unheard)
		want(t, "gone", collectOne(t, b, gone.ID, "ann", 0).State, routing.Gone)
		if h.Client != nil {
			want(t, "left", h.Client.Exists(t.Context(), "parley:{"+string(gone.Row.Session)+"}").Val(), 0)
		}
		want(t, "part", b.Route(t.Context(), repliesTo(doubted, 0, 1))[0].Fate, routing.Held)
		c := collectOne(t, b, doubted.ID, "ann", 1)
		want(t, "with a part", c.Arrival, routing.Arrived)
		want(t, "and no more", len(c.Replies), 0)
	}},
	// Nodes claim the same keys at once: each key has one request, and all know it.
	{name: "keys at once", tell: keysAtOnce},
	// A client asks about a request of its session that it makes on another node.
	{name: "collect from a session", shared: true, tell: func(t *testing.T, h Harness) {
		a, b := h.start(t, table.Options{Node: "a"}), h.start(t, table.Options{Node: "b"})
		s, plain := newSession(), newSession()
		plain.Secret = nil
		id := routing.RequestID(string(s.ID) + ".1ab")
		for _, s := range []routing.SessionRow{s, plain} {
			must(t, a.Open(t.Context(), s))
			a.Claim(routing.Row{Session: s.ID, N: 1, Service: "orders", Deadline: time.Now().Add(time.Minute)}, nil)
		}
		eventually(t, "it is pending", func() bool { return collectOne(t, b, id, s.Subject, 0).State == routing.Pending })
		want(t, "of a plain one", collectOne(t, b, routing.RequestID(string(plain.ID)+".1ab"), plain.Subject, 0).State, routing.Gone)
		held := holdings(s, 1, 0, 3)
		for i := range held {
			held[i].Reply.ID = id
		}
		held[0].Reply.ID = routing.RequestID(string(s.ID) + ".2cd")
		held[2].Reply.Final = true
		a.Hold(t.Context(), held)
		c := collectOne(t, b, id, s.Subject, 0)
		want(t, "state", c.State, routing.Over)
		want(t, "replies", len(c.Replies), 2)
		want(t, "from 1", len(collectOne(t, b, id, s.Subject, 1).Replies), 1)
		a.Release(s.ID, 1)
		eventually(t, "it is gone", func() bool { return collectOne(t, b, id, s.Subject, 0).State == routing.Gone })
	}},
	// What a request follows is known to who resumes its session.
	{name: "follow and resume", shared: true, tell: func(t *testing.T, h Harness) {
		a, b := h.start(t, table.Options{Node: "a"}), h.start(t, table.Options{Node: "b"})
		s := newSession()
		must(t, a.Open(t.Context(), s))
		row := routing.Row{Session: s.ID, N: 7, Service: "$/attach", ClientID: `"x y"`, Deadline: time.Now().Add(time.Minute).UTC().Truncate(time.Millisecond), Follows: newKept("", "").ID}
		a.Claim(row, nil)
		eventually(t, "it is written", func() bool { looked, _ := a.Look(t.Context(), s.ID); return len(looked.Rows) == 1 })
		got, err := b.Resume(t.Context(), resumption(s))
		must(t, err)
		want(t, "row", got.Rows[0], row)
	}},
	// With Redis away all is refused, and nothing is kept.
	{name: "kept away", shared: true, tell: func(t *testing.T, h Harness) {
		n := h.start(t, table.Options{Node: "a", Timeout: 200 * time.Millisecond})
		k := newKept("ann", "k")
		keep(t, n, k)
		h.Cut()
		late := newKept("ann", "l")
		want(t, "keep", n.Keep(t.Context(), []*routing.Kept{late}, 100)[0].Err != nil, true)
		want(t, "collect", n.Collect(t.Context(), []routing.Collection{{ID: k.ID, Subject: "ann"}})[0].Failed != nil, true)
		err := conclude(t, n, late, routing.NotSent)
		want(t, "conclude", err != nil && !errors.Is(err, routing.ErrNotKept), true)
		h.Heal()
		eventually(t, "it is back", func() bool { return collectOne(t, n, k.ID, "ann", 0).State == routing.Pending })
	}},
}

func collect(t *testing.T, h Harness) {
	a := h.start(t, table.Options{Node: "a"})
	k := newKept("ann", "")
	keep(t, a, k)
	for _, v := range a.Route(t.Context(), repliesTo(k, 0, 20)) {
		want(t, "fate", v.Fate, routing.Held)
	}
	want(t, "pending", collectOne(t, a, k.ID, "ann", 0).State, routing.Pending)
	rest := final(repliesTo(k, 19, 22))
	for _, v := range a.Route(t.Context(), rest) { // the first of them comes a second time
		want(t, "fate", v.Fate, routing.Held)
	}
	want(t, "after the final one", a.Route(t.Context(), repliesTo(k, 22, 23))[0], routing.Verdict{Fate: routing.Dropped, Drop: routing.DropDuplicate})
	want(t, "the final one again", a.Route(t.Context(), rest[2:])[0].Fate, routing.Held)
	for _, from := range []int{0, 0, 5, 21} {
		c := collectOne(t, a, k.ID, "ann", from)
		want(t, "state", c.State, routing.Over)
		want(t, "replies", len(c.Replies), 22-from)
		for i, reply := range c.Replies {
			want(t, "offset", reply.From.Offset, int64(from+i))
			want(t, "body", string(reply.Body), strconv.Itoa(from+i))
		}
	}
	want(t, "nothing more", len(collectOne(t, a, k.ID, "ann", 22).Replies), 0)
}

func keysAtOnce(t *testing.T, h Harness) {
	keys := 1000
	if testing.Short() {
		keys = 50
	}
	nodes := []*running{h.start(t, table.Options{Node: "a"})}
	if h.Client != nil {
		nodes = append(nodes, h.start(t, table.Options{Node: "b"}), h.start(t, table.Options{Node: "c"}))
	}
	var mu sync.Mutex
	got := make(map[string]map[routing.RequestID]bool)
	var all sync.WaitGroup
	for _, n := range nodes {
		for worker := range 4 {
			all.Go(func() {
				for i := worker * 3; i < worker*3+keys; i++ {
					k := newKept("ann", "key "+strconv.Itoa(i%keys))
					answer := n.Keep(t.Context(), []*routing.Kept{k}, 10*keys)[0]
					for answer.Err != nil && t.Context().Err() == nil { // a slow machine is too late
						answer = n.Keep(t.Context(), []*routing.Kept{k}, 10*keys)[0]
					}
					mu.Lock()
					if got[k.Claim] == nil {
						got[k.Claim] = make(map[routing.RequestID]bool)
					}
					got[k.Claim][answer.ID] = true
					mu.Unlock()
				}
			})
		}
	}
	all.Wait()
	want(t, "keys", len(got), keys)
	for _, ids := range got {
		want(t, "requests of a key", len(ids), 1)
	}
}

// newKept is a request to be kept; claim is "" for none.
func newKept(subject, claim string) *routing.Kept {
	s := newSession()
	return &routing.Kept{
		ID: routing.RequestID(string(s.ID) + ".1abc"), Subject: subject, Life: time.Minute, Claim: claim, Digest: "digest",
		Row: routing.Row{Session: s.ID, N: 1, Service: "orders", Deadline: time.Now().Add(time.Minute)},
	}
}

func keep(t *testing.T, n *running, k *routing.Kept) {
	t.Helper()
	want(t, "kept", n.Keep(t.Context(), []*routing.Kept{k}, 1000)[0], routing.Keeping{ID: k.ID})
}

func conclude(t *testing.T, n *running, k *routing.Kept, outcome routing.Certainty) error {
	return n.Conclude(t.Context(), []routing.Conclusion{{
		ID: k.ID, Subject: k.Subject, Claim: k.Claim, Err: &routing.Error{Word: routing.Cancelled, Message: "it is over now", Outcome: outcome},
	}})[0]
}

// collectOne asks until the table answers.
func collectOne(t *testing.T, n *running, id routing.RequestID, subject string, from int) (c routing.Collected) {
	t.Helper()
	eventually(t, "the table answers", func() bool {
		c = n.Collect(t.Context(), []routing.Collection{{ID: id, Subject: subject, From: from}})[0]
		return c.Failed == nil
	})
	return c
}

// repliesTo are parts of an answer, by their offsets from a to below b.
func repliesTo(k *routing.Kept, a, b int64) (all []*routing.Reply) {
	for i := a; i < b; i++ {
		all = append(all, &routing.Reply{ID: k.ID, Body: []byte(strconv.FormatInt(i, 10)), From: routing.RecordAt{Topic: "replies", Partition: 3, Offset: i}, Consumed: time.Now().Add(-time.Hour)})
	}
	return all
}

// final makes the last one final.
func final(replies []*routing.Reply) []*routing.Reply {
	replies[len(replies)-1].Final = true
	return replies
}

// pass lets time pass where the server's clock stands still by itself.
func pass(h Harness, d time.Duration) {
	if h.Pass != nil {
		h.Pass(d)
	}
}
