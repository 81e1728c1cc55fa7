package routing

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// plainPart is a reply without a number, as the record at an offset, with what its
// consumer knows to stand before it: -1 for nothing.
func plainPart(id RequestID, offset, after int64, final bool) *Reply {
	r := answer(id, offset)
	r.Final, r.After = final, after+1
	return r
}

// offsets is what a client has got of a request: where it stands and its number.
func offsets(c *client, clientID string) (all []string) {
	for _, d := range c.outcomes() {
		if d.ClientID == clientID && d.Reply != nil {
			all = append(all, fmt.Sprintf("%d is %d", d.Reply.From.Offset, d.N))
		}
	}
	return all
}

// Parts without numbers that overtake each other are put in order by where they stand,
// as far as their consumer knew what is before them. What comes twice counts once, and
// one that nothing is missing before waits for nothing, be it the first or the only one.
func TestPartsByPlace(t *testing.T) {
	b := newBench(t, Limits{})
	s, c := b.open(t, true)
	id, _ := s.Submit(call("1"), nil)
	from := func(r *Reply) *Reply {
		r.Receipt, r.Token = b.received, Token{B: r.From.Offset}
		return r
	}
	b.deliver(t, from(plainPart(id, 10, -1, false)), from(plainPart(id, 40, 30, true)), from(plainPart(id, 30, 20, false)), from(plainPart(id, 30, -1, false)))
	want(t, "before the gap", offsets(c, "1"), []string{"10 is 0"})
	b.deliver(t, from(plainPart(id, 10, -1, false)), from(plainPart(id, 20, 10, false)))
	want(t, "all", offsets(c, "1"), []string{"10 is 0", "20 is 1", "30 is 2", "40 is 3"})
	s.Ack(c, 4)
	want(t, "settled", len(b.received.offsets()), 6)
	only, _ := s.Submit(call("2"), nil)
	b.deliver(t, from(plainPart(only, 50, -1, true)))
	want(t, "the only one", offsets(c, "2"), []string{"50 is 0"})
}

// The predecessor of a part does not come. Where the client has said that it has more than
// this node has counted, that may be among it, and the part is delivered after Limits.Gap,
// with the number that follows on what the client has. Where it has not, the request ends,
// as one with numbers does.
func TestPredecessorIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		a, _ := w.start(t, "a", &topic{ack: true}, Limits{})
		c := &client{}
		s, _ := a.Open(t.Context(), OpenSession{Sink: c, Acks: true})
		id, _ := s.Submit(call("1"), nil)
		_, c = goOn(t, a, s, StreamAt{ClientID: "1", Next: 2, Credit: -1})
		a.Deliver(t.Context(), []*Reply{plainPart(id, 30, 20, false)})
		time.Sleep(9 * time.Second)
		synctest.Wait()
		want(t, "in time", got(c), nil)
		time.Sleep(2 * time.Second)
		a.Deliver(t.Context(), []*Reply{plainPart(id, 50, 40, true)})
		time.Sleep(9 * time.Second)
		want(t, "then", got(c), []string{"1.2"})
		time.Sleep(2 * time.Second)
		want(t, "at last", got(c), []string{"1.2", "1:internal/done"})
		want(t, "open", a.OpenRequests(), 0)
	})
}

// goOn resumes a session with what its client says of a stream.
func goOn(t *testing.T, at *Router, s *Session, stream StreamAt) (*Session, *client) {
	t.Helper()
	c := &client{}
	s, _, err := at.Resume(t.Context(), ResumeSession{ID: s.id, Secret: s.secret, Open: []string{stream.ClientID}, Streams: []StreamAt{stream}, Sink: c})
	if err != nil {
		t.Fatal(err)
	}
	return s, c
}

// inheriting is the cluster of the tests below: two parts without numbers have come to
// the node a, which has the session, from b; c is the node where it goes on, and where
// the partition is read on.
func inheriting(t *testing.T) (w *world, nodes []*Router, kill func(), s *Session, id RequestID) {
	return inheritingParts(t, plainPart)
}

