package tabletest

import (
	"io"
	"net"
	"sync"
	"testing"
)

// Proxy stands between a table and its server, and can be cut, so that the same
// fault can be made on every server.
type Proxy struct {
	to       string
	listener net.Listener
	running  sync.WaitGroup

	mu    sync.Mutex
	cut   bool
	conns map[net.Conn]bool
}

// NewProxy listens on a free port of the loopback until the test ends.
func NewProxy(t *testing.T, to string) *Proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	p := &Proxy{to: to, listener: l, conns: make(map[net.Conn]bool)}
	p.running.Go(p.accept)
	t.Cleanup(func() {
		l.Close()
		p.Cut()
		p.running.Wait()
	})
	return p
}

// Addr is where the table connects to.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Cut ends all connections, and every new one at once.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = true
	for c := range p.conns {
		c.Close()
	}
}

// Heal lets connections through again.
func (p *Proxy) Heal() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = false
}

func (p *Proxy) accept() {
	for {
		from, err := p.listener.Accept()
		if err != nil {
			return
		}
		to, err := net.Dial("tcp", p.to)
		if err != nil || !p.keep(from, to) {
			from.Close()
			if to != nil {
				to.Close()
			}
			continue
		}
		p.running.Go(func() { p.pipe(from, to) })
		p.running.Go(func() { p.pipe(to, from) })
	}
}

// keep files a pair of connections, unless the proxy is cut.
func (p *Proxy) keep(conns ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cut {
		return false
	}
	for _, c := range conns {
		p.conns[c] = true
	}
	return true
}

func (p *Proxy) pipe(to, from net.Conn) {
	_, _ = io.Copy(to, from)
	to.Close()
	from.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, to)
	delete(p.conns, from)
}
