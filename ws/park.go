package ws

import (
	"errors"
	"sync"
	"syscall"
	"time"
)

// A socket that is quiet is parked: its reader ends and gives back what it reads with,
// and the kernel is asked to tell when there is something to read again. A parked socket
// has no goroutine, no stack and no buffer.
//
// One that is in use pays nothing for that. Its timer looks in every so often whether it
// has been read from since; if not, it ends the reader's wait by a read deadline (a
// kick). The reader parks the socket where that meets it between two messages, and waits
// on elsewhere. A reader that was woken and gets nothing but a ping or a pong parks the
// socket again at once.
//
// Parking and waking happen under conn.mu: parked says that there is no reader, and
// whoever makes it false starts one. What arrives while a socket is being parked wakes it
// at once, since the kernel tells of what is there already. Whoever ends a parked socket
// wakes it too, so that its reader waits for the client's close frame, or frees
// everything, as any other's does. What the kernel has told may be late: it names sockets
// by numbers of ours, which, unlike those of the kernel, mean no other one ever.

// parkAfter is for how long a socket is quiet before it is parked, up to twice that: longer
// than between the messages of a client that is at work, and its acknowledgements.
const parkAfter = 2 * time.Second

// parking is what of a connection concerns its being parked. It belongs to conn.mu.
type parking struct {
	parkable bool          // the kernel knows it, and may tell
	parked   bool          // there is no reader
	kick     bool          // the read deadline stands for no end of a time limit
	polled   bool          // it has been parked before
	lookAt   time.Duration // when the timer looks again whether it is in use; 0: not
	seen     uint32        // conn.reads when it last did
}

// past is a deadline that is over.
var past = time.Unix(1, 0)

// lookLocked kicks the reader if nothing has been read since the last look.
func (c *conn) lookLocked(now time.Duration) {
	c.lookAt = now + c.server.parkAfter
	reads := c.reads.Load()
	if reads == c.seen && reads%2 == 0 {
		c.kick = true
		_ = c.nc.SetReadDeadline(past)
	}
	c.seen = reads
}

// kicked tells the reader whether it was kicked when a deadline has ended its wait, and
// takes the kick back.
func (c *conn) kicked() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.unkickLocked()
}

func (c *conn) unkickLocked() bool {
	if !c.kick {
		return false
	}
	c.kick, c.timed = false, false
	if c.why.Load() == nil {
		_ = c.nc.SetReadDeadline(time.Time{})
	}
	return true
}

// park parks the socket, unless it is being closed. Where it answers true the reader is
// one no longer, and touches nothing: there may be another by then.
func (c *conn) park() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.unkickLocked()
	if c.why.Load() != nil {
		return false
	}
	if err := c.server.lot.arm(c); err != nil {
		c.parkable, c.lookAt = false, 0
		if !errors.Is(err, errors.ErrUnsupported) {
			c.server.o.Log.Warn("an idle socket keeps its memory", "err", err)
		}
		return false
	}
	c.wire.release()
	c.wire, c.lookAt = nil, 0
	c.parked, c.polled = true, true
	return true
}

// wake starts a reader for a parked socket, if it is one.
func (c *conn) wake() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wakeLocked()
}

func (c *conn) wakeLocked() {
	if c.parked {
		c.parked = false
		go c.read()
	}
}

// stay keeps a socket that was woken for more than a ping or a pong, until it is quiet again.
func (c *conn) stay() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.brief = false
	if c.parkable {
		c.lookAt = c.server.clock() + c.server.parkAfter
		c.wakeTimerLocked(c.lookAt)
	}
}

// lot is where a server's sockets are parked.
type lot struct {
	once    sync.Once
	poller  *poller // nil before the first has parked, and where err says why
	err     error
	running sync.WaitGroup
	wake    func(id uint64) // set before
}

// arm has the socket woken once, as soon as there is something to read or it has ended,
// now or later. c.mu is held.
func (l *lot) arm(c *conn) error {
	l.once.Do(l.open)
	if l.err != nil {
		return l.err
	}
	raw, err := c.nc.(syscall.Conn).SyscallConn()
	if err != nil {
		return err
	}
	return l.poller.arm(raw, c.id, c.polled)
}

func (l *lot) open() {
	if l.poller, l.err = newPoller(); l.err == nil {
		l.running.Go(func() { l.poller.run(l.wake) })
	}
}

// close ends what parking has started, when there is no socket any more.
func (l *lot) close() {
	l.once.Do(func() { l.err = errors.ErrUnsupported })
	if l.poller != nil {
		l.poller.close()
		l.running.Wait()
	}
}
