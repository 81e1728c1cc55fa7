package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"parley/ws/client"
)

const (
	feedKeys  = 6                      // that events are written about, besides what requests are about
	feedEvery = 100 * time.Millisecond // about each of them
	followers = 8                      // sessions that follow two of the keys each
	readers   = 6                      // that follow one of them over HTTP
)

// feeds are the events of a load that its clients subscribe to.
type feeds struct {
	load    *load
	tell    func(key string, number int)
	lasts   [feedKeys]atomic.Int64 // the number by which a subscriber knows that it has all; 0 while there is none
	running sync.WaitGroup         // of subscribers
}

// followAll has some sessions and readers subscribe to events, and writes these until
// all subscribers have the last.
func (l *load) followAll(s *services, urls []string) {
	producer := l.history.first + l.o.sessions + keepers + readers
	f := &feeds{load: l, tell: func(key string, number int) { s.tell(l.history, producer, key, number) }}
	for i := range min(followers, len(l.callers)) {
		c, number := l.sessionOf(1 + i*len(l.callers)/followers)
		for key := range 2 {
			if c != nil {
				f.running.Go(func() { f.follow(c, number, (i+key*3)%feedKeys) })
			}
		}
	}
	for i := range readers {
		f.running.Go(func() { f.listen(l.history.first+l.o.sessions+keepers+i, i%feedKeys, urls) })
	}
	l.open.Go(f.write)
}

// key is what the i-th feed is about. No two histories share one: when events are read
// again, those of an earlier one are too.
func (f *feeds) key(i int) string { return fmt.Sprintf("feed-%d-%d", f.load.history.first, i) }

// write writes events until no more requests are made and all subscribers have had one
// that was written after that.
func (f *feeds) write() {
	done := make(chan struct{})
	go func() { f.running.Wait(); close(done) }()
	tick := time.NewTicker(feedEvery)
	defer tick.Stop()
	stop := f.load.stop
	for number := 1; ; number++ {
		for i := range feedKeys {
			f.tell(f.key(i), number)
		}
		select {
		case <-done:
			return
		case <-stop:
			for i := range feedKeys {
				f.lasts[i].Store(int64(number + 1))
			}
			stop = nil
			tick.Reset(10 * feedEvery)
		case <-tick.C:
		}
	}
}

// over tells whether whoever has had an event need not wait for more.
func (f *feeds) over(i int, number int) bool {
	last := f.lasts[i].Load()
	return last > 0 && number >= int(last)
}

// follow subscribes to a feed with a session, and tells the history what comes.
func (f *feeds) follow(c *client.Client, number, i int) {
	h, e := f.load.history, event{Client: number, Key: f.key(i)}
	sub, err := c.Subscribe(f.load.give, eventTopic, e.Key)
	if err == nil {
		e.Kind, e.Node = subscribed, c.Node()
		h.add(e)
		err = f.take(sub, c, i, e)
	}
	if f.load.give.Err() != nil {
		return // the judge knows how far it should have come
	}
	e.Kind, e.Node = unsubscribed, c.Node()
	e.Word = wordOf(err)
	h.add(e)
}

// take reads a subscription to its end: nil when its last event has come.
func (f *feeds) take(sub *client.Subscription, c *client.Client, i int, e event) error {
	defer sub.Close()
	for {
		push, err := sub.Next(f.load.give)
		if err != nil {
			return err
		}
		e.Kind, e.Node, e.Record, e.Missed = surfaced, c.Node(), push.Event, push.Missed
		e.note(push.Data)
		f.load.history.add(e)
		if f.over(i, e.Number) {
			return nil
		}
	}
}

// note writes down an event as its subscriber has got it. One about something else has no
// number.
func (e *event) note(data []byte) {
	var n note
	json.Unmarshal(data, &n)
	if e.Number = n.Number; n.Key != e.Key {
		e.Number = 0
	}
}

// wordOf is an error in a word.
func wordOf(err error) string {
	var e *client.Error
	switch {
	case err == nil:
		return ""
	case errors.As(err, &e):
		return e.Code
	}
	return err.Error()
}
