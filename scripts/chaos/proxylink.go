package main

import (
	"net"
	"strings"
	"sync"
	"time"
)

// accept takes connections until the proxy is closed.
func (p *proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.running.Go(func() { p.serve(client) })
	}
}

// serve is the life of one connection.
func (p *proxy) serve(client net.Conn) {
	l := &link{client: client}
	if !p.dial(l) {
		abort(client)
		return
	}
	p.mu.Lock()
	rewrite := p.rewrite
	p.mu.Unlock()
	var both sync.WaitGroup
	both.Go(func() { p.pump(l, l.client, l.server, &p.toward, nil) })
	both.Go(func() { p.pump(l, l.server, l.client, &p.back, rewrite) })
	both.Wait()
	p.mu.Lock()
	delete(p.links, l)
	p.mu.Unlock()
}

// dial connects a new link to the server, unless the network is cut.
func (p *proxy) dial(l *link) bool {
	p.mu.Lock()
	refused := p.cut || p.closed
	p.mu.Unlock()
	if refused {
		return false
	}
	var err error
	if l.server, err = net.DialTimeout("tcp", p.target, 5*time.Second); err != nil {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cut || p.closed {
		abort(l.server)
		return false
	}
	p.links[l] = struct{}{}
	return true
}

// pump copies one direction until it ends, which ends the other one too. What is to be
// rewritten must come in one piece.
func (p *proxy) pump(l *link, from, to net.Conn, g *gate, rewrite *strings.Replacer) {
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if !p.pass(l, g) {
			return // stranded: the ends find out by themselves
		}
		if n > 0 {
			text := buf[:n]
			if rewrite != nil {
				text = []byte(rewrite.Replace(string(text)))
			}
			if _, werr := to.Write(text); err == nil {
				err = werr
			}
		}
		if err != nil {
			l.end()
			return
		}
	}
}

// pass waits until the network lets something through. It is false where that
// will never be.
func (p *proxy) pass(l *link, g *gate) bool {
	for {
		p.mu.Lock()
		shut, latency, stuck := g.shut, p.latency, l.stuck
		p.mu.Unlock()
		switch {
		case stuck != nil:
			<-stuck // until the link is reset
			return false
		case shut != nil:
			<-shut
		default:
			time.Sleep(latency)
			return true
		}
	}
}

// reset ends both ends with a RST. It needs the proxy's lock.
func (l *link) reset() {
	abort(l.client)
	abort(l.server)
	if l.stuck != nil {
		select {
		case <-l.stuck:
		default:
			close(l.stuck)
		}
	}
}

// end closes both ends in peace.
func (l *link) end() {
	l.client.Close()
	l.server.Close()
}

func abort(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		tcp.SetLinger(0)
	}
	c.Close()
}
