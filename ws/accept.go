package ws

import (
	"bufio"
	"bytes"
	"context"
	"net"
	"net/http"
	"strings"

	"github.com/coder/websocket"
)

const subprotocol = "parley.v1"

// accept makes the request a socket. Where that fails the client has been
// answered. unknown tells that the client wants only subprotocols that there are not.
func (c *conn) accept(w http.ResponseWriter, r *http.Request) (unknown bool, err error) {
	c.v1, unknown = false, false
	speak := []string{subprotocol}
	if offered := offers(r); len(offered) > 0 {
		c.v1 = containsFold(offered, subprotocol)
		if unknown = !c.v1; unknown {
			// A browser that gets none of what it offered fails the handshake, and would
			// not show the page the close code that says why.
			speak = offered[:1]
		}
	}
	h := &hijacker{ResponseWriter: w, conn: c}
	c.ws, err = websocket.Accept(h, r, &websocket.AcceptOptions{
		Subprotocols:       speak,
		InsecureSkipVerify: true, // the origin has been checked, by scheme too
		CompressionMode:    websocket.CompressionDisabled,
		OnPongReceived:     func(context.Context, []byte) { c.pong() },
	})
	if err == nil {
		c.ws.SetReadLimit(-1) // the reader counts itself, to go on reading until the client has closed
		c.frames = h.frames
		c.frames.Reset(h.line) // past a reader of what had come before, which the library has put between: there was nothing
	}
	return unknown, err
}

// offers are the subprotocols that a client offers, but for one that is a token.
func offers(r *http.Request) (all []string) {
	for _, line := range r.Header.Values("Sec-WebSocket-Protocol") {
		for name := range strings.SplitSeq(line, ",") {
			if name = strings.TrimSpace(name); name != "" && !strings.HasPrefix(name, tokenProtocol) {
				all = append(all, name)
			}
		}
	}
	return all
}

func containsFold(all []string, one string) bool {
	for _, s := range all {
		if strings.EqualFold(s, one) {
			return true
		}
	}
	return false
}

// The library's buffers. An idle socket keeps both: the reader's holds a few
// small messages, larger ones pass it by; the writer's holds any control frame
// whole, so that each is one call of line.Write.
const (
	readBuffer  = 512
	writeBuffer = 256
)

// hijacker stands between the HTTP server and the WebSocket library, to give
// the library a line and small buffers in place of the server's own.
type hijacker struct {
	http.ResponseWriter
	conn *conn

	// What the library gets.
	line   *line
	frames *bufio.Reader
}

func (h *hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	nc, rw, err := http.NewResponseController(h.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	early, _ := rw.Reader.Peek(rw.Reader.Buffered())
	h.conn.attach(nc)
	h.line = &line{Conn: nc, conn: h.conn, early: bytes.Clone(early)}
	h.frames = bufio.NewReaderSize(h.line, readBuffer)
	return h.line, bufio.NewReadWriter(h.frames, bufio.NewWriterSize(h.line, writeBuffer)), nil
}

// line is the net.Conn that the WebSocket library has. It reads from the
// socket; but what the library writes, which is control frames only, goes
// through the connection's writer like everything else, so that the reader
// never waits for a client that does not read.
type line struct {
	net.Conn
	conn  *conn
	early []byte // what had arrived with the handshake
}

// Read is called by the reader only.
func (l *line) Read(p []byte) (int, error) {
	if len(l.early) > 0 {
		n := copy(p, l.early)
		if l.early = l.early[n:]; len(l.early) == 0 {
			l.early = nil
		}
		return n, nil
	}
	l.conn.timeMessage()
	return l.Conn.Read(p)
}

// Write takes one control frame. It does not block.
func (l *line) Write(p []byte) (int, error) {
	l.conn.send(item{kind: control, text: bytes.Clone(p)})
	return len(p), nil
}

// Close does nothing: the library calls it when it wants the frames before to
// arrive, and whoever owns the connection closes it then.
func (l *line) Close() error { return nil }
