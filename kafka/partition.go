package kafka

import (
	"sync/atomic"
	"time"
)

// partition is one ownership of one partition of the reply topic. It is the Receipt
// of its replies.
type partition struct {
	id int32
	Line
	rewound time.Time // what Replies.Rewind set it back to; guarded by Replies.mu
	*holding
}

// holding is what an ownership keeps through a rewind.
type holding struct {
	committed atomic.Int64 // what the group has at least; it only rises
	member    string       // the id that commits are made under; belongs to Replies.committing
	confirmed string       // the id that the group has assigned it to; guarded by Replies.mu
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
// first reply that is not done. It is called with Replies.mu held, and p is not
// used by Replies after it.
func (p *partition) again(at int64) *partition {
	p.mu.Lock()
	defer p.mu.Unlock()
	first := p.upTo
	switch {
	case p.head < p.tail:
		first = p.atLocked(p.head).offset
	case first == 0:
		first = p.committed.Load() // nothing was polled yet
	}
	return &partition{id: p.id, Line: Line{upTo: min(at, first), limits: p.limits}, holding: p.holding}
}
