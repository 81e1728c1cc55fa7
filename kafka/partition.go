package kafka

import (
	"sync/atomic"
	"time"

	"parley/routing"
)

// place is a partition of a topic.
type place struct {
	topic string
	id    int32
}

// putAt files something about a partition under its topic.
func putAt[T any](all map[string]map[int32]T, at place, it T) {
	if all[at.topic] == nil {
		all[at.topic] = make(map[int32]T)
	}
	all[at.topic][at.id] = it
}

// partition is one ownership of one partition that is consumed. It is the Receipt
// of its records.
type partition struct {
	place
	Line
	rewound time.Time // what consumer.Rewind set it back to; guarded by consumer.mu
	*holding

	trail routing.Trail // of its replies or pushes; belongs to the goroutine that polls
}

// holding is what an ownership keeps through a rewind.
type holding struct {
	committed atomic.Int64 // what the group has at least; it only rises
	member    string       // the id that commits are made under; belongs to consumer.committing
	confirmed string       // the id that the group has assigned it to; guarded by consumer.mu
}

// raise notes what the group has committed.
func (h *holding) raise(committed int64) {
	for {
		known := h.committed.Load()
		if committed <= known || h.committed.CompareAndSwap(known, committed) {
			return
		}
	}
}

// again is the same ownership begun anew at an earlier offset, but not after the
// first reply that is not done. It is called with consumer.mu held, and p is not
// used by the consumer after it.
func (p *partition) again(at int64) *partition {
	p.mu.Lock()
	defer p.mu.Unlock()
	first := p.upTo
	switch {
	case p.head < p.tail:
		first = p.atLocked(p.head).offset
	case first == 0:
		first = max(0, p.committed.Load()) // nothing was polled yet
	}
	return &partition{place: p.place, Line: Line{upTo: min(at, first), limits: p.limits}, holding: p.holding}
}
