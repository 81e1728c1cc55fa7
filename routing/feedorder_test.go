package routing

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// eventLog is a topic of one partition, whose events one session has subscribed to: one
// node reads it at a time, from what is committed on.
type eventLog struct {
	log
	session SessionID
}

func (l *eventLog) write() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.done = append(l.done, false)
}

// move starts a new reader.
func (l *eventLog) move(to *Router) {
	l.mu.Lock()
	l.trail = Trail{}
	for l.at = 0; l.at < len(l.done) && l.done[l.at]; l.at++ {
	}
	l.mu.Unlock()
	to.CatchUp(context.Background())
}

func (l *eventLog) consume(by *Router, most int) {
	for ; l.at < len(l.done) && most > 0; l.at, most = l.at+1, most-1 {
		r := pushTo(l.session, int64(l.at), l)
		l.trail.Tell(l.session, r)
		by.Deliver(context.Background(), []*Reply{r})
	}
}

// eventReader is a client that follows events, and knows those that come again.
type eventReader struct {
	t      *testing.T
	sink   *client
	seen   int
	seq    uint64
	had    map[int64]bool
	newest int64
}

func (f *eventReader) read() {
	all := f.sink.outcomes()
	for _, d := range all[f.seen:] {
		f.seq = d.Seq
		offset := d.Reply.From.Offset
		if f.had[offset] {
			continue
		}
		if offset < f.newest {
			f.t.Errorf("event %d came behind %d", offset, f.newest)
		}
		f.had[offset], f.newest = true, max(f.newest, offset)
	}
	f.seen = len(all)
}

func (f *eventReader) back(at *Router, s *Session) *Session {
	f.read()
	f.sink, f.seen, f.seq = &client{}, 0, 0
	for {
		resumed, _, err := at.Resume(context.Background(), ResumeSession{ID: s.id, Secret: s.secret, Sink: f.sink})
		if err == nil {
			return resumed
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// A subscriber's socket drops, or its node is killed, or its partition moves, again and
// again: every event comes, in order.
func TestEventsStayInOrder(t *testing.T) {
	all := []uint64{
		254,  // a reader died that had sent on what it had read since a session left, and not what it had before
		1092, // a node said that it had handed all on, and was about to have more held
	}
	from, to := seeds(100)
	for seed := from; seed < to; seed++ {
		all = append(all, seed)
	}
	for _, kind := range []string{"fast", "slow"} {
		for _, seed := range all {
			t.Run(fmt.Sprintf("%s %d", kind, seed), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { follows(t, seed, kind == "slow") })
			})
		}
	}
}

// follows is one schedule. Where it is slow, what nodes send each other takes a while, and
// so does the burial of a dead one.
func follows(t *testing.T, seed uint64, slow bool) {
	random := rand.New(rand.NewPCG(seed, 1))
	w := newWorld()
	if slow {
		w.slow, w.thinks = slowly(seed), slowly(seed+1)
	}
	bury := w.undertaker(random, slow)
	nodes, kills := make([]*Router, 3), make([]func(), 3)
	start := func(i int) {
		nodes[i], kills[i] = w.start(t, NodeID(rune('a'+i)), &topic{ack: true}, Limits{Patience: 500 * time.Millisecond})
		nodes[i].feeds["orders.events"] = nil
	}
	for i := range nodes {
		start(i)
	}
	r := &eventReader{t: t, sink: &client{}, had: make(map[int64]bool), newest: -1}
	home, reads := 0, 0
	s, _ := nodes[home].Open(t.Context(), OpenSession{Sink: r.sink, Acks: true})
	if err := subscribed(t, s, orderEvents); err != nil {
		t.Fatal(err)
	}
	events := &eventLog{session: s.id}
	for range 120 {
		switch random.IntN(12) {
		case 0, 1, 2, 3:
			for range random.IntN(6) {
				events.write()
			}
			events.consume(nodes[reads], random.IntN(8))
		case 4, 5:
			if r.read(); r.seq > 0 {
				s.Ack(r.sink, uint64(1+random.Int64N(int64(r.seq))))
			}
		case 6, 7:
			s.Detach(r.sink)
			events.consume(nodes[reads], random.IntN(8))
			home = random.IntN(3)
			s = r.back(nodes[home], s)
			events.consume(nodes[reads], random.IntN(8))
		case 8:
			time.Sleep(time.Duration(random.IntN(1000)) * time.Millisecond)
		case 9:
			kills[home]()
			bury(NodeID(rune('a' + home)))
			dead := home
			home = (home + 1 + random.IntN(2)) % 3
			if reads == dead {
				reads = (dead + 1 + random.IntN(2)) % 3
				events.move(nodes[reads])
			}
			s = r.back(nodes[home], s)
			events.consume(nodes[reads], random.IntN(8))
			start(dead)
		case 10:
			reads = random.IntN(3)
			events.move(nodes[reads])
			events.consume(nodes[reads], random.IntN(8))
		case 11:
			if dead := reads; dead != home {
				kills[dead]()
				bury(NodeID(rune('a' + dead)))
				reads = (dead + 1 + random.IntN(2)) % 3
				events.move(nodes[reads])
				start(dead)
			}
		}
		if random.IntN(2) == 0 {
			synctest.Wait()
		}
	}
	events.consume(nodes[reads], len(events.done))
	wait := 3 * time.Second // less than Limits.FeedGap: nothing waits for that
	if slow {
		wait = 32 * time.Second // where a former owner may not say that it has handed all over
	}
	time.Sleep(wait)
	s = r.back(nodes[home], s)
	time.Sleep(wait)
	synctest.Wait()
	r.read()
	if len(r.had) != len(events.done) {
		t.Errorf("%d events came of %d", len(r.had), len(events.done))
	}
	s.Ack(r.sink, r.seq)
	synctest.Wait()
	want(t, "held", w.held(s.id), 0)
	want(t, "wait", s.waits, 0)
	if i := slices.Index(events.log.done, false); i >= 0 {
		t.Errorf("event %d is not settled", i)
	}
	for _, kill := range kills {
		kill()
	}
	time.Sleep(time.Second)
}

// asTold are events for a session as one reader makes them of a partition.
func asTold(id SessionID, trail *Trail, receipt Receipt, offsets ...int64) (all []*Reply) {
	for _, offset := range offsets {
		r := pushTo(id, offset, receipt)
		trail.Tell(id, r)
		all = append(all, r)
	}
	return all
}

// An event is lost with the Redis that it was relayed through, and newer ones come. They
// wait until it has been read again.
func TestEventLostOnItsWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s, c := newSubscriber(t, Limits{}, false)
		all := asTold(s.ID(), &Trail{}, b.received, 1, 2, 3, 4)
		b.deliver(t, all[0], all[2], all[3])
		time.Sleep(time.Second)
		want(t, "without it", pushed(c), []string{"1"})
		b.deliver(t, asTold(s.ID(), &Trail{}, b.received, 1, 2, 3, 4)...)
		want(t, "read again", pushed(c), []string{"1", "2", "3", "4"})
		s.Wrote(c, 4)
		want(t, "settled", len(b.received.offsets()), 7)
		want(t, "wait", s.waits, 0)
	})
}

