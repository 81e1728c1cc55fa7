package main

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// echoed is a proxy before a server that answers with what it is sent.
func echoed(t *testing.T) *proxy {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { defer c.Close(); io.Copy(c, c) }()
		}
	}()
	p, err := newProxy(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close(); p.close() })
	return p
}

// says tells what comes back within a moment: the word, "silence" or "end".
func says(t *testing.T, c net.Conn, word string) string {
	t.Helper()
	if _, err := c.Write([]byte(word)); err != nil {
		return "end"
	}
	return hears(c)
}

func hears(c net.Conn) string {
	buf := make([]byte, 100)
	c.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
	n, err := c.Read(buf)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return "silence"
	case err != nil:
		return "end"
	}
	return string(buf[:n])
}

func connect(t *testing.T, p *proxy) net.Conn {
	c, err := net.Dial("tcp", p.address())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// A network does to connections what it is told to, and not more.
func TestProxy(t *testing.T) {
	p := echoed(t)
	expect := func(what, got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("%s: %q, want %q", what, got, want)
		}
	}
	c := connect(t, p)
	expect("peace", says(t, c, "a"), "a")
	p.hold(false, true)
	expect("held", says(t, c, "b"), "silence")
	expect("new while held", says(t, connect(t, p), "c"), "silence")
	p.restore()
	expect("what was held comes", hears(c), "b")
	p.strand()
	expect("stranded", says(t, c, "d"), "silence")
	fresh := connect(t, p)
	expect("new beside the stranded", says(t, fresh, "e"), "e")
	p.restore()
	expect("stranded for ever", says(t, c, "f"), "silence")
	p.sever()
	expect("cut", says(t, fresh, "g"), "end")
	expect("new while cut", says(t, connect(t, p), "h"), "end")
	p.restore()
	fresh = connect(t, p)
	expect("restored", says(t, fresh, "i"), "i")
	p.reset()
	expect("reset", hears(fresh), "end")
}
