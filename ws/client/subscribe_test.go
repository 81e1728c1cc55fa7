package client_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"parley/routing"
	"parley/ws/client"
)

// push pushes an event to a session, as a consumer of events would.
func (g *node) push(session string, offset int64, body string) {
	at := routing.RecordAt{Topic: "orders.events", Partition: 2, Offset: offset}
	g.router.Deliver(g.t.Context(), []*routing.Reply{{
		ID: routing.PushID(routing.SessionID(session), at), Final: true, Body: []byte(body), From: at,
		Headers: []routing.Header{{Key: routing.PushKey, Value: []byte("o-1")}},
	}})
}

// stock pushes an event of the topic of which clients may have all.
func (g *node) stock(session, key string, offset int64) {
	at := routing.RecordAt{Topic: "stock.events", Offset: offset}
	g.router.Deliver(g.t.Context(), []*routing.Reply{{
		ID: routing.PushID(routing.SessionID(session), at), Final: true, Body: []byte("1"), From: at,
		Headers: []routing.Header{{Key: routing.PushKey, Value: []byte(key)}},
	}})
}

// next is the next event of a subscription, as a text to compare.
func next(t testing.TB, s *client.Subscription) string {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	push, err := s.Next(ctx)
	var e *client.Error
	switch {
	case errors.As(err, &e):
		return e.Code
	case err != nil:
		return err.Error()
	}
	return fmt.Sprint(push.Event, " ", string(push.Data), " ", push.Missed)
}

// Events are pushed to all who subscribed to them, over lost sockets, each once; what a
// client acknowledges does not come again. Nothing comes to who has left.
func TestSubscribe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		g := newNode(t, n, "a", newTable())
		c := dial(t, n.options("a"))
		one, err := c.Subscribe(t.Context(), "orders.events", "o-1")
		if err != nil {
			t.Fatal(err)
		}
		two, _ := c.Subscribe(t.Context(), "orders.events", "o-1")
		g.push(c.Session(), 1, `{"state":"CREATED"}`)
		same(t, "event", next(t, one), `orders.events/2/1 {"state":"CREATED"} 0`)
		same(t, "event", next(t, two), `orders.events/2/1 {"state":"CREATED"} 0`)
		c.Drop()
		g.push(c.Session(), 2, `two`)
		same(t, "event", next(t, one), `orders.events/2/2 {"$bytes":"dHdv"} 0`)
		two.Close()
		same(t, "closed", next(t, two)+", "+next(t, two), `orders.events/2/2 {"$bytes":"dHdv"} 0, cancelled`)
		g.push(c.Session(), 3, `3`)
		same(t, "event", next(t, one), `orders.events/2/3 3 0`)
		one.Close()
		one.Close()
		synctest.Wait()
		g.push(c.Session(), 4, `4`)
		same(t, "closed", next(t, one), "cancelled")
		_, err = c.Subscribe(t.Context(), "parley.replies", "o-1")
		same(t, "of no topic", fate(client.Reply{}, err), "forbidden not_sent")
	})
}

// The end of the client ends its subscriptions, and the end of a context only the
// waiting.
func TestSubscriptionEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		newNode(t, n, "a", newTable())
		c := dial(t, n.options("a"))
		s, err := c.Subscribe(t.Context(), "orders.events", "o-1")
		if err != nil {
			t.Fatal(err)
		}
		same(t, "nothing", next(t, s), context.DeadlineExceeded.Error())
		closeNow(t, c)
		same(t, "closed", next(t, s), "cancelled")
		_, err = c.Subscribe(t.Context(), "orders.events", "o-1")
		same(t, "then", fate(client.Reply{}, err), "session_gone not_sent")
	})
}

