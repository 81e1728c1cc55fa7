package web

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"parley/routing"
)

// past is a History that is told what it knows.
type past struct {
	events   []*routing.Event
	ends     routing.Position
	err      error
	asked    routing.Position
	blocks   bool   // until who asks leaves
	during   func() // happens while it reads
	released atomic.Int64
}

func (p *past) Ends(context.Context, string) (routing.Position, error) {
	return maps.Clone(p.ends), nil
}

func (p *past) Since(ctx context.Context, _ routing.Feed, from routing.Position) (routing.Backlog, error) {
	p.asked = from
	if p.blocks {
		<-ctx.Done()
		return routing.Backlog{}, ctx.Err()
	}
	if p.during != nil {
		p.during()
	}
	return routing.Backlog{Events: p.events, Ends: p.ends, Release: func() { p.released.Add(1) }}, p.err
}

// happened is an event of orders.events.
func happened(offset int64) *routing.Event {
	return &routing.Event{Body: fmt.Append(nil, offset), At: routing.RecordAt{Topic: "orders.events", Partition: 2, Offset: offset}}
}

// A client comes back and says which event was its last. It gets those behind it, each
// once, though some of them are pushed as well, and then what happens; an event of
// another partition is another event.
func TestFeedCatchesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &past{events: []*routing.Event{happened(5), happened(7), happened(8)}, ends: routing.Position{2: 9}}
		g := newGateway(t, func(o *Options) { o.History = p })
		p.during = func() {
			g.push(t, 7, "o-1", "7")
			g.push(t, 8, "o-1", "8")
			g.push(t, 9, "o-1", "9")
		}
		s := g.subscribe(t, "/events/orders.events?key=o-1", "Last-Event-ID: orders.events/2/4")
		s.hear(":\n\nid: orders.events/2/5\ndata: 5\n\nid: orders.events/2/7\ndata: 7\n\nid: orders.events/2/8\ndata: 8\n\nid: orders.events/2/9\ndata: 9\n\n")
		if want := (routing.Position{2: 5}); !maps.Equal(p.asked, want) {
			t.Errorf("asked for what is behind %v", p.asked)
		}
		g.push(t, 8, "o-1", "8") // again: its partition has moved
		g.push(t, 11, "o-1", "11")
		s.hear("id: orders.events/2/11\ndata: 11\n\n")
		synctest.Wait()
		if n := g.topic.settledCount(); n != 5 || p.released.Load() != 1 {
			t.Errorf("%d of 5 events are settled, %d backlogs of 1 released", n, p.released.Load())
		}
		s.leave()
		<-s.done
	})
}

// What is not to be had, and a position that is none, is said to be missed, and what
// happens from then on is pushed. What the client has is not: its partition's next owner
// reads it again.
func TestFeedCannotCatchUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &past{err: errors.New("too far")}
		g := newGateway(t, func(o *Options) { o.History = p })
		cannot := func(last string, pushed ...string) {
			t.Helper()
			s := g.subscribe(t, "/events/orders.events?key=o-1", "Last-Event-ID: "+last)
			s.hear(":\n\nevent: missed\ndata: -1\n\n")
			g.push(t, 4, "o-1", "4")
			g.push(t, 5, "o-1", "5")
			s.hear(strings.Join(pushed, ""))
			s.leave()
			<-s.done
		}
		const four, five = "id: orders.events/2/4\ndata: 4\n\n", "id: orders.events/2/5\ndata: 5\n\n"
		cannot("orders.events/2/4", five)
		for _, last := range []string{"orders.events/2/-1", "orders.events/x/1", "17", "orders.events/2/99999999999999999999", "stock.events/2/4"} {
			cannot(last, four, five)
		}
		p.err = fmt.Errorf("read again: %w", routing.ErrNoPosition)
		cannot("orders.events/2/99", four, five) // it was made anew
	})
}