func inheritingParts(t *testing.T, part func(id RequestID, offset, after int64, final bool) *Reply) (w *world, nodes []*Router, kill func(), s *Session, id RequestID) {
	w = newWorld()
	for _, name := range []NodeID{"a", "b", "c"} {
		r, k := w.start(t, name, &topic{ack: true}, Limits{})
		if nodes = append(nodes, r); name == "a" {
			kill = k
		}
	}
	s, _ = nodes[0].Open(t.Context(), OpenSession{Sink: &client{}, Acks: true})
	id, _ = s.Submit(call("1"), nil)
	nodes[1].Deliver(t.Context(), []*Reply{part(id, 0, -1, false), part(id, 1, 0, false)})
	synctest.Wait()
	return w, nodes, kill, s, id
}

// A node dies with parts in its inbox. The client goes on elsewhere before that is routed
// again, and where it goes on the next parts are consumed, by who cannot know what stands
// before them: they wait until it was. Replies to which no stream was mentioned do not.
func TestHeirWaitsForTheBurial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, nodes, kill, s, id := inheriting(t)
		other, _ := s.Submit(call("2"), nil)
		kill()
		s, c := goOn(t, nodes[2], s, StreamAt{ClientID: "1", Credit: -1})
		nodes[2].Deliver(t.Context(), []*Reply{plainPart(id, 2, -1, false), plainPart(id, 3, 2, true), plainPart(other, 4, -1, true)})
		time.Sleep(time.Second)
		synctest.Wait()
		want(t, "before the burial", offsets(c, "1"), nil)
		want(t, "another request", offsets(c, "2"), []string{"4 is 0"})
		w.bury("a")
		time.Sleep(time.Second)
		want(t, "then", offsets(c, "1"), []string{"0 is 0", "1 is 1", "2 is 2", "3 is 3"})
		s.Ack(c, s.seq)
		synctest.Wait()
		want(t, "left", w.rows(s.id), 0)
	})
}

// Nobody routes the dead node's inbox again, for longer than Limits.Gap, and then somebody
// does: the parts wait for it, be they numbered or not, until the request's own deadline.
func TestHeirWaitsLong(t *testing.T) {
	for _, numbered := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			part := func(id RequestID, offset, after int64, final bool) *Reply {
				r := plainPart(id, offset, after, final)
				if numbered {
					r.Place = int(offset) + 1
				}
				return r
			}
			w, nodes, kill, s, id := inheritingParts(t, part)
			kill()
			_, c := goOn(t, nodes[2], s, StreamAt{ClientID: "1", Credit: -1})
			nodes[2].Deliver(t.Context(), []*Reply{part(id, 2, -1, false), part(id, 3, 2, false)})
			time.Sleep(45 * time.Second)
			synctest.Wait()
			want(t, "for long", got(c), nil)
			w.bury("a")
			time.Sleep(time.Second)
			want(t, "then", got(c), []string{"1.0", "1.1", "1.2", "1.3"})
			time.Sleep(time.Minute)
			want(t, "at the deadline", got(c), []string{"1.0", "1.1", "1.2", "1.3", "1:timeout/unknown"})
		})
	}
}

// All has come that others had, and a part is missing still: it is lost, and the client is
// told so after Limits.Gap. What comes behind it in that time goes with it.
func TestInheritanceHasAGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, nodes, _, s, id := inheriting(t)
		w.slow = func() time.Duration { return 20 * time.Millisecond }
		s, c := goOn(t, nodes[2], s, StreamAt{ClientID: "1", Credit: -1})
		nodes[2].Deliver(t.Context(), []*Reply{plainPart(id, 7, 6, false), plainPart(id, 8, 7, false)})
		time.Sleep(9 * time.Second)
		want(t, "in time", got(c), []string{"1.0", "1.1"})
		time.Sleep(2 * time.Second)
		want(t, "then", got(c), []string{"1.0", "1.1", "1:internal/unknown"})
		s.Ack(c, s.seq)
		synctest.Wait()
		want(t, "left", w.rows(s.id), 0)
	})
}

// A node that lives hears late that it has lost the session: the parts that are consumed
// where it went wait for those that it hands on. Later ones wait for nothing.
func TestHeirWaitsForTheLiving(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, nodes, _, s, id := inheriting(t)
		w.slow = func() time.Duration { return 20 * time.Millisecond }
		s, c := goOn(t, nodes[2], s, StreamAt{ClientID: "1", Credit: -1})
		nodes[2].Deliver(t.Context(), []*Reply{plainPart(id, 2, -1, false), plainPart(id, 3, 2, false)})
		want(t, "at first", offsets(c, "1"), nil)
		time.Sleep(time.Second)
		want(t, "then", offsets(c, "1"), []string{"0 is 0", "1 is 1", "2 is 2", "3 is 3"})
		nodes[2].Deliver(t.Context(), []*Reply{plainPart(id, 9, -1, true)})
		want(t, "at once", offsets(c, "1")[4:], []string{"9 is 4"})
		s.Ack(c, s.seq)
		synctest.Wait()
		want(t, "left", w.rows(s.id)+len(w.inbox["a"])+len(w.inbox["c"]), 0)
	})
}

