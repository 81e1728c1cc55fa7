package client

import (
	"context"
	"errors"
	"slices"
	"time"
)

// Push is an event that was pushed to a Subscription.
type Push struct {
	Topic, Key string

	Event string // names its record: "<topic>/<partition>/<offset>"
	Data  []byte // JSON; see FromBytes

	// Missed is how many events before it were dropped, because too many waited for the
	// gateway to be acknowledged, or for Next to be called: negative where nobody can say,
	// since the session was lost meanwhile.
	Missed int
}

const (
	maxPushes = 1000        // that may wait for Next
	maxPushed = 16 << 20    // bytes of them
	subsAgain = time.Second // before a subscription that cannot be made is tried again
)

// Subscription has the events of a topic about a key, or all of them, from Subscribe on,
// each once. It is for one goroutine at a time, but for Close.
//
// It outlives sockets and nodes like the session. Where the session itself is lost, the
// client subscribes anew; what happened in between is missed, and the next Push says so.
type Subscription struct {
	c     *Client
	feed  feed
	woken chan struct{}

	// Under Client.mu.
	queue  []Push
	bytes  int
	missed int
	past   past
	made   bool  // the gateway has confirmed it once
	broken bool  // it could not be made anew: Next tries again
	err    error // why it has ended
}

// Subscribe has the events of a topic pushed whose record key is key, from the moment
// that it returns; all of them where key is "", if the gateway allows that. The topic must
// be one that the gateway lets clients subscribe to: else forbidden. The error is an
// *Error, or ctx.Err().
func (c *Client) Subscribe(ctx context.Context, topic, key string) (*Subscription, error) {
	s := &Subscription{c: c, feed: feed{topic, key}, woken: make(chan struct{}, 1), past: make(past)}
	c.mu.Lock()
	c.subs[s.feed] = append(c.subs[s.feed], s) // a push may be faster than the confirmation
	c.mu.Unlock()
	if err := s.subscribe(ctx); err != nil {
		s.Close()
		return nil, err
	}
	c.mu.Lock()
	s.made = true
	c.mu.Unlock()
	return s, nil
}

// subscribe says it to the gateway, and again where a lost socket has left open whether
// it knows.
func (s *Subscription) subscribe(ctx context.Context) error {
	params, e := s.feed.params()
	if e != nil {
		return e
	}
	for tries := 0; ; tries++ {
		_, err := s.c.Call(ctx, subscribeMethod, params, CallOptions{})
		var e *Error
		if !errors.As(err, &e) || e.Code != "unknown_request" || tries == resends {
			return err
		}
	}
}

// Next waits for the next event. Its error is ctx.Err(), or an *[Error] by which the
// subscription has ended.
func (s *Subscription) Next(ctx context.Context) (Push, error) {
	for {
		push, ok, broken, err := s.take()
		switch {
		case ok:
			return push, nil
		case err != nil:
			return Push{}, err
		case broken:
			if err := s.mend(ctx); err != nil {
				return Push{}, err
			}
			continue
		}
		select {
		case <-s.woken:
		case <-ctx.Done():
			return Push{}, ctx.Err()
		}
	}
}

// take takes the oldest event; without one it tells how the subscription stands.
func (s *Subscription) take() (push Push, ok, broken bool, err error) {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	if len(s.queue) == 0 {
		return push, false, s.broken, s.err
	}
	push = s.queue[0]
	s.queue[0] = Push{}
	s.queue = s.queue[1:]
	s.bytes -= len(push.Data)
	return push, true, false, nil
}

// mend tries once more to make a subscription anew, after a pause.
func (s *Subscription) mend(ctx context.Context) error {
	select {
	case <-time.After(subsAgain):
	case <-ctx.Done():
		return ctx.Err()
	}
	err := s.subscribe(ctx)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	s.broken = false
	var e *Error
	if errors.As(err, &e) {
		s.failedLocked(e)
	}
	return nil
}

// Close ends the subscription: Next answers cancelled when it has yielded what came
// before. It does not block, and may be called more than once.
func (s *Subscription) Close() {
	c := s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	s.endLocked(failed("cancelled", NotSent, "the subscription was closed"))
	if l := c.link; len(c.subs[s.feed]) == 0 && l != nil && l.ready && l.leave == staying {
		l.unsubscribeLocked(s.feed)
	}
}

// endLocked is the end of a subscription.
func (s *Subscription) endLocked(why error) {
	if s.err != nil {
		return
	}
	s.err = why
	of := slices.DeleteFunc(s.c.subs[s.feed], func(other *Subscription) bool { return other == s })
	if s.c.subs[s.feed] = of; len(of) == 0 {
		delete(s.c.subs, s.feed)
	}
	s.wake()
}

// failedLocked deals with a subscription that could not be made anew.
func (s *Subscription) failedLocked(e *Error) {
	if e.Retry || e.Code == "unknown_request" {
		s.broken = true
		s.wake()
	} else {
		s.endLocked(e)
	}
}

func (s *Subscription) wake() {
	select {
	case s.woken <- struct{}{}:
	default:
	}
}
