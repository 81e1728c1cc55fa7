package ws

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"runtime"
	"sync"

	"github.com/coder/websocket"
)

// wire is what a socket is read with. Between two messages nothing in it tells of the
// socket, so that a parked one has none, and any other's will do when it is woken.
type wire struct {
	line   line
	frames *bufio.Reader   // over line
	ws     *websocket.Conn // over frames; reads messages, and answers pings within them and close frames
}

// The sizes of its buffers: the reader's holds a few small messages, larger ones pass it
// by; the writer's holds any control frame whole, so that each is one call of line.Write.
const (
	readBuffer  = 512
	writeBuffer = 256
)

var wires sync.Pool

// takeWire answers one for a socket that is woken.
func takeWire(c *conn) *wire {
	w, _ := wires.Get().(*wire)
	if w == nil {
		w = new(wire)
		if err := w.accept(unseen{make(http.Header)}, unseenRequest, nil); err != nil {
			panic(err) // the library wants more of a handshake than it did
		}
	}
	w.line.conn, w.line.Conn = c, c.nc
	return w
}

// release gives back a wire which nothing is buffered in.
func (w *wire) release() {
	w.line = line{}
	wires.Put(w)
}

// accept has the library make the request a connection.
func (w *wire) accept(rw http.ResponseWriter, r *http.Request, speak []string) (err error) {
	w.ws, err = websocket.Accept(&hijacker{rw, w}, r, &websocket.AcceptOptions{
		Subprotocols:       speak,
		InsecureSkipVerify: true, // the origin has been checked, by scheme too
		CompressionMode:    websocket.CompressionDisabled,
		OnPongReceived:     func(context.Context, []byte) { w.line.conn.pong() },
	})
	if err != nil {
		return err
	}
	w.ws.SetReadLimit(-1)           // the reader counts itself, to go on reading until the client has closed
	w.frames.Reset(&w.line)         // past a reader of what had come before, which the library has put between: there was nothing
	runtime.SetFinalizer(w.ws, nil) // it would close the line, and, as the library's connection refers to itself, keep both for ever
	return nil
}

// hijacker stands between the HTTP server and the WebSocket library, to give the library
// a line and small buffers in place of the server's own.
type hijacker struct {
	http.ResponseWriter
	wire *wire
}

func (h *hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	nc, rw, err := http.NewResponseController(h.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	early, _ := rw.Reader.Peek(rw.Reader.Buffered())
	w := h.wire
	w.line.Conn, w.line.early = nc, bytes.Clone(early)
	w.frames = bufio.NewReaderSize(&w.line, readBuffer)
	return &w.line, bufio.NewReadWriter(w.frames, bufio.NewWriterSize(&w.line, writeBuffer)), nil
}

// line is the net.Conn that the WebSocket library has. It reads from the
// socket; but what the library writes, which is control frames only, goes
// through the connection's writer like everything else, so that the reader
// never waits for a client that does not read.
type line struct {
	net.Conn
	conn    *conn
	early   []byte // what had arrived with the handshake
	between bool   // the reader waits between two messages, with nothing of the next
}

// errQuiet ends the reader's wait, as nothing has come for a while.
var errQuiet = errors.New("the socket is quiet")

// Read is called by the reader only.
func (l *line) Read(p []byte) (int, error) {
	if len(l.early) > 0 {
		n := copy(p, l.early)
		if l.early = l.early[n:]; len(l.early) == 0 {
			l.early = nil
		}
		return n, nil
	}
	for {
		l.conn.timeMessage()
		n, err := l.Conn.Read(p)
		if err == nil || !errors.Is(err, os.ErrDeadlineExceeded) || !l.conn.kicked() {
			return n, err
		}
		if l.between {
			return 0, errQuiet
		}
	}
}

// Write takes one control frame. It does not block.
func (l *line) Write(p []byte) (int, error) {
	l.conn.send(item{kind: control, text: bytes.Clone(p)})
	return len(p), nil
}

// Close does nothing: the library calls it when it wants the frames before to
// arrive, and whoever owns the connection closes it then.
func (l *line) Close() error { return nil }

// unseen is a handshake that no client has asked for: the library has no other way to
// make a connection.
type unseen struct{ header http.Header }

var unseenRequest = &http.Request{Method: http.MethodGet, ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{
	"Connection": {"Upgrade"}, "Upgrade": {"websocket"},
	"Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"AAAAAAAAAAAAAAAAAAAAAA=="},
}}

func (u unseen) Header() http.Header       { return u.header }
func (unseen) Write(p []byte) (int, error) { return len(p), nil }
func (unseen) WriteHeader(int)             {}

func (unseen) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return nil, bufio.NewReadWriter(bufio.NewReaderSize(bytes.NewReader(nil), 16), nil), nil
}
