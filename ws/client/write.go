package client

import (
	"encoding/binary"
	"slices"
)

const (
	flushAt    = 64 << 10 // bytes that are written in one go, about
	keepBuffer = 256 << 10
)

// item is one thing to be written: a call, a message of the client's own, or a
// control frame of the library's.
type item struct {
	call *call
	text []byte // a message: the call's, if there is one
	raw  []byte // a frame

	end int // of its frame in writer.buf
}

// writer is what the writing goroutine has for itself.
type writer struct {
	batch []item
	buf   []byte // frames
}

// write writes until the link is drained, or the socket is lost.
func (l *link) write() {
	for l.take() {
		if len(l.batch) == 0 {
			l.rest()
			continue
		}
		if err := l.flush(); err != nil {
			l.cut(err)
			return
		}
	}
}

// rest waits for something to write.
func (l *link) rest() {
	select {
	case <-l.kicks:
	case <-l.acks.C:
		l.c.mu.Lock()
		l.armed, l.ackNow = false, true
		l.c.mu.Unlock()
	}
}

// take makes the next batch. It answers false when there will be none.
func (l *link) take() bool {
	l.c.mu.Lock()
	defer l.c.mu.Unlock()
	l.batch = append(l.batch[:0], l.controls...)
	clear(l.controls)
	l.controls, l.queued = l.controls[:0], 0
	switch {
	case l.drained:
		return len(l.batch) > 0
	case l.leave == staying:
		l.takeAckLocked(l.ackNow)
		if l.ready {
			l.takeCallsLocked()
		}
	case l.ready && !l.sealed:
		l.takeAckLocked(true)
		if l.sealed = true; l.leave == ending {
			l.batch = append(l.batch, item{text: []byte(byeText)})
		} else {
			code := binary.BigEndian.AppendUint16(nil, byeCode)
			l.batch = append(l.batch, item{raw: appendFrame(nil, opClose, code)})
		}
	}
	return true
}

func (l *link) takeAckLocked(now bool) {
	if now && l.newest > l.told {
		l.told = l.newest
		l.batch = append(l.batch, item{text: appendAck(nil, l.told)})
	}
	l.ackNow = false
}

// takeCallsLocked takes what fits into one write. From here on a call counts as
// sent.
func (l *link) takeCallsLocked() {
	c := l.c
	if l.doubtsLocked() {
		return
	}
	size := 0
	for len(c.waiting) > 0 && size < flushAt {
		k := c.waiting[0]
		c.waiting[0] = nil
		c.waiting = c.waiting[1:]
		c.queued -= len(k.frame)
		if k.settled {
			continue
		}
		if e := c.tooLargeLocked(len(k.frame)); e != nil {
			c.settleLocked(k, Reply{}, e)
			continue
		}
		k.sent, k.socket = true, c.sockets
		if k.id != 0 {
			l.spokeLocked()
		}
		size += len(k.frame)
		l.batch = append(l.batch, item{call: k, text: k.frame})
	}
}

// flush writes the batch. Where that fails, the calls that certainly did not
// leave wait for the next socket.
func (l *link) flush() error {
	l.buf = l.buf[:0]
	for i := range l.batch {
		it := &l.batch[i]
		if it.raw != nil {
			l.buf = append(l.buf, it.raw...)
		} else {
			if l.c.o.Events != nil {
				l.c.event(Event{Kind: EventSent, Frame: it.text, URL: l.url})
			}
			l.buf = appendFrame(l.buf, opText, it.text)
		}
		it.end = len(l.buf)
	}
	n, err := l.line.conn.Write(l.buf)
	if err != nil {
		l.unsend(n)
		return err
	}
	clear(l.batch)
	if cap(l.buf) > keepBuffer {
		l.buf = nil
	}
	return nil
}

// unsend takes back the calls whose frames were not written whole: nobody can
// have understood them.
func (l *link) unsend(written int) {
	c := l.c
	c.mu.Lock()
	defer c.mu.Unlock()
	var back []*call
	for _, it := range l.batch {
		if k := it.call; k != nil && it.end > written && !k.settled {
			k.sent = false
			c.queued += len(k.frame)
			back = append(back, k)
		}
	}
	c.waiting = slices.Concat(back, c.waiting)
}
