package routing

import "hash/maphash"

// trailStreams is about how many streams a Trail remembers: the newest.
const trailStreams = 2048

// Trail is what the reader of a partition remembers of answers in parts that carry no
// numbers: where the newest of each stands. It begins where the reader does, and knows
// nothing of what stands before. The zero value is one. It belongs to one goroutine.
type Trail struct {
	newest, older map[uint64]int64 // offset + 1, by a hash of the request's id; older is given up as newest fills
}

var trailSeed = maphash.MakeSeed()

// Mark tells a reply which one stands before it, where that is known: Reply.After. It is
// called with the replies of one partition in their order. It costs nothing for those
// that are numbered, nor for single ones while no request is answered in parts.
func (t *Trail) Mark(r *Reply) {
	if r.Place > 0 || r.Final && len(t.newest)+len(t.older) == 0 {
		return
	}
	key := maphash.String(trailSeed, string(r.ID))
	after, known := t.newest[key]
	if !known {
		after = t.older[key]
	}
	r.After = after
	if r.Final {
		delete(t.newest, key)
		delete(t.older, key)
		return
	}
	if len(t.newest) >= trailStreams/2 && !known {
		t.older, t.newest = t.newest, nil
	}
	if t.newest == nil {
		t.newest = make(map[uint64]int64)
	}
	t.newest[key] = r.From.Offset + 1
}
