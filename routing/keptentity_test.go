package routing

import (
	"testing"
	"testing/synctest"
	"time"
)

// checkouts makes the service checkout, which events about the call's record key
// answer, one of a router's.
func checkouts(r *Router) {
	r.services["checkout"] = &Service{
		Name: "checkout", Topic: "checkout.requests", Timeout: time.Second, MaxTimeout: time.Minute, Cancel: true,
		Entity: func(c *Call) (string, error) { return string(c.Key), nil },
	}
}

// keyedCheckout is a call of checkout with an idempotency key.
func keyedCheckout(id, about, key string) *Call {
	c := checkout(id, about)
	c.IdempotencyKey = key
	return c
}

// watched is a topic that looks who waits when a request comes.
type watched struct {
	topic
	world *world
	seen  [][]RequestID
}

func (p *watched) Produce(q *Request) {
	p.seen = append(p.seen, p.world.waiting(q.Entity))
	p.topic.Produce(q)
}

// A request of a service that events answer is kept, its wait in the table before it is
// in the topic. Its node is killed; the event is consumed elsewhere, and is collected
// there, and by a socket that shows the same key, which makes no second request.
func TestKeptForAnEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		out := &watched{topic: topic{ack: true}, world: w}
		a, kill := w.start(t, "a", out, Limits{})
		b, _ := w.start(t, "b", &topic{}, Limits{})
		checkouts(a)
		checkouts(b)
		id := keepOne(t, a, keyedCheckout("", "o-1", "k"), "")
		q := out.last()
		if q.ID != id || q.Entity != "o-1" || q.ReplyPartition != NoPartition {
			t.Errorf("produced %+v", q)
		}
		want(t, "waits before the produce", len(out.seen[0]), 1)
		want(t, "whose", out.seen[0][0], id)
		want(t, "joined at b", keepOne(t, b, keyedCheckout("", "o-1", "k"), ""), id)
		kill()
		c := &client{}
		s, err := b.Open(t.Context(), OpenSession{Sink: c, Acks: true})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Submit(keyedCheckout("7", "o-1", "k"), nil); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		p := &partition{}
		event := answer(w.waiting("o-1")[0], 4)
		event.Receipt = p
		b.Deliver(t.Context(), []*Reply{event})
		want(t, "collected", awaitFor(t, b, Collection{ID: id}, time.Minute).State, Over)
		synctest.Wait()
		want(t, "kept, so committed", len(p.offsets()), 1)
		wantAll(t, "on the socket", bodies(c), "7:1")
		want(t, "produced", out.count(), 1)
	})
}

// Where the table cannot be told what a kept request waits for, it is not sent: its key
// is free again, and whoever asks the next time makes it. Nothing is left that waits.
func TestKeptWithoutItsWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		out := &topic{ack: true}
		a, _ := w.start(t, "a", out, Limits{})
		checkouts(a)
		w.refuseWaits(errCut)
		_, err := a.Keep(t.Context(), keyedCheckout("", "o-1", "k"), nil)
		want(t, "word", word(err), Unavailable)
		want(t, "outcome", err.Outcome, NotSent)
		w.refuseWaits(nil)
		id := keepOne(t, a, keyedCheckout("", "o-1", "k"), "")
		synctest.Wait()
		want(t, "who waits", w.waiting("o-1"), []RequestID{id})
		want(t, "produced", out.count(), 1)
		_, err = a.Keep(t.Context(), keyedCheckout("", "", "l"), nil)
		want(t, "about nothing", word(err), InvalidParams)
		synctest.Wait() // who has been told is counted for a moment more
		want(t, "in flight", a.OpenRequests(), 0)
	})
}

// A kept request is cancelled at another node than made it: no event answers it any
// longer, one that was on its way is late, and its service is told under the record's key.
func TestCancelKeptForAnEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		a, _ := w.start(t, "a", &topic{ack: true}, Limits{})
		told := &topic{ack: true}
		b, _ := w.start(t, "b", told, Limits{})
		checkouts(a)
		checkouts(b)
		seen := &counted{}
		b.observer = seen
		id := keepOne(t, a, checkout("", "o-1"), "")
		want(t, "waits", len(w.waiting("o-1")), 1)
		want(t, "cancel", b.Cancel(t.Context(), id, ""), nil)
		synctest.Wait()
		want(t, "waits", len(w.waiting("o-1")), 0)
		b.Deliver(t.Context(), []*Reply{answer(id, 4)})
		synctest.Wait()
		want(t, "late", seen.get("drops late"), 1)
		want(t, "told", told.recalls(), []RequestID{id})
		want(t, "under", string(told.last().Call.Key), "o-1")
	})
}
