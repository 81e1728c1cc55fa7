package tabletest

import (
	"context"
	"errors"
	"net"
	"sync"
)

// Wire is how one table reaches Redis, and can be cut for that table alone.
type Wire struct {
	mu    sync.Mutex
	cut   bool
	conns []net.Conn
}

// NewWire makes a wire that is whole.
func NewWire() *Wire { return &Wire{} }

var errCut = errors.New("the wire is cut")

// Dial is the dialer of the table's client.
func (w *Wire) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.cut {
		conn.Close()
		return nil, errCut
	}
	w.conns = append(w.conns, conn)
	return conn, nil
}

// Cut ends all connections, and every new one at once.
func (w *Wire) Cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut = true
	for _, c := range w.conns {
		c.Close()
	}
	w.conns = nil
}

// Heal lets connections through again.
func (w *Wire) Heal() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut = false
}
