package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/coder/websocket"
)

const (
	subprotocol = "parley.v1"
	lastWords   = time.Second // for what is left to be written to a socket that the gateway closes
)

// leaving is how a socket is left by the client.
type leaving uint8

const (
	staying leaving = iota
	moving          // the session goes on elsewhere
	ending          // it does not
)

// link is one socket, from its handshake to its end.
type link struct {
	c    *Client
	url  string
	ws   *websocket.Conn
	line *line

	welcomed chan struct{}      // closed by the reader
	goaways  chan time.Duration // in how long to move
	kicks    chan struct{}      // there is something to write
	acks     *time.Timer        // the writer waits for it; the reader arms it
	doubts   *time.Timer        // watch waits for it; the writer arms it
	writer                      // what is the writer's alone

	// Under Client.mu.
	ready    bool      // the gateway has welcomed us: calls may be written
	leave    leaving   // no more calls are written
	sealed   bool      // nothing more is written
	drained  bool      // the writer is to end once there is nothing to write
	since    time.Time // when it was ready
	controls []item    // to be written before calls
	queued   int       // bytes in controls
	newest   uint64    // seq that has been handed over
	told     uint64    // seq that has been acknowledged
	armed    bool      // acks is
	ackNow   bool
	doubting bool  // doubts is armed
	why      error // why we cut it off
}

// ended is how a socket has ended.
type ended struct {
	code   int
	reason string
	err    error
	ready  bool          // it had been welcomed
	lived  time.Duration // since then
	moved  bool          // we left it
	died   bool          // without a word from the gateway
}

// dial makes the handshake.
func (c *Client) dial(ctx context.Context, url string) (*link, error) {
	base := c.o.HTTPClient.Transport
	if base == nil {
		base = http.DefaultTransport
	}
	t := &lined{base: base}
	h := *c.o.HTTPClient
	h.Transport = t
	ws, _, err := websocket.Dial(ctx, url, &websocket.DialOptions{
		HTTPClient: &h, HTTPHeader: c.o.Header, Subprotocols: []string{subprotocol},
	})
	switch {
	case err != nil:
		if t.line != nil {
			_ = t.line.conn.Close()
		}
		return nil, err
	case ws.Subprotocol() != subprotocol:
		_ = ws.CloseNow()
		return nil, errors.New("this is no Parley gateway: it does not speak " + subprotocol)
	}
	ws.SetReadLimit(-1) // a reply that is refused for its size would only come again
	l := &link{
		c: c, url: url, ws: ws, line: t.line,
		welcomed: make(chan struct{}), goaways: make(chan time.Duration, 1), kicks: make(chan struct{}, 1),
		acks: time.NewTimer(time.Hour), doubts: time.NewTimer(time.Hour),
	}
	l.acks.Stop()
	l.doubts.Stop()
	l.line.link.Store(l)
	return l, nil
}

// run says hello and serves the socket to its end.
func (l *link) run(patience time.Duration, h hello) ended {
	l.control(item{text: h.append(nil)})
	l.c.attach(l)
	read := make(chan error, 1)
	wrote := make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() { read <- l.read() })
	running.Go(func() { l.write(); close(wrote) })

	err := l.watch(patience, read)
	if websocket.CloseStatus(err) < 0 {
		_ = l.line.conn.Close()
	}
	l.c.detach(l)
	l.kick()
	select {
	case <-wrote:
	case <-time.After(lastWords):
	}
	_ = l.line.conn.Close()
	running.Wait()
	l.acks.Stop()
	l.doubts.Stop()
	_ = l.ws.CloseNow()
	return l.ended(err)
}

// ended tells how it ended, once all its goroutines have.
func (l *link) ended(err error) ended {
	l.c.mu.Lock() // Drop may be late
	defer l.c.mu.Unlock()
	e := ended{code: lostCode, err: err, ready: l.ready}
	if l.ready {
		e.lived = time.Since(l.since)
	}
	var closed websocket.CloseError
	switch {
	case errors.As(err, &closed):
		e.code, e.reason = int(closed.Code), closed.Reason
		e.err = fmt.Errorf("the gateway closed the socket: %d %s", e.code, e.reason)
	case l.why != nil:
		e.err = l.why
	}
	e.moved = l.leave == moving && (e.code == byeCode || afterClose(e.code) == resume)
	return e
}

// watch waits for the reader to end, and sees to it that it does: when the
// gateway has gone silent, when we move, when the client ends.
func (l *link) watch(patience time.Duration, read <-chan error) error {
	silence := silence{link: l, timer: time.NewTimer(patience)}
	defer silence.timer.Stop()
	var move <-chan time.Time
	aborted, closing, welcomed := l.c.ctx.Done(), l.c.closing, l.welcomed
	for {
		select {
		case err := <-read:
			return err
		case <-welcomed:
			welcomed = nil
			l.c.greet()
			silence.welcomed()
		case <-silence.timer.C:
			silence.expired()
		case <-l.doubts.C:
			silence.doubted()
		case delay := <-l.goaways:
			if move == nil {
				move = time.After(delay)
			}
		case <-move:
			l.depart(moving)
			silence.leaving()
		case <-closing:
			closing = nil
			l.depart(ending)
			silence.leaving()
		case <-aborted:
			aborted = nil
			l.cut(context.Canceled)
		}
	}
}

// depart begins to leave the socket politely. A socket that has not been welcomed is
// cut off.
func (l *link) depart(how leaving) {
	c := l.c
	c.mu.Lock()
	l.leave = how
	polite := l.ready
	c.mu.Unlock()
	if !polite {
		l.cut(context.Canceled)
		return
	}
	if how == moving {
		c.become(Connecting, 0)
	}
	l.kick()
}

// cut ends the socket without a goodbye.
func (l *link) cut(why error) {
	l.c.mu.Lock()
	if l.why == nil {
		l.why = why
	}
	l.c.mu.Unlock()
	_ = l.line.conn.Close()
}

// control queues what is not a call. It does not block.
func (l *link) control(i item) {
	l.c.mu.Lock()
	l.controlLocked(i)
	l.c.mu.Unlock()
	l.kick()
}

func (l *link) controlLocked(i item) {
	if !l.sealed {
		l.controls = append(l.controls, i)
		l.queued += len(i.text)
	}
}

// kick wakes the writer.
func (l *link) kick() {
	select {
	case l.kicks <- struct{}{}:
	default:
	}
}
