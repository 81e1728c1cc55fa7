package routing

import (
	"context"
	"sync"
	"time"
)

// wheel is a hashed timer wheel (Varghese and Lauck, 1987): arming and
// disarming are O(1) and allocate nothing, which a runtime timer a request
// would not be at tens of thousands of requests a second, nearly all of which
// are disarmed long before they fire. A timer fires within one tick after its
// time.
type wheel struct {
	mu     sync.Mutex
	slots  [wheelSlots]timer // heads of circular lists
	armed  int
	at     int64         // the tick that was swept last
	start  time.Time     // tick 0
	wakeup chan struct{} // an idle wheel sleeps: the first timer wakes it
}

const (
	wheelSlots = 4096
	wheelTick  = 5 * time.Millisecond
)

// timer is embedded in what it times. Its fields belong to the wheel's lock,
// target excepted, which is set before the timer is first armed.
type timer struct {
	next, prev *timer
	due        int64 // tick
	target     expirer
}

// expirer is what a timer fires. It is an interface and not a func, so that a
// timer needs no closure.
type expirer interface{ expire(now time.Time) }

func newWheel() *wheel {
	w := &wheel{start: time.Now(), wakeup: make(chan struct{}, 1)}
	for i := range w.slots {
		head := &w.slots[i]
		head.next, head.prev = head, head
	}
	return w
}

// arm makes t fire at the time given, or anew if it is armed already.
func (w *wheel) arm(t *timer, at time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.unlinkLocked(t)
	// Round up: a timer never fires early. A time that has passed fires at the next tick.
	t.due = max(int64((at.Sub(w.start)+wheelTick-1)/wheelTick), w.at+1)
	head := &w.slots[t.due%wheelSlots]
	t.prev, t.next = head.prev, head
	t.prev.next, head.prev = t, t
	if w.armed++; w.armed == 1 {
		select {
		case w.wakeup <- struct{}{}:
		default:
		}
	}
}

// disarm keeps t from firing, unless it is firing already.
func (w *wheel) disarm(t *timer) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.unlinkLocked(t)
}

func (w *wheel) unlinkLocked(t *timer) {
	if t.next == nil {
		return
	}
	t.prev.next, t.next.prev = t.next, t.prev
	t.next, t.prev = nil, nil
	w.armed--
}

// run fires what is due, one after the other, until ctx ends. No lock of the
// wheel's is held while a timer fires.
func (w *wheel) run(ctx context.Context) {
	tick := time.NewTimer(0)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := time.Now()
		due, armed := w.sweep(now)
		for _, t := range due {
			t.target.expire(now)
		}
		if armed == 0 {
			select {
			case <-ctx.Done():
				return
			case <-w.wakeup:
			}
		}
		tick.Reset(wheelTick)
	}
}

// sweep unlinks and answers all that is due, and how many stay armed.
func (w *wheel) sweep(now time.Time) (due []*timer, armed int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	to := int64(now.Sub(w.start) / wheelTick)
	from := max(w.at+1, to-wheelSlots+1) // a longer sleep passes each slot once
	for tick := from; tick <= to; tick++ {
		head := &w.slots[tick%wheelSlots]
		for t := head.next; t != head; {
			next := t.next
			if t.due <= to {
				w.unlinkLocked(t)
				due = append(due, t)
			}
			t = next
		}
	}
	w.at = max(w.at, to)
	return due, w.armed
}
