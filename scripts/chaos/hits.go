package main

import (
	"slices"
	"sync"
	"time"
)

// hit is a fault that was done, or the return of what it had ended: when it began, and to
// which nodes.
type hit struct {
	at      time.Duration // on the history's clock
	nodes   []string      // nil for all
	returns bool          // they are started again
}

// hits are those of one load, in their order. Its methods may be called from any goroutine.
type hits struct {
	history *history

	mu  sync.Mutex
	all []hit
}

// struck notes that a fault begins; no nodes for all.
func (h *hits) struck(nodes ...*node) { h.add(false, nodes) }

// returned notes that nodes which a fault has ended are started again.
func (h *hits) returned(nodes ...*node) { h.add(true, nodes) }

func (h *hits) add(returns bool, nodes []*node) {
	h.mu.Lock()
	defer h.mu.Unlock()
	at := hit{at: h.history.now(), returns: returns}
	for _, n := range nodes {
		at.nodes = append(at.nodes, n.name)
	}
	h.all = append(h.all, at)
}

// aftermath is how long after a hit requests are looked at.
const aftermath = 15 * time.Second

// until is when the aftermath of the i-th hit is over. That of a fault ends where what it
// has ended is started again, for that has a cost of its own: partitions move. And that of
// a return ends with the next fault.
func (h *hits) until(i int) time.Duration {
	at, end := h.all[i], h.all[i].at+aftermath
	for _, later := range h.all[i+1:] {
		if at.returns != later.returns && (at.returns || at.concerns(later.nodes)) {
			return min(end, later.at)
		}
	}
	return end
}

// concerns tells whether a hit is about one of these nodes.
func (h hit) concerns(nodes []string) bool {
	return h.nodes == nil || slices.ContainsFunc(nodes, func(n string) bool { return slices.Contains(h.nodes, n) })
}
