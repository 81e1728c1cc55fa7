package client

import "slices"

// maxQueued is how many bytes of calls may wait to be written.
const maxQueued = 16 << 20

// submit queues a call.
func (c *Client) submit(k *call) *Error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed || c.state == Closed:
		return failed("session_gone", NotSent, "the client is closed")
	case c.state != Open && k.id == 0:
		return failed("unavailable", NotSent, "there is no connection")
	case (c.state != Open || c.link.line.held.Load()) && !c.roomLocked():
		return failed("overloaded", NotSent, "%d calls wait for a connection", c.o.Waiting)
	case c.queued+len(k.frame) > maxQueued:
		return failed("overloaded", NotSent, "too much waits to be written")
	}
	if e := c.tooLargeLocked(len(k.frame)); e != nil {
		return e
	}
	if k.id != 0 {
		c.open[k.id] = k
	}
	c.waiting = append(c.waiting, k)
	c.queued += len(k.frame)
	if c.state == Open {
		c.link.kick()
	}
	return nil
}

// roomLocked tells whether one more call may wait for a socket.
func (c *Client) roomLocked() bool {
	if len(c.waiting) < c.o.Waiting {
		return true
	}
	c.waiting = slices.DeleteFunc(c.waiting, func(k *call) bool {
		if k.settled {
			c.queued -= len(k.frame)
		}
		return k.settled
	})
	return len(c.waiting) < c.o.Waiting
}

// tooLargeLocked refuses a frame for which the gateway would close the socket.
func (c *Client) tooLargeLocked(bytes int) *Error {
	if c.frame == 0 || bytes <= c.frame {
		return nil
	}
	return failed("too_large", NotSent, "the gateway takes %d bytes a message, and this has %d", c.frame, bytes)
}

// settleLocked gives a call its outcome.
func (c *Client) settleLocked(k *call, reply Reply, e *Error) {
	delete(c.open, k.id)
	reply.Request = k.request
	k.settled, k.reply, k.err = true, reply, e
	if k.renews.topic != "" {
		c.renewedLocked(k.renews, e)
	} else if k.id != 0 {
		k.wake()
	}
}

// resends is how often a call is sent again by itself.
const resends = 3

// againLocked has a call wait for the socket once more, where the gateway is certain
// that it never got it, and there is time left. It answers false where it does not.
func (c *Client) againLocked(k *call, e *Error) bool {
	if e == nil || e.Code != "unknown_request" || e.Outcome != NotSent || k.resent >= resends || c.closed || k.late() || c.overtakenLocked(k) {
		return false
	}
	k.sent = false
	k.resent++
	at := slices.IndexFunc(c.waiting, func(other *call) bool { return other.id > k.id })
	if at < 0 {
		at = len(c.waiting)
	}
	c.waiting = slices.Insert(c.waiting, at, k)
	c.queued += len(k.frame)
	return true
}

// overtakenLocked tells whether a call that is sent again may come after a later one
// with its key. The gateway says what it never got before it reads anything else from
// a new socket, so only what was written to that one, or to one in between, can be ahead.
func (c *Client) overtakenLocked(k *call) bool {
	if k.o.Key == "" {
		return false
	}
	if k.socket+1 < c.sockets {
		return true
	}
	for id, other := range c.open {
		if id > k.id && other.o.Key == k.o.Key && other.sent && other.socket == c.sockets {
			return true
		}
	}
	return false
}

// giveUp ends a call from this side, unless it has its outcome.
func (c *Client) giveUp(k *call, word, why string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !k.settled {
		c.settleLocked(k, Reply{}, failed(word, k.outcome(), "%s", why))
	}
}

// abandon forgets a call that nobody waits for any more. It answers false when
// the outcome was faster.
func (c *Client) abandon(k *call) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if k.settled {
		return false
	}
	delete(c.open, k.id)
	k.settled = true
	switch l := c.link; {
	case !k.sent:
	case l != nil && l.ready && l.leave == staying:
		l.controlLocked(item{text: appendCancel(nil, k.id)})
		l.kick()
	case len(c.cancels) < maxOpen:
		c.cancels = append(c.cancels, k.id)
	}
	return true
}

// forgetLocked ends the calls that a session had which is gone, except those that can
// be asked for again.
func (c *Client) forgetLocked(why string) {
	c.session, c.secret, c.cancels = "", "", nil
	for _, k := range c.open {
		switch {
		case !k.sent:
		case k.repeats:
			k.sent = false
			c.waiting = append(c.waiting, k)
			c.queued += len(k.frame)
		default:
			c.settleLocked(k, Reply{}, failed("session_gone", Unknown, "%s", why))
		}
	}
}