// A partition comes to a node while the table is away, and parts of an answer that was
// asked for before stand in the node's inbox, or wait elsewhere to go there: newer parts
// wait for them. What was asked for since waits for nothing, nor does a single reply.
func TestPartitionComesWithoutATable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		a, _ := w.start(t, "a", &topic{ack: true}, Limits{})
		b, _ := w.start(t, "b", &topic{ack: true}, Limits{})
		c := &client{}
		s, _ := a.Open(t.Context(), OpenSession{Sink: c, Acks: true})
		one, _ := s.Submit(call("1"), nil)
		two, _ := s.Submit(call("2"), nil)
		a.Deliver(t.Context(), nil) // it has its first partitions
		w.sever("a")
		b.Deliver(t.Context(), []*Reply{plainPart(one, 0, -1, false), plainPart(one, 1, 0, false)})
		time.Sleep(time.Second)
		a.SetHomes(NewHomes(4, []int32{0, 1, 2}))
		a.Deliver(t.Context(), []*Reply{plainPart(one, 2, -1, false)})
		time.Sleep(time.Millisecond)
		three, _ := s.Submit(call("3"), nil)
		a.Deliver(t.Context(), []*Reply{plainPart(two, 3, -1, true), plainPart(three, 4, -1, false), plainPart(three, 5, 4, true)})
		want(t, "a single reply", offsets(c, "2"), []string{"3 is 0"})
		want(t, "asked for since", offsets(c, "3"), []string{"4 is 0", "5 is 1"})
		time.Sleep(time.Second)
		want(t, "a part, while the table is away", offsets(c, "1"), nil)
		w.restore("a")
		time.Sleep(time.Second)
		want(t, "then", offsets(c, "1"), []string{"0 is 0", "1 is 1", "2 is 2"})
		a.Deliver(t.Context(), []*Reply{plainPart(one, 9, -1, true)})
		want(t, "at once", offsets(c, "1")[3:], []string{"9 is 3"})
	})
}

// A part waits, as its consumer does not know what stands before it, while another copy of
// it comes by a node that does, and is delivered. Both are settled when it is acknowledged,
// and none before.
func TestBothCopiesAreSettled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		a, kill := w.start(t, "a", &topic{ack: true}, Limits{})
		b, _ := w.start(t, "b", &topic{ack: true}, Limits{})
		c := &client{}
		s, _ := a.Open(t.Context(), OpenSession{Sink: c, Acks: true})
		id, _ := s.Submit(call("1"), nil)
		a.Deliver(t.Context(), []*Reply{plainPart(id, 0, -1, false)})
		s.Ack(c, 1)
		kill()
		s, c = goOn(t, b, s, StreamAt{ClientID: "1", Next: 1, Credit: -1})
		consumed, relayed := &partition{}, &partition{}
		one, two := plainPart(id, 1, -1, false), plainPart(id, 1, 0, false)
		one.Receipt, two.Receipt = consumed, relayed
		b.Deliver(t.Context(), []*Reply{one})
		b.DeliverRelayed([]*Reply{two})
		w.bury("a")
		time.Sleep(time.Second)
		synctest.Wait()
		want(t, "delivered", offsets(c, "1"), []string{"1 is 1"})
		want(t, "settled", len(consumed.offsets())+len(relayed.offsets()), 0)
		s.Ack(c, 1)
		synctest.Wait()
		want(t, "then", len(consumed.offsets())+len(relayed.offsets()), 2)
	})
}

