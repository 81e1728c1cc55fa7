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
	owed  atomic.Int64 // when the first call was written since then, likewise, and one more; 0 for none
	held  atomic.Bool  // calls wait until something is read
}

// Read is called by the reader only.
func (l *line) Read(p []byte) (int, error) {
	n, err := l.conn.Read(p)
	if n > 0 {
		l.heard.Store(int64(time.Since(l.began)))
		l.owed.Store(0)
		if l.held.Load() {
			l.link.Load().kick()
		}
	}
	return n, err
}

// spoke notes that a call is written, and tells whether it is the first since something
// was read.
func (l *line) spoke() (first bool) {
	return l.owed.Load() == 0 && l.owed.CompareAndSwap(0, 1+int64(time.Since(l.began)))
}

// unheard is how long ago the first call was written since which nothing was read; 0 where
// there is none, too.
func (l *line) unheard() time.Duration {
	if owed := l.owed.Load(); owed > 0 {
		return time.Since(l.began) - time.Duration(owed-1)
	}
	return 0
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
