package ws

import (
	"bytes"
	"time"

	"parley/routing"
)

// take deals with one frame. It runs in the reader and waits for nobody, hello
// excepted.
func (c *conn) take(frame []byte) {
	p := parsers.Get().(*parser)
	defer p.release()
	deep := nestsDeeper(frame, maxDepth)
	switch {
	case c.session == nil:
		c.greet(p, frame, deep)
	case deep:
		c.refuse(nil, nil, invalid("a frame nests at most %d deep", maxDepth))
	case isBatch(frame):
		c.takeBatch(p, frame)
	default:
		c.takeMessage(p, frame, nil)
	}
}

// greet takes the first frame under parley.v1.
func (c *conn) greet(p *parser, frame []byte, deep bool) {
	if !deep {
		if m, e := p.decode(frame); e == nil && string(m.method) == "$/hello" {
			c.takeControl(p, &m, nil)
			return
		}
	}
	c.close(&closeNotHello)
}

// takeMessage deals with one message; to is the batch that it is part of, if
// the answer is to be part of one too.
func (c *conn) takeMessage(p *parser, raw []byte, to *batch) {
	m, e := p.decode(raw)
	switch {
	case e != nil:
		c.refuse(to, m.id, e)
	case bytes.HasPrefix(m.method, []byte("$/")):
		c.takeControl(p, &m, to)
	case string(m.method) == "rpc.discover":
		c.result(to, m.id, c.server.discover.of(c.server.o.Router.ServicesFor(c.session.Caller())))
	default:
		c.takeCall(p, &m, to)
	}
}

// takeBatch deals with an array of messages.
func (c *conn) takeBatch(p *parser, frame []byte) {
	parts, e := p.elements(frame)
	if e != nil {
		c.refuse(nil, nil, e)
		return
	}
	var to *batch
	if !c.v1 {
		to = newBatch(c, frame)
		defer to.read()
	}
	for _, part := range parts {
		if c.why.Load() != nil {
			return // one of them has ended the socket
		}
		c.takeMessage(p, part, to)
	}
}

// result answers a message with a result, unless it is a notification.
func (c *conn) result(to *batch, id, result []byte) {
	if id != nil {
		c.answer(to, appendResult(nil, id, result))
	}
}

// refuse answers a message with an error; nil stands for the id null. The
// eleventh within a minute of those that teach ends the socket.
func (c *conn) refuse(to *batch, id []byte, e *routing.Error) {
	c.server.o.Observer.Count(routing.Refusals, string(e.Word))
	c.refused(to, id, e)
}

// refused does what refuse does for an error that has been counted.
func (c *conn) refused(to *batch, id []byte, e *routing.Error) {
	c.server.o.Log.Debug("message refused", "word", string(e.Word), "why", e.Message)
	c.answer(to, c.server.appendError(nil, id, e))
	if teaches(e.Word) {
		c.strike()
	}
}

// answer sends a response, or makes it part of its batch's.
func (c *conn) answer(to *batch, message []byte) {
	if to != nil {
		to.add(message)
		return
	}
	c.sendText(message)
}

const (
	maxBad    = 10 // bad messages within badWithin; one more ends the socket
	badWithin = time.Minute
)

// badMessages remembers when the newest bad messages came, as a ring.
type badMessages struct {
	at   [maxBad]time.Duration
	next int
}

// strike counts a bad message.
func (c *conn) strike() {
	if c.bad == nil {
		c.bad = new(badMessages)
	}
	now, oldest := c.server.clock(), &c.bad.at[c.bad.next]
	if *oldest > 0 && now < *oldest+badWithin {
		c.close(&closeBadFrames)
	}
	*oldest = now
	c.bad.next = (c.bad.next + 1) % maxBad
}
