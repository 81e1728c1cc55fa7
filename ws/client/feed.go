package client

import (
	"bytes"
	"slices"
)

const (
	subscribeMethod   = "$/subscribe" // answered once it holds
	unsubscribeMethod = "$/unsubscribe"
)

// feed is what is subscribed to; key is "" for all of the topic.
type feed struct{ topic, key string }

// pushedLocked queues an event, unless it is one that a resumed session sends again.
func (s *Subscription) pushedLocked(push Push) {
	if !s.past.add(push.Event) {
		return
	}
	if s.missedLocked(push.Missed); len(s.queue) >= maxPushes || s.bytes+len(push.Data) > maxPushed {
		s.missedLocked(1)
		return
	}
	push.Missed, s.missed = s.missed, 0
	s.queue = append(s.queue, push)
	s.bytes += len(push.Data)
	s.wake()
}

// missedLocked notes that n more events will not come: negative for nobody knows how many.
func (s *Subscription) missedLocked(n int) {
	if n < 0 || s.missed < 0 {
		s.missed = -1
	} else {
		s.missed += n
	}
}

// push hands an event to those who subscribed to it. If that is nobody, they have left
// while this could not be said.
func (l *link) push(p *parser, m *message) error {
	push, err := p.push(m.params)
	push.Data = bytes.Clone(push.Data)
	c := l.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil {
		at := feed{push.Topic, push.Key}
		subs := c.subs[at]
		if push.Key != "" {
			subs = slices.Concat(subs, c.subs[feed{topic: push.Topic}])
		}
		for _, s := range subs {
			s.pushedLocked(push)
		}
		if len(subs) == 0 {
			l.unsubscribeLocked(at)
		}
	}
	l.gotLocked(m.seq)
	return err
}

// renewLocked subscribes anew in a new session.
func (c *Client) renewLocked() {
	for at, subs := range c.subs {
		params, _ := at.params() // it could be said before
		made := false
		for _, s := range subs {
			if s.made {
				s.missedLocked(-1)
				made = made || !s.broken
			}
		}
		if !made {
			continue // Subscribe or Next is about to
		}
		k := &call{id: c.lastID.Add(1), repeats: true, renews: at}
		k.frame, _ = appendRequest(nil, k.id, subscribeMethod, params, &k.o)
		c.open[k.id] = k
		c.waiting = append(c.waiting, k)
		c.queued += len(k.frame)
	}
}

// renewedLocked tells the subscriptions to a feed how their renewal has ended.
func (c *Client) renewedLocked(at feed, e *Error) {
	if e == nil {
		return
	}
	for _, s := range slices.Clone(c.subs[at]) {
		if s.made {
			s.failedLocked(e)
		}
	}
}

// endSubsLocked ends all subscriptions, with the client.
func (c *Client) endSubsLocked(why *Error) {
	for _, subs := range c.subs {
		for _, s := range slices.Clone(subs) {
			s.endLocked(why)
		}
	}
}

func (l *link) unsubscribeLocked(at feed) {
	if params, e := at.params(); e == nil {
		l.controlLocked(item{text: append(append([]byte(head+`"method":"`+unsubscribeMethod+`","params":`), params...), '}')})
		l.kick()
	}
}

func (f feed) params() ([]byte, *Error) {
	t := texts{dst: []byte(`{"topic":`)}
	t.quote(f.topic)
	if f.key != "" {
		t.dst = append(t.dst, `,"key":`...)
		t.quote(f.key)
	}
	if t.err != nil {
		return nil, failed("invalid_params", NotSent, "all texts must be UTF-8")
	}
	return append(t.dst, '}'), nil
}

// push reads the params of $/push.
func (p *parser) push(params []byte) (push Push, err error) {
	err = p.each(params, func(name, value []byte) {
		switch string(name) {
		case `"topic"`:
			push.Topic = text(value)
		case `"key"`:
			push.Key = text(value)
		case `"event"`:
			push.Event = text(value)
		case `"missed"`:
			n, _ := number(value)
			push.Missed = int(n)
		case `"data"`:
			push.Data = value
		}
	})
	return push, err
}
