package ws

import (
	"math"
	"math/rand/v2"
	"time"
)

// times is what a connection's timer goes by. It belongs to conn.mu; all times
// are those of Server.clock, and 0 stands for none.
type times struct {
	timer   *time.Timer   // runs conn.watch; each run that is to come holds one of conn.running
	wakeAt  time.Duration // when that is
	helloBy time.Duration // none once the client has said hello
	endAt   time.Duration
	told    bool          // to go, because endAt was there
	expires bool          // endAt is when the caller's token has expired
	pingAt  time.Duration // of the next ping
	pinged  time.Duration // since when a ping waits for its answer
}

const (
	never = time.Duration(math.MaxInt64)
	// writeTimeout is how long one write, of flushAt bytes or a larger message, may
	// take. The next ping notices.
	writeTimeout = 30 * time.Second
	// ageNotice is how long before its end a socket that is too old is told to go.
	ageNotice = 10 * time.Second
)

// startTimer sets the times of a new connection.
func (c *conn) startTimer() {
	c.mu.Lock()
	defer c.mu.Unlock()
	now, s := c.server.clock(), c.server
	if c.v1 {
		c.helloBy = now + s.o.HelloTimeout
	}
	c.endAt = never
	if s.o.MaxAge > 0 {
		c.endAt = now + s.o.MaxAge - rand.N(s.o.MaxAge/10+1)
	}
	c.pingAt = now + jitter(s.o.Ping)
	if c.parkable {
		c.lookAt = now + s.parkAfter
	}
	c.wakeAt = c.nextLocked()
	c.running.Add(1)
	c.timer = time.AfterFunc(c.wakeAt-now, c.watch)
}

// jitter takes or adds up to a tenth, so that the pings of sockets that were
// opened together spread out.
func jitter(d time.Duration) time.Duration { return d - d/10 + rand.N(d/5+1) }

// nextLocked is when the timer has to run next.
func (c *conn) nextLocked() time.Duration {
	next := min(c.endAt, c.pingAt)
	if c.helloBy > 0 {
		next = min(next, c.helloBy)
	}
	if c.pinged > 0 {
		next = min(next, c.pinged+c.server.o.PongTimeout)
	}
	if c.lookAt > 0 {
		next = min(next, c.lookAt)
	}
	if c.over > 0 {
		next = min(next, c.over+slowAfter)
	}
	return next
}

// wakeTimerLocked makes the timer run at the time given, if not before.
func (c *conn) wakeTimerLocked(at time.Duration) {
	if at >= c.wakeAt {
		return
	}
	c.wakeAt = at
	if !c.timer.Reset(at - c.server.clock()) {
		c.running.Add(1) // it had fired already, so that this is one run more
	}
}

// watch runs when the timer fires: it pings, and ends a socket whose time is up.
func (c *conn) watch() {
	defer c.running.Done()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dead || c.why.Load() != nil {
		return
	}
	now := c.server.clock()
	if now >= c.endAt && c.v1 && !c.told && !c.expires {
		// Frames that meet a close are lost: a client that can move is asked to first.
		c.told, c.endAt = true, now+ageNotice
		c.sendLocked(item{kind: text, text: appendGoaway(nil, ageNotice/2, ageNotice)})
	}
	if why := c.overdueLocked(now); why != nil {
		if why.sent() {
			c.closeLocked(why)
		} else {
			c.dropLocked(why)
		}
		return
	}
	if now >= c.pingAt {
		c.pingAt = now + jitter(c.server.o.Ping)
		if c.pinged == 0 {
			c.pinged = now
			c.sendLocked(item{kind: control, text: pingFrame})
		}
	}
	if c.lookAt > 0 && now >= c.lookAt {
		c.lookLocked(now)
	}
	c.wakeAt = never
	c.wakeTimerLocked(c.nextLocked())
}

// overdueLocked tells why the socket has to end now; nil if it has not.
func (c *conn) overdueLocked(now time.Duration) *closing {
	writing := time.Duration(c.writing.Load())
	switch {
	case c.helloBy > 0 && now >= c.helloBy:
		return &closeNoHello
	case now >= c.endAt && c.expires:
		return &closeExpired
	case now >= c.endAt:
		return &closeAge
	case c.over > 0 && now >= c.over+slowAfter:
		return &closeSlow
	case writing > 0 && now >= writing+writeTimeout:
		return &lostWrite
	case c.pinged > 0 && now >= c.pinged+c.server.o.PongTimeout:
		if writing == 0 && c.reads.Load()%2 == 0 {
			return &lostPong
		}
		// The ping may not have been written yet, or the pong may come behind the
		// message that is being read. Both have time limits of their own.
		c.pinged = now
	}
	return nil
}

// pong takes an answer to a ping. The reader calls it.
func (c *conn) pong() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pinged = 0
}
