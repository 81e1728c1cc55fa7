package ws

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/coder/websocket"

	"parley/routing"
)

// conn is one socket, from its handshake to its end.
type conn struct {
	// Set before the reader starts.
	server *Server
	nc     net.Conn        // under mu until then
	ws     *websocket.Conn // reads frames, and answers pings and close frames

	// The reader's.
	timed    bool         // the message that is being read has a deadline
	called   bool         // the client has made a request
	greeted  bool         // it has said hello
	accepted bool         // it wants $/accepted: set before there is a session to say so
	newest   uint64       // n of the newest request in a batch
	bad      *badMessages // nil until there is one

	begun   atomic.Bool             // a message is being read; the reader's to set
	writing atomic.Int64            // since when (clock) a write is going on, else 0; the writer's to set
	why     atomic.Pointer[closing] // why the socket ends; set once, under mu

	running sync.WaitGroup // the writer and the timer; added to under mu, while not dead

	mu      sync.Mutex
	session *routing.Session // nil before the hello; set by the reader, which may read it without mu
	v1      bool             // speaks parley.v1; like session
	dead    bool             // the reader has ended: nothing more is to be written
	sealed  bool             // the close frame has been written, or none will be
	out     *outbox          // what is to be written; nil while there is no writer
	queued  int              // bytes of what waits in out, about
	over    time.Duration    // since when (clock) queued has been over the limit, else 0
	batched int              // open requests that were made in batches
	kept    int              // bytes of answers that wait for the rest of their batch, about
	times
}

// closeWait is how long a client has to read what is on its way to it and to
// answer a close frame.
const closeWait = 5 * time.Second

// serve runs the connection to its end.
func (c *conn) serve(unknownSubprotocol bool) {
	defer c.end()
	c.startTimer()
	switch {
	case unknownSubprotocol:
		c.close(&closeProtocol)
	case !c.v1:
		c.open(context.Background())
	}
	c.readAll()
}

// open gives the connection a session. Where the node has too many the socket is closed.
func (c *conn) open(ctx context.Context) bool {
	session, e := c.server.Router.Open(ctx, routing.OpenSession{Sink: c, Acks: c.v1})
	if e != nil {
		c.close(&closeCrowded)
		return false
	}
	c.mu.Lock()
	c.session = session
	c.mu.Unlock()
	return true
}

// readAll reads messages until the socket ends.
func (c *conn) readAll() {
	defer func() {
		if p := recover(); p != nil {
			c.server.Log.Error("a message made the gateway panic", "panic", p, "stack", string(debug.Stack()))
			c.close(&closeBug)
		}
	}()
	for {
		if err := c.readOne(); err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) {
				c.close(&closeSlowFrame)
			}
			return
		}
	}
}

// readOne reads a message and deals with it. While the socket is being closed,
// messages are read and thrown away, until the client has closed it too.
func (c *conn) readOne() error {
	// The context is one that never ends: any other would cost the library a
	// goroutine's worth of work each time. Whoever wants to end this closes nc.
	kind, r, err := c.ws.Reader(context.Background())
	if err != nil {
		return err
	}
	c.begun.Store(true)
	defer c.messageEnded()
	if kind != websocket.MessageText {
		c.close(&closeBinary)
	}
	frame := frames.Get().(*buffer)
	defer frame.release()
	if err := frame.fill(r, int(c.server.Frame), c.tooBig); err != nil {
		return err
	}
	switch {
	case c.why.Load() != nil:
	case !utf8.Valid(frame.b):
		c.close(&closeNotUTF8)
	default:
		c.take(frame.b)
	}
	return nil
}

func (c *conn) tooBig() { c.close(&closeTooBig) }

// timeMessage gives the message that is being read a deadline, once it turns
// out that it has not arrived in one piece.
func (c *conn) timeMessage() {
	if !c.timed && c.begun.Load() {
		c.timed = true
		c.setReadDeadline(time.Now().Add(c.server.MessageTimeout))
	}
}

func (c *conn) messageEnded() {
	c.begun.Store(false)
	if c.timed {
		c.timed = false
		c.setReadDeadline(time.Time{})
	}
}

// setReadDeadline gives way to the deadline of a socket that is being closed.
func (c *conn) setReadDeadline(at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.why.Load() == nil {
		_ = c.nc.SetReadDeadline(at)
	}
}

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
	if why == &closeSlow {
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
	_ = c.ws.CloseNow()
	var session routing.SessionID
	if c.session != nil {
		session = c.session.ID()
		c.session.Close()
	}
	c.server.ended(session, why)
}

// ended reports the end of a socket.
func (s *Server) ended(session routing.SessionID, why *closing) {
	if !why.refusal() {
		s.Log.Debug("socket ended", "session", string(session), "why", why.word)
		return
	}
	s.Observer.Count(routing.Refusals, why.word)
	s.Log.Info("socket closed", "session", string(session), "why", why.word, "code", int(why.code))
}

// buffer is what a message is read into, while it is being read and dealt with:
// an idle socket has none.
type buffer struct{ b []byte }

var frames = sync.Pool{New: func() any { return &buffer{make([]byte, 0, 4096)} }}

const keepBuffer = 64 << 10 // a buffer that has grown larger is not kept

func (b *buffer) release() {
	if cap(b.b) <= keepBuffer {
		b.b = b.b[:0]
		frames.Put(b)
	}
}

// fill reads all of r, and calls tooBig once when that is more than limit
// bytes, of which the rest is thrown away.
func (b *buffer) fill(r io.Reader, limit int, tooBig func()) error {
	for {
		if len(b.b) == cap(b.b) {
			b.b = append(b.b, 0)[:len(b.b)]
		}
		n, err := r.Read(b.b[len(b.b):cap(b.b)])
		b.b = b.b[:len(b.b)+n]
		if len(b.b) > limit {
			tooBig()
			_, err = io.Copy(io.Discard, r)
			return err
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
