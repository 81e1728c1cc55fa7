package table

import (
	"context"
	"slices"
	"sync"
	"time"

	"parley/routing"
)

// memoryKept are the kept requests of a single node. They go with it. Unlike in
// Redis those of sessions cannot be collected: what they wait for the router knows.
type memoryKept struct {
	mu     sync.Mutex
	of     map[routing.SessionID]*memoryRequest
	claims map[string]*memoryRequest
	order  []*memoryRequest // oldest first, as all live equally long
}

type memoryRequest struct {
	routing.Kept
	until   time.Time
	replies []*routing.Reply
	bytes   int
	err     *routing.Error // an outcome that is no reply
	heard   routing.Arrival
}

func (m *memoryKept) init() {
	m.of, m.claims = make(map[routing.SessionID]*memoryRequest), make(map[string]*memoryRequest)
}

// over tells whether the request has its outcome.
func (k *memoryRequest) over() bool {
	return k.err != nil || len(k.replies) > 0 && k.replies[len(k.replies)-1].Final
}

// expireLocked forgets those whose time is over, or that were taken off, and answers
// what they may have waited for.
func (m *memoryKept) expireLocked() (waits []routing.Wait) {
	now := time.Now()
	for len(m.order) > 0 && (!m.order[0].until.After(now) || m.of[m.order[0].Row.Session] != m.order[0]) {
		if w, ok := m.order[0].Row.Wait(); ok {
			waits = append(waits, w)
		}
		m.forgetLocked(m.order[0])
		m.order[0], m.order = nil, m.order[1:]
	}
	return waits
}

func (m *memoryKept) forgetLocked(k *memoryRequest) {
	if m.of[k.Row.Session] == k {
		delete(m.of, k.Row.Session)
	}
	if m.claims[k.Claim] == k {
		delete(m.claims, k.Claim)
	}
}

// Keep records requests and claims their keys.
func (m *Memory) Keep(_ context.Context, kept []*routing.Kept, limit int) []routing.Keeping {
	answers := make([]routing.Keeping, len(kept))
	m.kept.mu.Lock()
	over := m.kept.expireLocked()
	for i, k := range kept {
		answers[i] = m.kept.keepLocked(k, limit)
	}
	m.kept.mu.Unlock()
	for _, w := range over {
		m.Unwait(w.Entity, w.Request)
	}
	return answers
}

func (m *memoryKept) keepLocked(k *routing.Kept, limit int) routing.Keeping {
	if has := m.claims[k.Claim]; has != nil && has.until.After(time.Now()) {
		if has.Digest != k.Digest {
			return routing.Keeping{Err: routing.ErrKeyUsed}
		}
		return routing.Keeping{ID: has.ID}
	}
	if len(m.of) >= limit {
		return routing.Keeping{Err: routing.ErrTooManyKept}
	}
	one := &memoryRequest{Kept: *k, until: time.Now().Add(k.Life)}
	m.of[k.Row.Session], m.order = one, append(m.order, one)
	if k.Claim != "" {
		m.claims[k.Claim] = one
	}
	return routing.Keeping{ID: k.ID}
}

// Collect answers what is known of requests.
func (m *Memory) Collect(_ context.Context, asked []routing.Collection) []routing.Collected {
	answers := make([]routing.Collected, len(asked))
	m.kept.mu.Lock()
	defer m.kept.mu.Unlock()
	for i, q := range asked {
		k := m.kept.findLocked(q.ID, q.Subject)
		if k == nil {
			continue
		}
		answers[i] = routing.Collected{State: routing.Pending, Service: k.Row.Service, Key: k.Key, Entity: k.Row.Entity, Err: k.err, Arrival: k.heard}
		if len(k.replies) > 0 {
			answers[i].Arrival = routing.Arrived
		}
		if k.over() {
			answers[i].State = routing.Over
		}
		if q.From < len(k.replies) {
			answers[i].Replies = slices.Clone(k.replies[q.From:])
		}
	}
	return answers
}

// findLocked answers a request that subject may see; nil where there is none.
func (m *memoryKept) findLocked(id routing.RequestID, subject string) *memoryRequest {
	session, _, _ := id.Split()
	k := m.of[session]
	if k == nil || k.ID != id || k.Subject != subject || !k.until.After(time.Now()) {
		return nil
	}
	return k
}

// Conclude ends requests. What was never sent is forgotten soon.
func (m *Memory) Conclude(_ context.Context, ends []routing.Conclusion) []error {
	answers := make([]error, len(ends))
	m.kept.mu.Lock()
	defer m.kept.mu.Unlock()
	for i, end := range ends {
		k := m.kept.findLocked(end.ID, end.Subject)
		switch {
		case k == nil:
			answers[i] = routing.ErrNotKept
		case k.over():
			answers[i] = routing.ErrConcluded
		default:
			k.err = end.Err
			if m.kept.claims[end.Claim] == k {
				delete(m.kept.claims, end.Claim)
			}
		}
	}
	return answers
}

// Heard notes what Kafka has said of a request.
func (m *Memory) Heard(id routing.RequestID, word routing.Arrival, tell routing.Claimed) {
	m.kept.note(id, word)
	tell.Claimed()
}

func (m *memoryKept) note(id routing.RequestID, word routing.Arrival) {
	session, _, _ := id.Split()
	m.mu.Lock()
	defer m.mu.Unlock()
	if k := m.of[session]; k != nil && k.ID == id && k.heard != routing.Arrived {
		k.heard = word
	}
}

// hold keeps a reply to a kept request.
func (m *memoryKept) hold(reply *routing.Reply) routing.Verdict {
	session, _, _ := reply.ID.Split()
	m.mu.Lock()
	defer m.mu.Unlock()
	k := m.of[session]
	switch {
	case k == nil || k.ID != reply.ID || !k.until.After(time.Now()):
		return unknown
	case slices.ContainsFunc(k.replies, func(r *routing.Reply) bool { return r.From == reply.From && r.From.Topic != "" }):
		return routing.Verdict{Fate: routing.Held}
	case k.err != nil:
		return routing.Verdict{Fate: routing.Dropped, Drop: routing.DropLate}
	case k.over():
		return routing.Verdict{Fate: routing.Dropped, Drop: routing.DropDuplicate}
	case len(k.replies) >= memoryReplies || k.bytes+len(reply.Body) > memoryBytes:
		k.err = parseOutcome(tooMuch)
		return routing.Verdict{Fate: routing.Dropped, Drop: routing.DropHeldFull}
	}
	kept := *reply
	kept.Receipt = nil // the place that it came from is told by the router
	k.replies, k.bytes = append(k.replies, &kept), k.bytes+len(reply.Body)
	return routing.Verdict{Fate: routing.Held}
}

// What is kept of one request: as Options.HeldCount and HeldBytes.
const (
	memoryReplies = 1000
	memoryBytes   = 4 << 20
)