// A node drains while it reads what a client has missed: the client is sent elsewhere,
// without a word of what it missed, for there it asks again.
func TestFeedDrainsWhileItCatchesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t, func(o *Options) { o.History = &past{blocks: true} })
		s := g.subscribe(t, "/events/orders.events?key=o-1", "Last-Event-ID: orders.events/2/4")
		s.hear(":\n\n")
		ended := make(chan error)
		go func() { ended <- g.Shutdown(t.Context()) }()
		s.hear("retry: ")
		_, _ = io.ReadAll(s.from)
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// stock pushes an event of the topic of which clients may have all.
func (g *gateway) stock(t *testing.T, partition int32, offset int64, key string) {
	all, err := g.table.Subscribers(t.Context(), []routing.Feed{{Topic: "stock.events"}})
	if err != nil || len(all[0]) != 1 {
		t.Fatalf("%v follow all of it: %v", all, err)
	}
	at := routing.RecordAt{Topic: "stock.events", Partition: partition, Offset: offset}
	g.router.Deliver(t.Context(), []*routing.Reply{{
		ID: routing.PushID(all[0][0], at), Final: true, Body: []byte("5"), From: at, Receipt: g.topic,
		Headers: []routing.Header{{Key: routing.PushKey, Value: []byte(key)}},
	}})
}

// Without a key all of a topic comes, where that is allowed, each event with its own. Its
// client is told where it is in each partition, before anything happens and with each
// event, so that it goes on from there: each comes once, in whichever partition.
func TestFeedOfAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &past{ends: routing.Position{0: 40, 1: 0, 2: 7}}
		g := newGateway(t, func(o *Options) { o.History = p })
		s := g.subscribe(t, "/events/stock.events")
		s.hear(":\n\nid: stock.events+40.0.7\n\n")
		g.stock(t, 1, 0, "tea")
		g.stock(t, 0, 41, `"mug"`)
		s.hear("id: stock.events/1/0+40.1.7\ndata: {\"key\":\"tea\",\"data\":5}\n\nid: stock.events/0/41+42.1.7\ndata: {\"key\":\"\\\"mug\\\"\",\"data\":5}\n\n")
		s.leave()
		<-s.done
		p.events = []*routing.Event{
			{Key: "tea", Body: []byte("6"), At: routing.RecordAt{Topic: "stock.events", Offset: 42}},
			{Body: []byte("7"), At: routing.RecordAt{Topic: "stock.events", Partition: 2, Offset: 7}},
		}
		p.ends = routing.Position{0: 43, 1: 1, 2: 9}
		p.during = func() { g.stock(t, 0, 42, "tea") }
		s = g.subscribe(t, "/events/stock.events", "Last-Event-ID: stock.events/0/41+42.1.7")
		s.hear(":\n\nid: stock.events/0/42+43.1.7\ndata: {\"key\":\"tea\",\"data\":6}\n\nid: stock.events/2/7+43.1.8\ndata: {\"key\":\"\",\"data\":7}\n\nid: stock.events+43.1.9\n\n")
		if want := (routing.Position{0: 42, 1: 1, 2: 7}); !maps.Equal(p.asked, want) {
			t.Errorf("asked for what is behind %v", p.asked)
		}
		g.stock(t, 1, 1, "tea")
		s.hear("id: stock.events/1/1+43.2.9\ndata: {\"key\":\"tea\",\"data\":5}\n\n")
		s.leave()
		<-s.done
	})
}

// Who comes back to all of a topic with an id that does not say where it is in each
// partition is told that it may have missed something. There are no such ids of a topic
// with more partitions than an id may name, nor where Kafka does not tell.
func TestFeedOfAllCannotCatchUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &past{ends: routing.Position{0: 9}}
		g := newGateway(t, func(o *Options) { o.History = p })
		for _, last := range []string{"stock.events/0/8", "stock.events/0/8+", "stock.events/0/8+-1", "stock.events/0/8+1.x", "orders.events+9", "stock.events+" + strings.Repeat("0.", maxPositions) + "0"} {
			s := g.subscribe(t, "/events/stock.events", "Last-Event-ID: "+last)
			s.hear(":\n\nevent: missed\ndata: -1\n\nid: stock.events+9\n\n")
			s.leave()
			<-s.done
		}
		for i := range int32(maxPositions + 1) {
			p.ends[i] = 9
		}
		for _, h := range []History{p, noHistory{}} {
			g := newGateway(t, func(o *Options) { o.History = h })
			s := g.subscribe(t, "/events/stock.events")
			s.hear(":\n\n")
			g.stock(t, 0, 9, "tea")
			s.hear("id: stock.events/0/9\ndata: {\"key\":\"tea\",\"data\":5}\n\n")
			s.leave()
			<-s.done
		}
	})
}