// An event that does not come is waited for no longer than Limits.FeedGap, and is delivered
// when it comes after that.
func TestEventThatDoesNotCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		a, _ := w.start(t, "a", &topic{ack: true}, Limits{})
		a.feeds["orders.events"] = nil
		c := &client{}
		s, _ := a.Open(t.Context(), OpenSession{Sink: c, Acks: true})
		if e := subscribed(t, s, orderEvents); e != nil {
			t.Fatal(e)
		}
		all := asTold(s.ID(), &Trail{}, &partition{}, 1, 2, 3, 4, 5)
		a.Deliver(t.Context(), []*Reply{all[0], all[2]})
		time.Sleep(29 * time.Second)
		a.Deliver(t.Context(), all[4:])
		want(t, "in time", pushed(c), []string{"1"})
		want(t, "held", w.held(s.ID()), 2)
		time.Sleep(2 * time.Second)
		want(t, "then", pushed(c), []string{"1", "3"})
		a.Deliver(t.Context(), []*Reply{all[3], all[1]})
		want(t, "late", pushed(c), []string{"1", "3", "4", "5", "2"})
		s.Ack(c, 5)
		synctest.Wait()
		want(t, "held", w.held(s.ID()), 0)
	})
}

// An event that comes late is held as soon as one that has waited for it: were that held
// alone when the node dies, it would be with the next one before the late event is read again.
func TestLateEventIsHeldWithThoseBehindIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		a, _ := w.start(t, "a", &topic{ack: true}, Limits{})
		a.feeds["orders.events"] = nil
		s, _ := a.Open(t.Context(), OpenSession{Sink: &client{}, Acks: true})
		if e := subscribed(t, s, orderEvents); e != nil {
			t.Fatal(e)
		}
		all := asTold(s.ID(), &Trail{}, &partition{}, 1, 2, 3)
		a.Deliver(t.Context(), []*Reply{all[0], all[2]})
		time.Sleep(4 * time.Second)
		a.Deliver(t.Context(), []*Reply{all[1]})
		want(t, "at first", w.held(s.ID()), 0)
		time.Sleep(1100 * time.Millisecond)
		want(t, "held", w.held(s.ID()), 3)
	})
}

