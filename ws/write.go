package ws

import (
	"sync"
	"time"

	"parley/routing"
)

// item is something to be written: exactly one of its kinds.
type item struct {
	kind  kind
	text  []byte           // kind text: a message; kind control: a frame
	d     routing.Delivery // kind delivery
	batch *batch           // kind answers
}

type kind uint8

const (
	text kind = iota
	control
	delivery
	answers // of a batch, all of them
)

// itemOverhead is what an item counts beyond its payload, in bytes.
const itemOverhead = 256

// cost is about how much memory an item holds.
func (i *item) cost() int {
	n := itemOverhead + len(i.text)
	if i.kind == delivery && i.d.Reply != nil {
		n += len(i.d.Reply.Body)
	}
	if i.kind == answers {
		n += i.batch.kept
	}
	return n
}

// outbox is what a connection has while there is something to write.
type outbox struct {
	items []item // belongs to conn.mu

	// The writer's.
	taken []item
	buf   []byte // frames
}

var outboxes = sync.Pool{New: func() any { return new(outbox) }}

const (
	flushAt   = 64 << 10 // bytes of frames that are written in one go, about
	keepItems = 64       // an outbox that has grown larger is not kept
)

func (o *outbox) release() {
	if cap(o.buf) > keepBuffer*2 {
		o.buf = nil
	}
	if cap(o.items) <= keepItems && cap(o.taken) <= keepItems {
		outboxes.Put(o)
	}
}

// Deliver is called with the session's lock held: it only appends to the queue.
func (c *conn) Deliver(d routing.Delivery) { c.send(item{kind: delivery, d: d}) }

// Accepted is called with the session's lock held.
func (c *conn) Accepted(clientID string, id routing.RequestID) {
	if c.accepted { // the session's last socket may have asked for it, and this one not
		c.sendText(appendAccepted(nil, clientID, id))
	}
}

// Leave is called with the session's lock held: the session goes on elsewhere.
func (c *conn) Leave(why routing.Leaving) {
	switch why {
	case routing.LeaveTakenOver:
		c.close(&closeTaken)
	case routing.LeaveUnread:
		c.close(&closeUnread)
	default:
		c.close(&closeRestart)
	}
}

func (c *conn) sendText(message []byte) { c.send(item{kind: text, text: message}) }

// send queues an item. It does not block and may be called from any goroutine;
// a socket that is being closed takes no more.
func (c *conn) send(i item) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sendLocked(i)
}

// How much more than Options.SendQueue may wait, and for how long.
const (
	burst     = 16
	slowAfter = 2 * time.Second
)

func (c *conn) sendLocked(i item) {
	if c.dead || c.why.Load() != nil {
		return
	}
	c.wakeWriterLocked()
	c.out.items = append(c.out.items, i)
	c.queued += i.cost()
	limit := c.server.o.SendQueue
	switch {
	case i.d.Again: // the session bounds what it delivers again
	case c.queued <= limit:
	case c.queued > burst*limit:
		c.closeLocked(&closeSlow)
	case c.over == 0:
		c.over = c.server.clock()
		c.wakeTimerLocked(c.over + slowAfter)
	}
}

// forgetLocked throws away what is queued: the session has it still.
func (c *conn) forgetLocked() {
	if c.out != nil {
		clear(c.out.items)
		c.out.items = c.out.items[:0]
	}
}

// wakeWriterLocked sees to it that there is a writer.
func (c *conn) wakeWriterLocked() {
	if c.out != nil || c.dead {
		return
	}
	c.out = outboxes.Get().(*outbox)
	c.running.Add(1)
	go c.write()
}

// write writes until there is nothing left to write.
func (c *conn) write() {
	defer c.running.Done()
	for written := 0; ; {
		o, session, v1, more := c.next(written)
		if !more {
			return
		}
		written = 0
		var seq uint64 // of the last delivery in o.buf
		for i := range o.taken {
			it := &o.taken[i]
			written += it.cost()
			o.buf = appendFrame(o.buf, it, v1, c.server)
			seq = max(seq, it.d.Seq)
			if len(o.buf) < flushAt && i < len(o.taken)-1 {
				continue
			}
			if err := c.flush(o); err != nil {
				c.drop(&lostClient)
				break
			}
			if seq > 0 {
				session.Wrote(c, seq)
				seq = 0
			}
		}
		clear(o.taken)
		o.taken = o.taken[:0]
	}
}

// next takes what is queued, after so many bytes have been written; more is
// false when the writer may end.
func (c *conn) next(written int) (o *outbox, session *routing.Session, v1, more bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.queued -= written; c.queued <= c.server.o.SendQueue {
		c.over = 0
	}
	o = c.out
	if c.sealed {
		c.forgetLocked()
	}
	if len(o.items) == 0 {
		why := c.why.Load()
		if why == nil || c.sealed {
			c.out, c.queued = nil, 0
			o.release()
			return nil, nil, false, false
		}
		c.sealed = true
		o.items = append(o.items, item{kind: control, text: appendClose(nil, why)})
		c.queued += itemOverhead // any number will do: nothing is queued after this
	}
	o.items, o.taken = o.taken, o.items
	return o, c.session, c.v1, true
}

// flush writes the frames in the outbox to the socket. It blocks as long as the
// client does not read: the timer watches over that.
func (c *conn) flush(o *outbox) error {
	if len(o.buf) == 0 {
		return nil
	}
	c.writing.Store(int64(c.server.clock()))
	_, err := c.nc.Write(o.buf)
	c.writing.Store(0)
	if o.buf = o.buf[:0]; cap(o.buf) > keepBuffer*2 {
		o.buf = nil
	}
	return err
}
