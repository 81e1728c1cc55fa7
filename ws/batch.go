package ws

import (
	"hash/maphash"

	"parley/routing"
)

// batch is a JSON-RPC batch of the plain door: it collects the answers to its
// messages, and sends them as one array when the last one is there. It is the
// sink of the requests in it.
type batch struct {
	conn   *conn
	digest uint64 // of the frame

	// Under conn.mu.
	waiting int // answers that are still to come, and one while the frame is read
	items   []item
	kept    int // what items cost
}

func newBatch(c *conn, frame []byte) *batch {
	return &batch{conn: c, waiting: 1, digest: maphash.Bytes(digestSeed, frame)}
}

// read tells that all messages of the batch have been dealt with.
func (b *batch) read() {
	b.conn.mu.Lock()
	defer b.conn.mu.Unlock()
	b.lessLocked()
}

// add takes an answer that needed no request.
func (b *batch) add(message []byte) {
	b.conn.mu.Lock()
	defer b.conn.mu.Unlock()
	b.keepLocked(item{kind: text, text: message})
}

// submit makes a request whose outcome is to be part of the batch's answer.
func (b *batch) submit(call *routing.Call, m *message) {
	c := b.conn
	if !b.enter() {
		c.refuse(b, m.id, &routing.Error{
			Word: routing.Overloaded, Outcome: routing.NotSent, Retry: true, Message: "too many requests of batches are open",
		})
		return
	}
	// With the frame's digest in it, a call equals an open one only when its whole
	// batch was sent again. It is ignored then, and this answer goes without it.
	call.Digest ^= b.digest
	id, e := c.session.Submit(call, b)
	if e != nil {
		c.refused(b, m.id, e)
	} else if _, n, _ := id.Split(); n > c.newest {
		c.newest = n
		return
	}
	b.leave()
}

// enter counts an answer that is to come, unless too many are.
func (b *batch) enter() bool {
	c := b.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.batched >= c.server.o.OpenRequests {
		return false
	}
	c.batched++
	b.waiting++
	return true
}

// leave counts an answer that is not to come after all.
func (b *batch) leave() {
	b.conn.mu.Lock()
	defer b.conn.mu.Unlock()
	b.conn.batched--
	b.lessLocked()
}

// Accepted is not for this door.
func (b *batch) Accepted(string, routing.RequestID) {}

// Leave does nothing: the connection is told itself.
func (b *batch) Leave(routing.Leaving) {}

// Deliver takes the outcome of a request. A plain client cannot resume: what is
// kept here serves nobody else, so the place where it came from is told at
// once, and need not wait for the rest of the batch.
func (b *batch) Deliver(d routing.Delivery) {
	d.Written()
	if d.Part {
		return
	}
	c := b.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	i := item{kind: delivery, d: d}
	if c.kept+i.cost() > burst/2*c.server.o.SendQueue {
		d.Reply, d.Err = nil, &routing.Error{
			Word: routing.TooLarge, Outcome: routing.Done, Message: "the answers to the batch are too large together",
		}
		i.d = d
	}
	b.keepLocked(i)
	c.batched--
	b.lessLocked()
}

func (b *batch) keepLocked(i item) {
	cost := i.cost()
	b.items = append(b.items, i)
	b.kept += cost
	b.conn.kept += cost
}

// lessLocked counts an answer off, and sends them all if it was the last. A
// batch of notifications has none, and gets none.
func (b *batch) lessLocked() {
	if b.waiting--; b.waiting > 0 || len(b.items) == 0 {
		return
	}
	b.conn.kept -= b.kept
	b.conn.sendLocked(item{kind: answers, batch: b})
}

// append appends the array of all answers.
func (b *batch) append(dst []byte, s *Server) []byte {
	for n := range b.items {
		sep := byte(',')
		if n == 0 {
			sep = '['
		}
		dst = append(dst, sep)
		if i := &b.items[n]; i.kind == delivery {
			dst = s.appendDelivery(dst, &i.d, false)
		} else {
			dst = append(dst, i.text...)
		}
	}
	return append(dst, ']')
}
