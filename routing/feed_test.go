package routing

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

var orderEvents = Feed{"orders.events", "o-1"}

// newFeedBench is a node whose sessions may subscribe to orders.events.
func newFeedBench(t *testing.T, limits Limits) *bench {
	b := newBench(t, limits)
	b.feeds["orders.events"] = nil
	return b
}

// subscribed subscribes, and answers how that ended.
func subscribed(t *testing.T, s *Session, feed Feed) *Error {
	t.Helper()
	ended := make(chan *Error, 1)
	if err := s.Subscribe(feed, func(e *Error) { ended <- e }); err != nil {
		return err
	}
	return <-ended
}

// newSubscriber is a node with a session that has subscribed to the events of an order.
func newSubscriber(t *testing.T, limits Limits, acks bool) (*bench, *Session, *client) {
	t.Helper()
	b := newFeedBench(t, limits)
	s, c := b.open(t, acks)
	if err := subscribed(t, s, orderEvents); err != nil {
		t.Fatal(err)
	}
	return b, s, c
}

// push is an event for a session, as a consumer of events makes it.
func (b *bench) push(s *Session, offset int64, body string) *Reply {
	at := RecordAt{Topic: "orders.events", Partition: 1, Offset: offset}
	return &Reply{
		ID: PushID(s.ID(), at), Final: true, Body: []byte(body), From: at, Consumed: time.Now(),
		Headers: []Header{{PushKey, []byte("o-1")}}, Receipt: b.received, Token: Token{B: offset},
	}
}

// What a session has subscribed to is pushed, in order and numbered like replies; the
// event is settled when the client has it, and is pushed once even if it comes again.
func TestPushes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s, c := newSubscriber(t, Limits{}, true)
		b.deliver(t, b.push(s, 1, `"a"`), b.push(s, 2, `"b"`), b.push(s, 1, `"a"`))
		got := c.outcomes()
		if len(got) != 2 || got[0].Push.Feed != orderEvents || got[1].Seq != 2 || string(got[1].Reply.Body) != `"b"` {
			t.Fatalf("got %+v", got)
		}
		want(t, "settled", len(b.received.offsets()), 0)
		if err := s.Ack(c, 2); err != nil {
			t.Fatal(err)
		}
		want(t, "settled", b.received.offsets(), []int64{1, 1, 2})
		b.deliver(t, b.push(s, 2, `"b"`))
		want(t, "pushed", len(c.outcomes()), 2)
		want(t, "log", b.cluster.log, []string{"open", "subscribe orders.events o-1"})
		if !s.Unsubscribe(orderEvents) || s.Unsubscribe(orderEvents) {
			t.Error("unsubscribed not once")
		}
		b.deliver(t, b.push(s, 3, `"c"`))
		want(t, "pushed", len(c.outcomes()), 2)
		want(t, "dropped", b.counted.get("drops unsubscribed"), 1)
		want(t, "settled", len(b.received.offsets()), 5)
	})
}

// All that came lately comes again, as when Kafka was away or Redis has lost something, to a
// session that does not acknowledge, such as an EventSource's: it gets nothing twice, and
// what it had not got before it still gets.
func TestPushesThatAreReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s, c := newSubscriber(t, Limits{}, false)
		const many = 2 * pushMemory
		for again := range 2 {
			from := int64(again * (many - pushMemory + 1)) // the oldest of those that are known, but for 7
			for offset := from; offset < many; offset++ {
				if offset%100 != 7 || again == 1 {
					b.deliver(t, b.push(s, offset, `"x"`))
					s.Wrote(c, uint64(len(c.outcomes())))
				}
			}
		}
		had := make(map[int64]int)
		for _, d := range c.outcomes() {
			had[d.Reply.From.Offset]++
		}
		for offset, times := range had {
			if times != 1 {
				t.Errorf("event %d came %d times", offset, times)
			}
		}
		want(t, "late ones", had[1107]+had[2007], 2)
	})
}

// Only configured topics can be subscribed to, each session to so many, and only if
// the table has it.
func TestSubscriptionsThatAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFeedBench(t, Limits{})
		s, _ := b.open(t, false)
		word := func(e *Error) Word {
			if e == nil {
				return OK
			}
			return e.Word
		}
		want(t, "another topic", word(subscribed(t, s, Feed{"parley.replies", "x"})), Forbidden)
		want(t, "no key", word(subscribed(t, s, Feed{"orders.events", ""})), InvalidParams)
		b.cluster.awaits = errors.New("away")
		want(t, "away", word(subscribed(t, s, orderEvents)), Unavailable)
		b.cluster.awaits = nil
		for i := range maxFeeds {
			want(t, "one of many", word(subscribed(t, s, Feed{"orders.events", fmt.Sprint(i)})), OK)
		}
		want(t, "one more", word(subscribed(t, s, orderEvents)), Overloaded)
		want(t, "one again", word(subscribed(t, s, Feed{"orders.events", "0"})), OK)
		s.Close()
		want(t, "after the end", word(subscribed(t, s, orderEvents)), SessionGone)
		b.cluster.has(t, "unsubscribe orders.events 7")
	})
}

