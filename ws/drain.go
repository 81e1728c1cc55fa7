package ws

import (
	"context"
	"strconv"
	"time"

	"parley/routing"
)

const (
	// drainMargin is what Shutdown leaves of its time for sockets to close.
	drainMargin = 2 * time.Second
	// drainWindow is the longest over which clients spread their reconnecting.
	drainWindow = 8 * time.Second
	drainLook   = 50 * time.Millisecond
)

// Shutdown ends all sockets and answers new ones 503. Clients that can resume are
// told to go ($/goaway), and have until shortly before ctx's deadline; others are
// closed (1012) as soon as they have no request open. What is left then is closed
// too. It returns when all that the server ever started has ended: a client has
// 5 s to answer its close frame, or until ctx ends, whose error is then the
// answer. Without a deadline nobody is waited for.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.down = true
	s.mu.Unlock()
	s.drain(ctx)
	s.each(func(c *conn) { c.close(&closeRestart) })
	ended := make(chan struct{})
	go func() {
		s.running.Wait()
		s.lot.close()
		close(ended)
	}()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		s.each(func(c *conn) { c.drop(&lostShutdown) })
		<-ended
		return ctx.Err()
	}
}

// drain waits for sockets to end by themselves.
func (s *Server) drain(ctx context.Context) {
	deadline, ok := ctx.Deadline()
	left := time.Until(deadline) - drainMargin
	if !ok || left <= 0 {
		return
	}
	goaway := appendGoaway(nil, min(drainWindow, left/2), left)
	s.each(func(c *conn) { c.goaway(goaway) })
	over := time.NewTimer(left)
	defer over.Stop()
	look := time.NewTicker(drainLook)
	defer look.Stop()
	for s.Sockets() > 0 {
		select {
		case <-over.C:
			return
		case <-look.C:
			routing.Pass(routing.PointDraining)
			s.each((*conn).closeIdle)
		}
	}
}

// goaway tells a client that can resume to do so elsewhere.
func (c *conn) goaway(message []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.v1 && c.session != nil {
		c.sendLocked(item{kind: text, text: message})
	}
}

// closeIdle ends a plain client's socket that has nothing to wait for. What it waits for
// of a view it can as well wait for elsewhere, as a client that can resume does.
func (c *conn) closeIdle() {
	c.mu.Lock()
	session, v1 := c.session, c.v1
	c.mu.Unlock()
	if v1 {
		return
	}
	if session != nil {
		session.EndWaits()
	}
	if session == nil || session.OpenRequests() == 0 {
		c.close(&closeRestart)
	}
}

// appendGoaway appends a $/goaway: reconnect at a random moment within window, and
// in any case before left has passed.
func appendGoaway(dst []byte, window, left time.Duration) []byte {
	dst = append(dst, head+`"method":"$/goaway","params":{"reconnect":[0,`...)
	dst = strconv.AppendInt(dst, window.Milliseconds(), 10)
	dst = append(dst, `],"deadline":`...)
	dst = strconv.AppendInt(dst, left.Milliseconds(), 10)
	return append(dst, "}}"...)
}
