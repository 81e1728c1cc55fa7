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

// flights are the requests that an event is about to answer, or has answered. Until its
// answer is safe the request still waits in the table, and a later event must not take its
// place: should the answer be dropped as a second one and settled, the wait would be
// removed while the first may still be lost. Nor must it when the answer is safe: the wait
// is removed behind other writes, and a node that writes its sessions anew may note it
// again. Where the answer is in a dead node's inbox, the later event would be there first.
type flights struct {
	mu             sync.Mutex
	out            map[routing.RequestID]place64
	landed, before map[routing.RequestID]place64 // the newest whose answers are safe, and those before them
}

// remembered is how many requests are known at least to have been answered: for longer
// than it takes until the table does not list them, or the inboxes of dead nodes are
// routed again.
const remembered = 4096

func newFlights() flights {
	return flights{out: make(map[routing.RequestID]place64), landed: make(map[routing.RequestID]place64)}
}

// start tells whether an event may answer a request: no other does, or has.
func (f *flights) start(id routing.RequestID, at place64) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, known := range []map[routing.RequestID]place64{f.out, f.landed, f.before} {
		if first, ok := known[id]; ok && first != at {
			return false
		}
	}
	f.out[id] = at
	return true
}

// end notes that the answer to a request is safe.
func (f *flights) end(id routing.RequestID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	at, ok := f.out[id]
	if !ok {
		return
	}
	delete(f.out, id)
	if f.landed[id] = at; len(f.landed) == remembered {
		f.landed, f.before = make(map[routing.RequestID]place64), f.landed
	}
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
