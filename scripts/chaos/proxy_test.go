package main

import (
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"
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

// A machine under load may take its time for whatever comes. For what should not,
// a moment is enough: waiting longer proves no more.
const (
	moment = 200 * time.Millisecond
	ages   = 20 * time.Second
)

// says tells what comes back in time: the word, "silence" or "end". There is an end
// also where there was no connection: a reset can be as fast as the greeting.
func says(c net.Conn, word string, patience time.Duration) string {
	if c == nil {
		return "end"
	}
	if _, err := c.Write([]byte(word)); err != nil {
		return "end"
	}
	return hears(c, patience)
}

func hears(c net.Conn, patience time.Duration) string {
	buf := make([]byte, 100)
	c.SetReadDeadline(time.Now().Add(patience))
	n, err := c.Read(buf)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return "silence"
	case err != nil:
		return "end"
	}
	return string(buf[:n])
}

// connect answers nil where the proxy resets the connection at once.
func connect(t *testing.T, p *proxy) net.Conn {
	c, err := net.Dial("tcp", p.address())
	if errors.Is(err, syscall.ECONNRESET) {
		return nil
	}
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
	expect("peace", says(c, "a", ages), "a")
	p.hold(false, true)
	expect("held", says(c, "b", moment), "silence")
	expect("new while held", says(connect(t, p), "c", moment), "silence")
	p.restore()
	expect("what was held comes", hears(c, ages), "b")
	p.strand()
	expect("stranded", says(c, "d", moment), "silence")
	fresh := connect(t, p)
	expect("new beside the stranded", says(fresh, "e", ages), "e")
	p.restore()
	expect("stranded for ever", says(c, "f", moment), "silence")
	p.sever()
	expect("cut", says(fresh, "g", ages), "end")
	expect("new while cut", says(connect(t, p), "h", ages), "end")
	p.restore()
	fresh = connect(t, p)
	expect("restored", says(fresh, "i", ages), "i")
	p.reset()
	expect("reset", hears(fresh, ages), "end")
}

// A Sentinel names the servers that it watches; a node that asks through its proxy is
// told where the proxies before them listen.
func TestProxyRewrites(t *testing.T) {
	p := echoed(t)
	p.mu.Lock()
	p.rewrite = strings.NewReplacer("20001", "40001", "20002", "40002")
	p.mu.Unlock()
	c := connect(t, p)
	if got := says(c, "$5\r\n20001\r\n$5\r\n20002\r\n", ages); got != "$5\r\n40001\r\n$5\r\n40002\r\n" {
		t.Errorf("the node is told %q", got)
	}
}

// A node's configuration leads to its own proxies only, whether Redis is one server or
// a primary, its replica and Sentinels.
func TestNodeTalksToProxies(t *testing.T) {
	for _, sentinel := range []bool{false, true} {
		o := &options{brokers: 3, sentinel: sentinel, nodes: 1}
		dir := t.TempDir()
		n, err := newNode(o, dir, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer n.close()
		b, err := newBrokers(o, dir, []*node{n})
		if err != nil {
			t.Fatal(err)
		}
		defer b.close()
		r, err := newRedises(o, dir, []*node{n})
		if err != nil {
			t.Fatal(err)
		}
		if err := n.configure(); err != nil {
			t.Fatal(err)
		}
		text, _ := os.ReadFile(n.config)
		for _, s := range slices.Concat(b.all, r.servers, r.sentinels) {
			if strings.Contains(string(text), s.address) {
				t.Errorf("the node would talk to %s without a proxy: %s", s.name, text)
			}
		}
		if len(n.kafka) != len(b.all) || len(n.redis) != len(r.servers)+len(r.sentinels) {
			t.Errorf("%d proxies before Kafka, %d before Redis", len(n.kafka), len(n.redis))
		}
	}
}
