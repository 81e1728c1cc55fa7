package ws

import (
	"net"
	"syscall"
	"time"

	"parley/routing"
)

// closeWait is how long a client has to read what is on its way to it and to
// answer a close frame.
const closeWait = 5 * time.Second

// close ends the socket: what is queued is written, then a close frame, then
// the client has closeWait to answer with its own. The first reason counts.
// It does not block and may be called from any goroutine.
func (c *conn) close(why *closing) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closeLocked(why)
}

func (c *conn) closeLocked(why *closing) {
	if c.dead || !c.why.CompareAndSwap(nil, why) {
		return
	}
	if why == &closeSlow || why == &closeTaken || why == &closeUnread {
		c.forgetLocked()
	}
	c.windUpLocked()
}

// windUpLocked starts the end of a socket that has a reason for it.
func (c *conn) windUpLocked() {
	if c.nc == nil {
		return // it is still in its handshake: attach does it
	}
	soon := time.Now().Add(closeWait)
	_ = c.nc.SetReadDeadline(soon)
	_ = c.nc.SetWriteDeadline(soon)
	c.wakeWriterLocked()
	c.wakeLocked()
}

// drop ends the socket at once, without a close frame. It does not block.
func (c *conn) drop(why *closing) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dropLocked(why)
}

func (c *conn) dropLocked(why *closing) {
	c.why.CompareAndSwap(nil, why)
	c.sealed = true
	if c.nc != nil {
		cut(c.nc)
	}
	c.wakeLocked()
}

// cut closes a connection without the goodbye that TLS writes, which may block.
func cut(nc net.Conn) {
	if secure, ok := nc.(interface{ NetConn() net.Conn }); ok {
		nc = secure.NetConn()
	}
	_ = nc.Close()
}

// attach takes the network connection, at the end of the handshake.
func (c *conn) attach(nc net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.nc = nc
	_, c.parkable = nc.(syscall.Conn) // not that of TLS, which may have read more than was asked for
	c.parkable = c.parkable && c.server.parkAfter > 0
	switch {
	case c.sealed:
		cut(nc)
	case c.why.Load() != nil:
		c.windUpLocked()
	}
}

// end waits for the writer, which may have a close frame to write, and frees
// everything.
func (c *conn) end() {
	c.mu.Lock()
	c.dead = true
	why := c.why.Load()
	if why == nil {
		why = &lostClient
		_ = c.nc.SetWriteDeadline(time.Now().Add(closeWait))
	}
	if c.timer.Stop() {
		c.running.Done()
	}
	c.mu.Unlock()
	c.running.Wait()
	_ = c.nc.Close()
	var session routing.SessionID
	if c.session != nil {
		session = c.session.ID()
		c.session.Detach(c)
	}
	c.server.ended(session, why)
}

// ended reports the end of a socket.
func (s *Server) ended(session routing.SessionID, why *closing) {
	if !why.refusal() {
		s.o.Log.Debug("socket ended", "session", string(session), "why", why.word)
		return
	}
	s.o.Observer.Count(routing.Refusals, why.word)
	s.o.Log.Info("socket closed", "session", string(session), "why", why.word, "code", int(why.code), "detail", why.reason)
}