// A session is lost: the client subscribes in the next one, again where that is not
// possible at once, and the next event says that some may be missing.
func TestSubscribeAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		var heard []string
		event := func(p *peer, offset, seq int) {
			p.say(fmt.Sprintf(`{"jsonrpc":"2.0","method":"$/push","params":{"topic":"orders.events","key":"o-1","event":"orders.events/0/%d","missed":2,"data":%[1]d},"seq":%d}`, offset, seq))
		}
		scripted(t, n, "a", func(p *peer) {
			p.welcome(fmt.Sprint("S", p.n), false)
			heard = append(heard, p.hear())
			if p.n > 0 {
				p.say(`{"jsonrpc":"2.0","id":2,"error":{"code":-32003,"message":"","data":{"code":"unavailable","outcome":"not_sent","retry":true}}}`)
				p.hear()
				p.say(`{"jsonrpc":"2.0","id":3,"result":true}`)
			} else {
				p.say(`{"jsonrpc":"2.0","id":1,"result":true}`)
			}
			event(p, 1, 1)
			event(p, 2+p.n, 2)
			if p.n == 0 {
				p.hear() // the acknowledgement
				_ = p.ws.Close(4410, "gone")
			}
			p.linger()
		})
		c := dial(t, n.options("a"))
		s, err := c.Subscribe(t.Context(), "orders.events", "o-1")
		if err != nil {
			t.Fatal(err)
		}
		same(t, "events", next(t, s)+", "+next(t, s), "orders.events/0/1 1 2, orders.events/0/2 2 2")
		same(t, "then", next(t, s), "orders.events/0/3 3 -1")
		same(t, "heard", strings.Join(heard, "\n"), `{"jsonrpc":"2.0","id":1,"method":"$/subscribe","params":{"topic":"orders.events","key":"o-1"}}
{"jsonrpc":"2.0","id":2,"method":"$/subscribe","params":{"topic":"orders.events","key":"o-1"}}`)
	})
}

// Events of whom nobody takes are counted, not kept.
func TestSubscriberSleeps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		g := newNode(t, n, "a", newTable())
		c := dial(t, n.options("a"))
		s, err := c.Subscribe(t.Context(), "orders.events", "o-1")
		if err != nil {
			t.Fatal(err)
		}
		for i := range int64(1500) {
			g.push(c.Session(), i, "0")
			if i%100 == 0 {
				time.Sleep(time.Second) // for the acknowledgements
			}
		}
		time.Sleep(time.Second)
		for i := range 1000 {
			same(t, "event", next(t, s), fmt.Sprintf("orders.events/2/%d 0 0", i))
		}
		g.push(c.Session(), 1500, "0")
		same(t, "the next", next(t, s), "orders.events/2/1500 0 500")
	})
}

// All of a topic comes to who subscribed to it, and to who follows one of its keys what
// is about that.
func TestSubscribeToAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		g := newNode(t, n, "a", newTable())
		c := dial(t, n.options("a"))
		if _, err := c.Subscribe(t.Context(), "orders.events", ""); err == nil {
			t.Error("all of a topic, where that is not allowed")
		}
		all, err := c.Subscribe(t.Context(), "stock.events", "")
		if err != nil {
			t.Fatal(err)
		}
		tea, err := c.Subscribe(t.Context(), "stock.events", "tea")
		if err != nil {
			t.Fatal(err)
		}
		g.stock(c.Session(), "tea", 0)
		g.stock(c.Session(), "mug", 1)
		same(t, "all", next(t, all)+", "+next(t, all), "stock.events/0/0 1 0, stock.events/0/1 1 0")
		same(t, "tea", next(t, tea), "stock.events/0/0 1 0")
		all.Close()
		same(t, "closed", next(t, all), "cancelled")
	})
}

// An event that comes again, as its node has died, is known, however many of other
// partitions have come meanwhile.
func TestSubscribeToAllOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		scripted(t, n, "a", func(p *peer) {
			seq := 0
			event := func(partition, offset int) {
				seq++
				p.say(fmt.Sprintf(`{"jsonrpc":"2.0","method":"$/push","params":{"topic":"stock.events","key":"tea","event":"stock.events/%d/%d","data":1},"seq":%d}`, partition, offset, seq))
			}
			p.welcome("S", p.n > 0)
			if p.n == 0 {
				p.hear()
				p.say(`{"jsonrpc":"2.0","id":1,"result":true}`)
				event(0, 7)
				for i := range 1100 {
					if event(1, i); i%32 == 31 {
						p.hear() // the acknowledgement
					}
				}
				_ = p.ws.CloseNow()
				return
			}
			event(0, 7)
			event(0, 8)
			p.linger()
		})
		c := dial(t, n.options("a"))
		all, err := c.Subscribe(t.Context(), "stock.events", "")
		if err != nil {
			t.Fatal(err)
		}
		same(t, "event", next(t, all), "stock.events/0/7 1 0")
		for i := range 1100 {
			same(t, "event", next(t, all), fmt.Sprintf("stock.events/1/%d 1 0", i))
		}
		same(t, "the next", next(t, all), "stock.events/0/8 1 0")
	})
}
