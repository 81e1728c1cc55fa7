package routing

import "context"

// The world's kept requests: sessions without an owner, as in the real table.

func (v view) Keep(_ context.Context, kept []*Kept, limit int) []Keeping {
	answers := make([]Keeping, len(kept))
	cut := v.cut()
	v.mu.Lock()
	defer v.mu.Unlock()
	for i, k := range kept {
		has := v.claims[k.Claim]
		switch {
		case cut:
			answers[i].Err = errCut
		case has != nil && has.Digest != k.Digest:
			answers[i].Err = ErrKeyUsed
		case has != nil:
			answers[i].ID = has.ID
		case len(v.claims) >= limit:
			answers[i].Err = ErrTooManyKept
		default:
			answers[i].ID = k.ID
			if k.Claim != "" {
				v.claims[k.Claim] = k
			}
			v.sessions[k.Row.Session] = &entry{SessionRow: SessionRow{Subject: k.Subject, Epoch: 1}, kept: k}
		}
	}
	return answers
}

func (v view) Collect(_ context.Context, asked []Collection) []Collected {
	answers := make([]Collected, len(asked))
	cut := v.cut()
	v.mu.Lock()
	defer v.mu.Unlock()
	for i, q := range asked {
		session, n, _ := q.ID.Split()
		e := v.sessions[session]
		switch {
		case cut:
			answers[i].Failed = errCut
		case e == nil || e.Subject != q.Subject || e.kept != nil && e.kept.ID != q.ID:
		case e.kept == nil && e.rows[n].N == 0:
		default:
			answers[i] = e.collect(q)
		}
	}
	return answers
}

// collect answers at most one reply at a time: a table need not answer all.
func (e *entry) collect(q Collection) Collected {
	c := Collected{State: Pending, Service: "orders", Err: e.err, Arrival: e.heard}
	if e.kept != nil {
		c.Key, c.Service, c.Entity = e.kept.Key, e.kept.Row.Service, e.kept.Row.Entity
	}
	if e.err != nil {
		c.State = Over
	}
	for _, r := range e.held {
		if r.ID != q.ID {
			continue
		}
		c.Arrival = Arrived
		if q.From--; q.From < 0 && len(c.Replies) == 0 {
			c.Replies = append(c.Replies, plain(r))
			if r.Final {
				c.State = Over
			}
		}
	}
	return c
}

func (v view) Conclude(_ context.Context, ends []Conclusion) []error {
	answers := make([]error, len(ends))
	cut := v.cut()
	v.mu.Lock()
	defer v.mu.Unlock()
	for i, end := range ends {
		session, _, _ := end.ID.Split()
		e := v.sessions[session]
		switch {
		case cut:
			answers[i] = errCut
		case e == nil || e.kept == nil || e.Subject != end.Subject:
			answers[i] = ErrNotKept
		case e.over():
			answers[i] = ErrConcluded
		default:
			e.err = end.Err
			if has := v.claims[end.Claim]; has != nil && has.ID == end.ID {
				delete(v.claims, end.Claim)
			}
		}
	}
	return answers
}

func (v view) Heard(id RequestID, word Arrival, tell Claimed) {
	cut := v.cut()
	session, _, _ := id.Split()
	v.mu.Lock()
	if e := v.sessions[session]; e != nil && !cut && e.heard != Arrived {
		e.heard = word
	}
	v.mu.Unlock()
	tell.Claimed()
}

// over tells whether a kept request has its outcome.
func (e *entry) over() bool {
	return e.err != nil || len(e.held) > 0 && e.held[len(e.held)-1].Final
}

// holdKept is what the table says to a reply that is too late for a kept request;
// Failed where it is not.
func (e *entry) holdKept() Verdict {
	switch {
	case e.kept == nil || !e.over():
		return Verdict{}
	case e.err != nil:
		return Verdict{Fate: Dropped, Drop: DropLate}
	}
	return Verdict{Fate: Dropped, Drop: DropDuplicate}
}

// The fake cluster keeps nothing.

func (*cluster) Keep(_ context.Context, kept []*Kept, _ int) []Keeping {
	answers := make([]Keeping, len(kept))
	for i := range answers {
		answers[i].Err = errCut
	}
	return answers
}

func (*cluster) Collect(_ context.Context, asked []Collection) []Collected {
	return make([]Collected, len(asked))
}

func (*cluster) Heard(RequestID, Arrival, Claimed) {}

func (*cluster) Conclude(_ context.Context, ends []Conclusion) []error {
	return make([]error, len(ends))
}
