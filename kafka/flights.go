package kafka

import (
	"sync"

	"parley/routing"
)

// place64 is a record's place.
type place64 struct {
	place
	offset int64
}

// flights are the requests that an event is about to answer. Until its answer is
// safe the request still waits in the table, and a later event must not take its
// place: should the answer be dropped as a second one and settled, the wait would be
// removed while the first may still be lost.
type flights struct {
	mu sync.Mutex
	of map[routing.RequestID]place64
}

// start tells whether an event may answer a request: no other does.
func (f *flights) start(id routing.RequestID, at place64) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if first, out := f.of[id]; out && first != at {
		return false
	}
	f.of[id] = at
	return true
}

func (f *flights) end(id routing.RequestID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.of, id)
}

// eventReceipt is the receipt of the replies that one event has become. Its record need not
// be kept once all of them need not.
type eventReceipt struct {
	events *Events
	p      *partition
	token  routing.Token

	mu    sync.Mutex
	waits []awaited
	left  int // replies, and services that have not been dealt with yet
}

// awaited is one reply's wait.
type awaited struct {
	about routing.Entity
	id    routing.RequestID
}

// wait counts a reply in. Its token's A is its place among the event's.
func (e *eventReceipt) wait(about routing.Entity, id routing.RequestID) (*eventReceipt, routing.Token) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.waits = append(e.waits, awaited{about, id})
	e.left++
	return e, routing.Token{A: int64(len(e.waits) - 1), B: e.token.B}
}

// Done implements routing.Receipt: the answer is safe, and is waited for no longer.
func (e *eventReceipt) Done(t routing.Token) {
	e.mu.Lock()
	w := e.waits[t.A]
	e.mu.Unlock()
	if w.id != "" { // else it is a push
		e.events.flights.end(w.id)
		e.events.o.Waits.Unwait(w.about, w.id)
	}
	e.settle()
}

// settle counts out a reply, or a service.
func (e *eventReceipt) settle() {
	e.mu.Lock()
	e.left--
	last := e.left == 0
	e.mu.Unlock()
	if last {
		e.p.Done(e.token)
	}
}
