package ws

import (
	"context"
	"errors"
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
	id     uint64   // among all sockets that the server ever had
	nc     net.Conn // under mu until then

	// The reader's.
	wire     *wire           // nil while the socket is parked
	brief    bool            // it was woken, and no message has come since
	timed    bool            // the message that is being read has a deadline
	called   bool            // the client has made a request
	greeted  bool            // it has said hello
	accepted bool            // it wants $/accepted: set before there is a session to say so
	caller   *routing.Caller // as the handshake says, until there is a session
	newest   uint64          // n of the newest request in a batch
	bad      *badMessages    // nil until there is one

	reads   atomic.Uint32           // messages begun, and ended: odd while one is being read; the reader's to set
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
	parking
}

// serve runs the connection to its end, which is near where it is refused, or until it
// is parked.
func (c *conn) serve(refused *closing) {
	c.startTimer()
	switch {
	case refused != nil:
		c.close(refused)
	case !c.v1 && c.admit(""):
		c.open(context.Background())
	}
	c.read()
}

// read is what a reader does: it reads until the socket ends, which it then frees, or
// is parked.
func (c *conn) read() {
	if c.wire == nil {
		c.wire, c.brief = takeWire(c), true
	}
	for c.readAll() {
		if c.park() {
			return
		}
	}
	c.end()
	c.server.remove(c)
}

// open gives the connection a session. Where the node has too many the socket is closed.
func (c *conn) open(ctx context.Context) bool {
	session, e := c.server.o.Router.Open(ctx, routing.OpenSession{Caller: c.caller, Sink: c, Acks: c.v1})
	if e != nil {
		c.close(&closeCrowded)
		return false
	}
	c.setSession(session)
	return true
}

func (c *conn) setSession(s *routing.Session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.session = s
	c.expireLocked(c.caller)
	c.caller = nil // the session has it
}

// readAll reads messages until the socket ends, or is quiet.
func (c *conn) readAll() (quiet bool) {
	defer func() {
		if p := recover(); p != nil {
			c.server.o.Log.Error("a message made the gateway panic", "panic", p, "stack", string(debug.Stack()))
			c.close(&closeBug)
		}
	}()
	for {
		err := c.awaitMessage()
		if err == nil {
			err = c.readOne()
		}
		switch {
		case err == nil:
		case errors.Is(err, errQuiet):
			return true
		default:
			if errors.Is(err, os.ErrDeadlineExceeded) {
				c.close(&closeSlowFrame)
			}
			return false
		}
	}
}

// readOne reads a message and deals with it. While the socket is being closed,
// messages are read and thrown away, until the client has closed it too.
func (c *conn) readOne() error {
	// The context is one that never ends: any other would cost the library a
	// goroutine's worth of work each time. Whoever wants to end this closes nc.
	kind, r, err := c.wire.ws.Reader(context.Background())
	if err != nil {
		return err
	}
	c.reads.Add(1)
	defer c.messageEnded()
	if kind != websocket.MessageText {
		c.close(&closeBinary)
	}
	frame := frames.Get().(*buffer)
	defer frame.release()
	if err := frame.fill(r, int(c.server.o.Frame), c.tooBig); err != nil {
		return err
	}
	c.server.o.Router.Awake(context.Background())
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
	if !c.timed && c.reads.Load()%2 == 1 {
		c.timed = true
		c.setReadDeadline(time.Now().Add(c.server.o.MessageTimeout))
	}
}

func (c *conn) messageEnded() {
	c.reads.Add(1)
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
		c.kick = false
		_ = c.nc.SetReadDeadline(at)
	}
}