// A node has so many subscriptions, whoever's they are, and counts those that end.
func TestSubscriptionsOfANode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFeedBench(t, Limits{Feeds: 3})
		s, _ := b.open(t, true)
		other, _ := b.open(t, false)
		for _, key := range []string{"1", "2", "2"} {
			if e := subscribed(t, s, Feed{"orders.events", key}); e != nil {
				t.Fatal(e)
			}
		}
		if e := subscribed(t, other, orderEvents); e != nil {
			t.Fatal(e)
		}
		e := subscribed(t, other, Feed{"orders.events", "3"})
		if e == nil || e.Word != Overloaded || !e.Retry {
			t.Errorf("one too many: %v", e)
		}
		want(t, "subscriptions", b.Subscriptions(), 3)
		s.Unsubscribe(Feed{"orders.events", "1"})
		want(t, "subscriptions", b.Subscriptions(), 2)
		b.cluster.awaits = errors.New("away")
		_ = subscribed(t, other, Feed{"orders.events", "3"})
		want(t, "after one that failed", b.Subscriptions(), 2)
		other.Close()
		s.Close()
		want(t, "subscriptions", b.Subscriptions(), 0)
	})
}

// A client that never acknowledges is not let grow: what is too much is dropped by
// name, and the next push says how many are missing.
func TestASubscriberThatNeverReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s, c := newSubscriber(t, Limits{Unacked: 10 << 20}, true)
		for i := range int64(maxPushes + 5) {
			b.deliver(t, b.push(s, i+1, `"x"`))
		}
		want(t, "pushed", len(c.outcomes()), maxPushes)
		want(t, "dropped", b.counted.get("drops unread"), 5)
		if err := s.Ack(c, 10); err != nil {
			t.Fatal(err)
		}
		b.deliver(t, b.push(s, 5000, `"y"`))
		got := c.outcomes()
		want(t, "missed", got[len(got)-1].Push.Missed, 5)
	})
}

// pushTo is an event for a session, consumed by whoever delivers it.
func pushTo(id SessionID, offset int64, receipt Receipt) *Reply {
	at := RecordAt{Topic: "orders.events", Partition: 1, Offset: offset}
	return &Reply{
		ID: PushID(id, at), Final: true, Body: fmt.Appendf(nil, "%d", offset), From: at, Consumed: time.Now(),
		Headers: []Header{{PushKey, []byte("o-1")}}, Receipt: receipt, Token: Token{B: offset},
	}
}

func pushed(c *client) (all []string) {
	for _, d := range c.outcomes() {
		all = append(all, string(d.Reply.Body))
	}
	return all
}

// A subscriber's node dies with a push out; others are consumed elsewhere while nobody
// has the session, and after it is back. The client gets each of them, in order, from
// the node that it comes to, without subscribing again.
func TestSubscriptionsOutliveANode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		a, kill := w.start(t, "a", &topic{ack: true}, Limits{})
		b, _ := w.start(t, "b", &topic{ack: true}, Limits{})
		a.feeds["orders.events"], b.feeds["orders.events"] = nil, nil
		first, second, events := &client{}, &client{}, &partition{}
		s, err := a.Open(t.Context(), OpenSession{Sink: first, Acks: true})
		if err != nil {
			t.Fatal(err)
		}
		if err := subscribed(t, s, orderEvents); err != nil {
			t.Fatal(err)
		}
		b.Deliver(t.Context(), []*Reply{pushTo(s.ID(), 1, events)})
		synctest.Wait()
		want(t, "relayed", pushed(first), []string{"1"})
		kill()
		w.bury("a")
		synctest.Wait() // what comes behind may else overtake it
		b.Deliver(t.Context(), []*Reply{pushTo(s.ID(), 2, events)})
		synctest.Wait()
		again, _, err := b.Resume(t.Context(), ResumeSession{ID: s.ID(), Secret: s.Secret(), Sink: second})
		if err != nil {
			t.Fatal(err)
		}
		b.Deliver(t.Context(), []*Reply{pushTo(s.ID(), 3, events)})
		synctest.Wait()
		want(t, "pushed", pushed(second), []string{"1", "2", "3"})
		if err := again.Ack(second, 3); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		want(t, "settled", events.offsets(), []int64{1, 2, 3})
		w.mu.Lock()
		defer w.mu.Unlock()
		want(t, "still held", len(w.sessions[s.ID()].held), 0)
	})
}

// A topic may be subscribed to without a key, where that is allowed: each event is pushed
// once, under its own key, also to who follows that key as well, and after one of the two
// subscriptions has ended.
func TestAllOfATopic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFeedBench(t, Limits{})
		s, c := b.open(t, true)
		all := Feed{Topic: "orders.events"}
		if e := subscribed(t, s, all); word(e) != InvalidParams {
			t.Errorf("where it is not allowed: %v", e)
		}
		b.whole["orders.events"] = true
		for _, feed := range []Feed{all, orderEvents} {
			if e := subscribed(t, s, feed); e != nil {
				t.Fatal(e)
			}
		}
		b.deliver(t, b.push(s, 1, `"a"`))
		s.Unsubscribe(orderEvents)
		b.deliver(t, b.push(s, 2, `"b"`))
		got := c.outcomes()
		if len(got) != 2 || got[0].Push.Feed != orderEvents || got[1].Push.Feed != orderEvents {
			t.Fatalf("got %+v", got)
		}
		s.Unsubscribe(all)
		b.deliver(t, b.push(s, 3, `"c"`))
		want(t, "pushed", len(c.outcomes()), 2)
		want(t, "dropped", b.counted.get("drops unsubscribed"), 1)
		b.cluster.has(t, "subscribe orders.events ")
		b.cluster.has(t, "unsubscribe orders.events ")
		want(t, "subscriptions", b.Subscriptions(), 0)
	})
}
