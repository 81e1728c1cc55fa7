package routing

import "hash/maphash"

// trailStreams is about how many streams a Trail remembers: the newest.
const trailStreams = 2048

// trailSessions is how many sessions it remembers that events were pushed to.
const trailSessions = 1 << 16

// Trail is what the reader of a partition remembers of answers in parts that carry no
// numbers: where the newest of each stands. It begins where the reader does, and knows
// nothing of what stands before. The zero value is one. It belongs to one goroutine.
type Trail struct {
	newest, older map[uint64]int64 // offset + 1, by a hash of the request's id; older is given up as newest fills
	told          map[uint64]int64 // offset + 1 of the newest push, by a hash of the session's id
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

// Tell tells a push which one to the same session stands before it, where that is known:
// Reply.After. It is called with the pushes of one partition in the order of its events.
func (t *Trail) Tell(session SessionID, push *Reply) {
	key := maphash.String(trailSeed, string(session))
	push.After = t.told[key]
	if t.told == nil || len(t.told) >= trailSessions && push.After == 0 {
		t.told = make(map[uint64]int64) // of those that are forgotten the next push is a first one again
	}
	t.told[key] = push.From.Offset + 1
}