// An event is for a take-over that its session waits for. One that is read behind it does
// not overtake it, and where the session is not taken over they go on together.
func TestEventAheadOfATakeOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s, c := newSubscriber(t, Limits{}, true)
		var routed []int64
		b.cluster.judge = func(replies []*Reply) []Verdict {
			for _, r := range replies {
				routed = append(routed, r.From.Offset)
			}
			return judgements(Verdict{Fate: Relayed})(replies)
		}
		s.since = 1
		s.inheritLocked()
		b.deliver(t, b.push(s, 3, "3"))
		s.resumers++
		s.deliver(early{Reply: b.push(s, 1, "1"), epoch: 2}, PathHome)
		b.deliver(t, b.push(s, 2, "2"))
		s.inherited(s.inherits, nil)
		want(t, "at once", pushed(c), nil)
		s.giveUp()
		synctest.Wait()
		want(t, "routed", routed, []int64{1, 2})
	})
}

// Many events wait for one. When it has come they go out as fast as their client takes
// them. Of more than may be unacknowledged none waits.
func TestManyEventsWaitForOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const many = maxPushes + 100
		b, s, c := newSubscriber(t, Limits{}, true)
		trail := &Trail{}
		var offsets []int64
		for offset := range int64(many) {
			offsets = append(offsets, offset)
		}
		all := asTold(s.ID(), trail, b.received, offsets...)
		b.deliver(t, all[1:]...)
		want(t, "at first", len(c.outcomes()), 0)
		b.deliver(t, all[0])
		want(t, "then", len(c.outcomes()), maxPushes)
		s.Ack(c, 60)
		want(t, "after some were taken", len(c.outcomes()), maxPushes+60)
		b.deliver(t, asTold(s.ID(), trail, b.received, many)...)
		elsewhere := b.push(s, many, "x")
		elsewhere.From.Partition++
		elsewhere.ID = PushID(s.ID(), elsewhere.From)
		b.deliver(t, elsewhere)
		want(t, "in another partition", len(c.outcomes()), maxPushes+60)
		s.Ack(c, maxPushes)
		got := c.outcomes()
		want(t, "all", len(got), many+2)
		got = slices.DeleteFunc(got, func(d Delivery) bool { return d.Reply.From.Partition != 1 })
		for i, d := range got {
			if d.Reply.From.Offset != int64(i) || d.Push.Missed != 0 {
				t.Fatalf("event %d is %d, missed %d", i, d.Reply.From.Offset, d.Push.Missed)
			}
		}
		s.Ack(c, many+2)
		want(t, "settled", len(b.received.offsets()), many+2)

		big := asTold(s.ID(), trail, b.received, 2000, 2001, 2002)
		for _, r := range big {
			r.Body = make([]byte, 600<<10)
		}
		b.deliver(t, big[1:]...)
		want(t, "too large to wait", len(c.outcomes()), many+3) // and the other is to be held
		want(t, "wait", s.waits, 0)
	})
}

// A partition comes to the node of a subscriber that does not acknowledge, as an
// EventSource's, while older events stand in the node's inbox: they come first, be the
// table there or away. Such a client's position is that of the newest it has, so it would
// miss what came behind.
func TestPartitionOfEventsComes(t *testing.T) {
	for _, away := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld()
			w.slow = func() time.Duration { return 20 * time.Millisecond }
			a, _ := w.start(t, "a", &topic{ack: true}, Limits{})
			b, _ := w.start(t, "b", &topic{ack: true}, Limits{})
			a.feeds["orders.events"] = nil
			c := &client{}
			s, _ := a.Open(t.Context(), OpenSession{Sink: c})
			if e := subscribed(t, s, orderEvents); e != nil {
				t.Fatal(e)
			}
			events := &partition{}
			a.Deliver(t.Context(), nil) // it has its first partitions of replies
			if away {
				w.sever("a")
			}
			b.Deliver(t.Context(), asTold(s.ID(), &Trail{}, events, 0, 1))
			time.Sleep(time.Millisecond)
			a.CatchUp(t.Context())
			a.Deliver(t.Context(), asTold(s.ID(), &Trail{}, events, 2, 3))
			time.Sleep(time.Second)
			if away {
				want(t, "while the table is away", pushed(c), nil)
				w.restore("a")
				time.Sleep(time.Second)
			}
			want(t, "in order", pushed(c), []string{"0", "1", "2", "3"})
		})
	}
}
