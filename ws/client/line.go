package client

import (
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"time"
)

// line stands between the WebSocket library and the connection. The library
// reads from the connection, but what it writes, which is control frames only,
// goes through the link's writer like everything else; so the reader never waits
// for a gateway that does not read.
type line struct {
	conn  io.ReadWriteCloser
	link  atomic.Pointer[link] // nil during the handshake
	began time.Time
	heard atomic.Int64 // when something was read last: nanoseconds since began
}

// Read is called by the reader only.
func (l *line) Read(p []byte) (int, error) {
	n, err := l.conn.Read(p)
	l.heard.Store(int64(time.Since(l.began)))
	return n, err
}

// Write takes one control frame. It does not block.
func (l *line) Write(p []byte) (int, error) {
	link := l.link.Load()
	if link == nil {
		return 0, errors.New("nothing is written yet")
	}
	link.control(item{raw: append([]byte(nil), p...)})
	return len(p), nil
}

// Close does nothing once there is a link, which closes the connection when the
// library's last frame has been written.
func (l *line) Close() error {
	if l.link.Load() == nil {
		return l.conn.Close()
	}
	return nil
}

// lined makes handshakes whose connection is a line.
type lined struct {
	base http.RoundTripper
	line *line
}

func (t *lined) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := t.base.RoundTrip(r)
	if err != nil || response.StatusCode != http.StatusSwitchingProtocols {
		return response, err
	}
	conn, ok := response.Body.(io.ReadWriteCloser)
	if !ok {
		_ = response.Body.Close()
		return nil, errors.New("the HTTP transport does not let go of its connection")
	}
	t.line = &line{conn: conn, began: time.Now()}
	response.Body = t.line
	return response, nil
}