// The table holds parts in another order than theirs, as some of them were held by who
// routed a dead node's inbox: a client that comes back gets them in theirs.
func TestHeldInDisorder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		a, _ := w.start(t, "a", &topic{ack: true}, Limits{})
		s, _ := a.Open(t.Context(), OpenSession{Sink: &client{}, Acks: true})
		id, _ := s.Submit(call("1"), nil)
		for offset := range int64(4) {
			a.Deliver(t.Context(), []*Reply{plainPart(id, offset, offset-1, false)})
		}
		a.Flush(t.Context())
		w.mu.Lock()
		slices.Reverse(w.sessions[s.id].held)
		w.mu.Unlock()
		_, c := goOn(t, a, s, StreamAt{ClientID: "1", Credit: -1})
		want(t, "in order", offsets(c, "1"), []string{"0 is 0", "1 is 1", "2 is 2", "3 is 3"})
	})
}

// A client has parts that it has not acknowledged, and says so where it goes on. They
// come again after newer ones, and are dropped; then that node dies too. The next one
// does not wait for them, though its client has no more to say: it has the end.
func TestWhatAClientHasIsKnownLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		a, killA := w.start(t, "a", &topic{ack: true}, Limits{})
		b, killB := w.start(t, "b", &topic{ack: true}, Limits{})
		s, _ := a.Open(t.Context(), OpenSession{Sink: &client{}, Acks: true})
		id, _ := s.Submit(call("1"), nil)
		part := func(n int, final bool) *Reply {
			r := answer(id, int64(n))
			r.Place, r.Final = n+1, final
			return r
		}
		a.Deliver(t.Context(), []*Reply{part(0, false), part(1, false)})
		killA()
		w.bury("a")
		s, c := goOn(t, b, s, StreamAt{ClientID: "1", Next: 2, Credit: -1})
		b.Deliver(t.Context(), []*Reply{part(2, false), part(3, true), part(0, false), part(1, false)})
		want(t, "at the second node", offsets(c, "1"), []string{"2 is 2", "3 is 3"})
		d, _ := w.start(t, "d", &topic{ack: true}, Limits{})
		killB()
		w.bury("b")
		s, c, _ = resume(t, d, s)
		d.Deliver(t.Context(), []*Reply{part(2, false), part(3, true)})
		want(t, "at the third", offsets(c, "1"), []string{"2 is 2", "3 is 3"})
		s.Ack(c, s.seq)
		synctest.Wait()
		want(t, "rows", w.rows(s.id), 0)
	})
}

// A client acknowledges at another node what this one has delivered too, and comes back
// before this one has heard. What this one then notes of the stream, as its client comes
// and as it acknowledges, is no less than what the other has noted: the next owner counts
// on from there.
func TestProgressOnlyGrows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, nodes, _, s, id := inheriting(t)
		w.deaf = map[NodeID]bool{"a": true}
		s2, c := goOn(t, nodes[2], s, StreamAt{ClientID: "1", Credit: -1})
		for n := range 2 {
			r := plainPart(id, int64(n), -1, false)
			r.Place = n + 1
			nodes[2].DeliverRelayed([]*Reply{r})
		}
		s2.Ack(c, 2)
		s, c = goOn(t, nodes[0], s, StreamAt{ClientID: "1", Next: 5, Credit: -1})
		for range 2 {
			for _, row := range w.sessions[s.id].rows {
				want(t, "noted", *row.Had, Progress{Parts: 2, Newest: answer(id, 1).From, Said: 5})
			}
			s.Ack(c, 1)
			synctest.Wait()
		}
	})
}

// A part without a number is kept where it came from until its acknowledgement is noted:
// else the next owner, if this one dies in between, would count from too few, and take new
// parts for old ones.
func TestPartsAreKeptUntilTheyAreNoted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.lag = 50 * time.Millisecond
		a, _ := w.start(t, "a", &topic{ack: true}, Limits{})
		c := &client{}
		s, _ := a.Open(t.Context(), OpenSession{Sink: c, Acks: true})
		id, _ := s.Submit(call("1"), nil)
		from := &partition{}
		for offset := range int64(4) {
			r := plainPart(id, offset, offset-1, offset == 3)
			r.Receipt, r.Token = from, Token{B: offset}
			a.Deliver(t.Context(), []*Reply{r})
		}
		s.Ack(c, 2)
		time.Sleep(40 * time.Millisecond)
		want(t, "before", from.offsets(), nil)
		time.Sleep(20 * time.Millisecond)
		want(t, "then", from.offsets(), []int64{0, 1})
		s.Ack(c, 4)
		want(t, "with the outcome", len(from.offsets()), 4)
	})
}
