package main

import (
	"fmt"
	"net"
	"strings"
	"sync"
	"time"
)

// proxy stands between somebody who connects and a server, and does to their
// connections what networks do. Its methods may be called from any goroutine.
type proxy struct {
	listener net.Listener
	target   string
	rewrite  *strings.Replacer // of what the server says, nil for none; set before the first connection
	running  sync.WaitGroup

	mu      sync.Mutex
	links   map[*link]struct{}
	closed  bool
	cut     bool          // connections are refused
	latency time.Duration // added to each way
	toward  gate          // client to server
	back    gate          // server to client
}

// link is one connection through a proxy.
type link struct {
	client, server net.Conn
	stuck          chan struct{} // nil, or never closed: nothing passes any more
}

// gate holds up what flows in one direction while it is shut. It needs the
// proxy's lock.
type gate struct{ shut chan struct{} }

func newProxy(target string) (*proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("open a proxy: %w", err)
	}
	p := &proxy{listener: l, target: target, links: make(map[*link]struct{})}
	p.running.Go(p.accept)
	return p, nil
}

func (p *proxy) address() string { return p.listener.Addr().String() }

// close ends the proxy and all its connections, and waits for that.
func (p *proxy) close() {
	p.listener.Close()
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.restore()
	p.reset()
	p.running.Wait()
}

// sever cuts the network: connections are reset, and new ones refused.
func (p *proxy) sever() {
	p.mu.Lock()
	p.cut = true
	p.mu.Unlock()
	p.reset()
}

// reset ends all connections at once; new ones are welcome.
func (p *proxy) reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.links {
		l.reset()
	}
}

// hold lets nothing pass in the directions named, and keeps what comes meanwhile
// as TCP would: it arrives when the network is restored. New connections are
// made, and are as silent.
func (p *proxy) hold(toward, back bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.toward.set(toward)
	p.back.set(back)
}

// strand makes half-open connections of all that there are: neither end is told
// anything any more, now or later. New connections work.
func (p *proxy) strand() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.links {
		if l.stuck == nil {
			l.stuck = make(chan struct{})
		}
	}
}

// delay adds latency to each way. What is sent meanwhile waits in turn, so it
// also bounds the throughput, to 64 KiB per latency.
func (p *proxy) delay(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.latency = d
}

// restore ends what sever, hold and delay began. Stranded connections stay so.
func (p *proxy) restore() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut, p.latency = false, 0
	p.toward.set(false)
	p.back.set(false)
}

func (g *gate) set(shut bool) {
	switch {
	case shut && g.shut == nil:
		g.shut = make(chan struct{})
	case !shut && g.shut != nil:
		close(g.shut)
		g.shut = nil
	}
}
