package routing

import (
	"sync"
	"sync/atomic"
)

// afield are the pushes that are on their way through the table, by session. One that is
// newer must not pass them by, should its session come to this node meanwhile; and this
// node has not handed all on, should it leave.
type afield struct {
	all atomic.Int64
	mu  sync.Mutex
	of  map[SessionID]map[*Reply]*errand
}

// errand is one push's way.
type errand struct {
	legs int      // that it has begun and not ended
	by   *handing // that waits for its end; nil for none
}

// goes notes that a reply has been sent on its way. That ends with went, once for each time.
func (a *afield) goes(reply *Reply) {
	session, n, _ := reply.ID.Split()
	if !isPush(n) {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.of == nil {
		a.of = make(map[SessionID]map[*Reply]*errand)
	}
	if a.of[session] == nil {
		a.of[session] = make(map[*Reply]*errand)
	}
	if a.of[session][reply] == nil {
		a.of[session][reply] = &errand{}
		a.all.Add(1)
	}
	a.of[session][reply].legs++
}

// went notes that it has come to its end, or is with its session.
func (a *afield) went(reply *Reply) {
	session, n, _ := reply.ID.Split()
	if !isPush(n) {
		return
	}
	a.mu.Lock()
	e := a.of[session][reply]
	e.legs--
	if e.legs > 0 {
		a.mu.Unlock()
		return
	}
	a.all.Add(-1)
	if delete(a.of[session], reply); len(a.of[session]) == 0 {
		delete(a.of, session)
	}
	a.mu.Unlock()
	e.by.done()
}

// has tells whether a push for a session is on its way.
func (a *afield) has(session SessionID) bool {
	if a.all.Load() == 0 {
		return false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.of[session]) > 0
}

// tell has h told of each push for its session that is on its way now, and answers of how
// many.
func (a *afield) tell(h *handing) (n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, e := range a.of[h.session] {
		if e.by == nil {
			e.by = h
			n++
		}
	}
	return n
}
