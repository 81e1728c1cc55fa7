package client

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/coder/websocket"
)

// read reads messages until the socket ends.
func (l *link) read() error {
	p := newParser()
	defer p.release()
	var buf []byte
	for {
		// The context is one that never ends: any other would cost the library a
		// goroutine's worth of work each time. Whoever wants to end this cuts the link.
		kind, r, err := l.ws.Reader(context.Background())
		if err != nil {
			return err
		}
		if buf, err = readAll(buf[:0], r); err != nil {
			return err
		}
		if kind == websocket.MessageText {
			l.receive(p, buf)
		}
		if cap(buf) > keepBuffer {
			buf = nil
		}
	}
}

// readAll appends all that r has.
func readAll(dst []byte, r io.Reader) ([]byte, error) {
	for {
		if cap(dst)-len(dst) < 512 {
			dst = slices.Grow(dst, max(512, cap(dst)))
		}
		n, err := r.Read(dst[len(dst):cap(dst)])
		dst = dst[:len(dst)+n]
		if err == io.EOF {
			return dst, nil
		}
		if err != nil {
			return dst, err
		}
	}
}

// receive deals with a message.
func (l *link) receive(p *parser, frame []byte) {
	if l.c.o.Events != nil {
		l.c.event(Event{Kind: EventReceived, Frame: frame, URL: l.url})
	}
	m, err := p.message(frame)
	if err == nil {
		switch m.method {
		case "":
			l.answer(p, &m)
		case "$/reply":
			err = l.part(p, &m)
		case "$/push":
			err = l.push(p, &m)
		case "$/accepted":
			err = l.accepted(p, &m)
		case "$/welcome":
			err = l.welcome(p, &m)
		case "$/goaway":
			l.goaway(p.goaway(m.params))
		default:
			l.got(m.seq)
		}
	}
	if err != nil {
		l.c.o.Log.Warn("a message cannot be read", "url", l.url, "err", err, "bytes", len(frame))
	}
}

// answer hands an outcome over. What has no open call is a duplicate, or came
// after the caller had lost interest.
func (l *link) answer(p *parser, m *message) {
	var reply Reply
	var failure *Error
	if m.err != nil {
		failure = p.failure(m.err)
	} else {
		reply.Result = bytes.Clone(m.result)
	}
	reply.Meta = bytes.Clone(m.meta)
	id, ok := number(m.id)
	if !ok {
		l.complain(failure)
		return
	}
	c := l.c
	c.mu.Lock()
	if k := c.open[id]; k != nil && k.sent && c.againLocked(k, failure) {
		l.kick()
	} else if k != nil && !k.outlives(failure) {
		c.settleLocked(k, reply, failure)
	}
	l.gotLocked(m.seq)
	c.mu.Unlock()
}

// complain deals with an error that is about no request: before the welcome it
// is about hello.
func (l *link) complain(e *Error) {
	if e == nil {
		return
	}
	l.c.mu.Lock()
	ready := l.ready
	l.c.mu.Unlock()
	if !ready {
		l.cut(e)
		return
	}
	l.c.o.Log.Warn("the gateway complains", "url", l.url, "err", e)
}

func (l *link) part(p *parser, m *message) error {
	a, err := p.about(m.params)
	data := bytes.Clone(a.data)
	c := l.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if k := c.open[a.id]; k != nil && err == nil && a.n >= k.parts {
		k.parts = a.n + 1
		if k.o.OnPart != nil || k.o.credit > 0 {
			k.news = append(k.news, Part{N: int(a.n), Data: data})
			k.wake()
		}
	}
	l.gotLocked(m.seq)
	return err
}

func (l *link) accepted(p *parser, m *message) error {
	a, err := p.about(m.params)
	c := l.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if k := c.open[a.id]; k != nil && err == nil && k.request == "" {
		if k.request = text(a.request); k.o.OnAccepted != nil {
			k.wake()
		}
	}
	l.gotLocked(m.seq)
	return err
}

// welcome makes the socket the session's.
func (l *link) welcome(p *parser, m *message) error {
	w, err := p.welcome(m.params)
	if err != nil {
		return err
	}
	c := l.c
	c.mu.Lock()
	if l.ready {
		c.mu.Unlock()
		return nil
	}
	if !w.resumed {
		c.forgetLocked("the session could not be resumed")
		c.renewLocked()
	}
	c.session, c.secret, c.node, c.frame, c.resume = w.session, w.secret, w.node, w.frame, w.resume
	for _, id := range c.cancels {
		l.controlLocked(item{text: appendCancel(nil, id)})
	}
	c.cancels = nil
	defer c.creditAll()
	l.ready, l.since = true, time.Now()
	c.sockets++
	c.mu.Unlock()

	c.event(Event{Kind: EventWelcome, Session: w.session, Node: w.node, Resumed: w.resumed, URL: l.url})
	c.become(Open, 0)
	close(l.welcomed)
	l.kick()
	return nil
}

// goaway makes the client move at a random moment within a range.
func (l *link) goaway(from, to time.Duration) {
	delay := from
	if to > from {
		delay += rand.N(to - from)
	}
	l.c.event(Event{Kind: EventGoaway, Delay: delay, URL: l.url})
	select {
	case l.goaways <- delay:
	default:
	}
}

// got notes that everything up to seq has been handed over.
func (l *link) got(seq uint64) {
	l.c.mu.Lock()
	defer l.c.mu.Unlock()
	l.gotLocked(seq)
}

func (l *link) gotLocked(seq uint64) {
	if seq <= l.newest {
		return
	}
	l.newest = seq
	switch {
	case l.newest-l.told >= uint64(l.c.o.AckEvery):
		if !l.ackNow {
			l.ackNow = true
			l.kick()
		}
	case !l.armed:
		l.armed = true
		l.acks.Reset(l.c.o.AckAfter)
	}
}
