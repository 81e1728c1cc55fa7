package web

import (
	"sync"
	"time"

	"parley/routing"
)

// flow is the sink of a call whose answer goes out part by part. Between the router,
// which calls it with the session's lock held, and the handler lies a queue no longer
// than the credit that the handler has given: the router keeps the rest.
type flow struct {
	came chan struct{} // has room for one: there is something in the queue

	mu    sync.Mutex
	queue []routing.Delivery // parts, and the outcome last
	at    time.Time          // when the newest came
}

func newFlow() *flow { return &flow{came: make(chan struct{}, 1)} }

// Accepted implements routing.Sink.
func (f *flow) Accepted(string, routing.RequestID) {}

// Leave implements routing.Sink: a call's own sink is never left.
func (f *flow) Leave(routing.Leaving) {}

// Deliver implements routing.Sink. A part is settled as it comes, for the reason
// that parked.Deliver has.
func (f *flow) Deliver(d routing.Delivery) {
	if d.Part {
		d.Written()
	}
	f.mu.Lock()
	f.queue, f.at = append(f.queue, d), time.Now()
	f.mu.Unlock()
	select {
	case f.came <- struct{}{}:
	default:
	}
}

// take empties the queue into batch, and tells when its newest came.
func (f *flow) take(batch []routing.Delivery) ([]routing.Delivery, time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	batch = append(batch[:0], f.queue...)
	clear(f.queue)
	f.queue = f.queue[:0]
	return batch, f.at
}
