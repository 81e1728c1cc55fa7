package web

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"parley/routing"
)

// past is a History that is told what it knows.
type past struct {
	events   []*routing.Event
	end      int64
	err      error
	asked    routing.RecordAt
	blocks   bool   // until who asks leaves
	during   func() // happens while it reads
	released atomic.Int64
}

func (p *past) Since(ctx context.Context, _ routing.Feed, after routing.RecordAt) (routing.Backlog, error) {
	p.asked = after
	if p.blocks {
		<-ctx.Done()
		return routing.Backlog{}, ctx.Err()
	}
	if p.during != nil {
		p.during()
	}
	return routing.Backlog{Events: p.events, End: p.end, Release: func() { p.released.Add(1) }}, p.err
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
		p := &past{events: []*routing.Event{happened(5), happened(7), happened(8)}, end: 9}
		g := newGateway(t, func(o *Options) { o.History = p })
		p.during = func() {
			g.push(t, 7, "o-1", "7")
			g.push(t, 8, "o-1", "8")
			g.push(t, 9, "o-1", "9")
		}
		s := g.subscribe(t, "/events/orders.events?key=o-1", "Last-Event-ID: orders.events/2/4")
		s.hear(":\n\nid: orders.events/2/5\ndata: 5\n\nid: orders.events/2/7\ndata: 7\n\nid: orders.events/2/8\ndata: 8\n\nid: orders.events/2/9\ndata: 9\n\n")
		if want := (routing.RecordAt{Topic: "orders.events", Partition: 2, Offset: 4}); p.asked != want {
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
// happens from then on is pushed.
func TestFeedCannotCatchUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &past{err: errors.New("too far")}
		g := newGateway(t, func(o *Options) { o.History = p })
		for _, last := range []string{"orders.events/2/4", "orders.events/2/-1", "orders.events/x/1", "17", "orders.events/2/99999999999999999999"} {
			s := g.subscribe(t, "/events/orders.events?key=o-1", "Last-Event-ID: "+last)
			s.hear(":\n\nevent: missed\ndata: -1\n\n")
			g.push(t, 4, "o-1", "4")
			s.hear("id: orders.events/2/4\ndata: 4\n\n")
			s.leave()
			<-s.done
		}
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
