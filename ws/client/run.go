package client

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// keeper is what the goroutine that keeps the client connected has for itself.
type keeper struct {
	first   chan error // what Dial waits for; nil once it has it
	prompt  int        // tries at once since a socket was steady
	losses  int        // sockets lost in a row, besides those
	lostAt  time.Time  // when the last socket was lost that had been welcomed
	refused []error    // by the nodes that Dial has tried
	denied  bool       // the newest token was refused, and no socket welcomed since
}

// run keeps the client connected until it ends.
func (c *Client) run() {
	defer close(c.done)
	defer c.cancel()
	for at := 0; ; {
		e := c.connect(c.o.URLs[at])
		switch {
		case c.ending():
			c.end(nil)
			return
		case c.first != nil && c.anotherToken(e):
			continue // with the same node
		case c.first != nil:
			if at++; c.refuse(c.o.URLs[at-1], e) || at == len(c.o.URLs) {
				err := errors.Join(c.refused...)
				c.end(err)
				c.first <- err
				return
			}
			continue
		case !e.moved && !c.comeBack(e):
			return
		}
		at = c.following(at, e)
	}
}

// greet tells that a node has welcomed us.
func (c *Client) greet() {
	if c.first != nil {
		c.first <- nil
		c.first = nil
	}
}

// ending tells whether the client is being closed.
func (c *Client) ending() bool {
	return c.ctx.Err() != nil || locked(c, &c.closed)
}

// connect opens a socket and answers how it ended.
func (c *Client) connect(url string) (e ended) {
	c.become(Connecting, 0)
	ctx, cancel := context.WithTimeout(c.ctx, c.o.Welcome)
	defer cancel()
	began := time.Now()
	h := c.hello()
	if c.o.Token != nil {
		var err error
		if h.token, err = c.o.Token(ctx); err != nil {
			return ended{code: lostCode, err: fmt.Errorf("Options.Token: %w", err)}
		}
	}
	l, err := c.dial(ctx, url)
	c.event(Event{Kind: EventDial, URL: url, Err: err})
	if err != nil {
		return ended{code: lostCode, err: err, died: true}
	}
	e = l.run(c.o.Welcome-time.Since(began), h)
	e.died = e.code == lostCode
	if e.ready {
		c.denied = false
		c.greet() // where the socket was lost at once, watch may not have
		c.lostAt = time.Now()
	}
	c.event(Event{Kind: EventClose, URL: url, Code: e.code, Reason: e.reason, Err: e.err})
	return e
}

// hello is what to say next. A gateway takes so many open ids: more than it lets
// a session have. Of others it has refused the requests already, and may never
// come to say so.
func (c *Client) hello() hello {
	c.mu.Lock()
	defer c.mu.Unlock()
	h := hello{accepted: c.o.Accepted, session: c.session, secret: c.secret}
	for id, k := range c.open {
		if k.sent {
			h.open = append(h.open, id)
		}
	}
	slices.Sort(h.open)
	if len(h.open) > maxOpen {
		for _, id := range h.open[maxOpen:] {
			c.settleLocked(c.open[id], Reply{}, failed("unknown_request", Unknown, "too many requests were open to ask what became of this one"))
		}
		h.open = h.open[:maxOpen]
	}
	h.streams = c.streamsLocked(h.open)
	return h
}

func (c *Client) attach(l *link) {
	c.mu.Lock()
	c.link = l
	c.mu.Unlock()
}

// detach ends the writing of calls to a socket that is lost.
func (c *Client) detach(l *link) {
	c.mu.Lock()
	c.link, l.drained = nil, true
	c.state = Connecting // or waiting: whichever comes next is told
	c.mu.Unlock()
}

// anotherToken tells whether Dial is to try a node once more: it refuses the token, which
// may just have expired, and no other one was made yet.
func (c *Client) anotherToken(e ended) bool {
	again := afterClose(e.code) == token && c.o.Token != nil && !c.denied
	c.denied = c.denied || again
	return again
}

// refuse notes why a node did not take Dial, and tells whether no other will either: a
// token that was made anew would be refused by all of them.
func (c *Client) refuse(url string, e ended) (byAll bool) {
	err := e.err
	if e.code == deniedCode {
		err = &CloseError{e.code, e.reason}
	}
	c.refused = append(c.refused, fmt.Errorf("%s: %w", url, err))
	return e.code == deniedCode && c.denied
}

// comeBack waits for the moment to open the next socket. It answers false when
// there will be none.
func (c *Client) comeBack(e ended) bool {
	next := afterClose(e.code)
	// Another token would be refused as well, after one that was made anew.
	if next == stop || next == token && (c.denied || c.o.Token == nil) {
		c.end(&CloseError{e.code, e.reason})
		return false
	}
	c.denied = c.denied || next == token
	if next == renew {
		c.forget("the session is gone")
	}
	delay := c.pause(next, e)
	c.o.Log.Warn("the connection is lost", "node", c.Node(), "err", e.err, "next", delay)
	c.become(Waiting, delay)
	select {
	case <-time.After(delay):
	case <-c.closing:
	case <-c.ctx.Done():
	}
	if c.ending() {
		c.end(nil)
		return false
	}
	if keeps := locked(c, &c.resume); keeps > 0 && time.Since(c.lostAt) > keeps {
		c.forget("the session has expired")
	}
	return true
}

func (c *Client) forget(why string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.forgetLocked(why)
}

const (
	// promptly is the longest wait before a try at once.
	promptly = 100 * time.Millisecond
	// promptTries is how many of them there are at most.
	promptTries = 3
)

// pause is how long to wait. A socket that has died without a word says that its node
// may be gone, and nothing of the others: each is tried once, almost at once. Then
// full jitter: many clients that lose the same node do not come back together.
func (c *Client) pause(next next, e ended) time.Duration {
	if e.lived >= c.o.Steady {
		c.prompt, c.losses = 0, 0
	}
	if e.died && c.losses == 0 && c.prompt < min(len(c.o.URLs), promptTries) {
		c.prompt++
		return rand.N(min(promptly, c.o.BackoffFirst))
	}
	ceiling := c.o.BackoffLongest
	if c.losses < 16 {
		ceiling = min(ceiling, c.o.BackoffFirst<<c.losses)
	}
	c.losses++
	delay := rand.N(ceiling)
	if next == later {
		delay += c.o.BackoffCrowded
	}
	return delay
}

// following is the URL to try after one: another at random where a session was
// lost, else the next in turn.
func (c *Client) following(at int, e ended) int {
	n := len(c.o.URLs)
	if n == 1 {
		return 0
	}
	if !e.ready {
		return (at + 1) % n
	}
	return (at + 1 + rand.IntN(n-1)) % n
}

// end ends the client, and what is open with it.
func (c *Client) end(why error) {
	c.mu.Lock()
	c.err = why
	word, text := "cancelled", "the client was closed"
	if why != nil {
		word, text = "session_gone", why.Error()
	}
	if closed := (*CloseError)(nil); errors.As(why, &closed) && closed.Code == deniedCode {
		word = "unauthorized"
	}
	for _, k := range c.open {
		c.settleLocked(k, Reply{}, failed(word, k.outcome(), "%s", text))
	}
	c.endSubsLocked(failed(word, NotSent, "%s", text))
	c.waiting, c.queued = nil, 0
	c.state = Closed
	c.mu.Unlock()
	c.event(Event{Kind: EventState, State: Closed, Err: why})
}
