package routing

import (
	"context"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// awaitEvery is how often the table is asked for requests that are awaited, whose
	// replies may be held by another node. What this node holds is looked at at once.
	awaitEvery = 100 * time.Millisecond
	// awaitEach is how much longer that takes for each of them, so that many cost the
	// table no more than 20,000 looks a second.
	awaitEach = 50 * time.Microsecond
	// awaitBatch is how many are asked for in one trip, each of which may bring a
	// reply of any size.
	awaitBatch = 64
)

// Collect answers what is known of a request, with all its replies from a position
// on. It blocks for a round trip or a few. A request that is unknown, has expired or
// is another subject's is Gone.
func (r *Router) Collect(ctx context.Context, asked Collection) (all Collected, err *Error) {
	if _, _, ok := asked.ID.Split(); !ok {
		return Collected{}, refuse(UnknownRequest, false, "there is no such request")
	}
	for {
		c := r.table.Collect(ctx, []Collection{asked})[0]
		if c.Failed != nil {
			r.log.Warn("request cannot be collected", "request", string(asked.ID), "err", c.Failed)
			return Collected{}, &Error{Word: Unavailable, Message: "requests cannot be looked up at the moment", Outcome: Unknown, Retry: true}
		}
		more := len(c.Replies)
		asked.From += more
		c.Replies = append(all.Replies, c.Replies...)
		if all = c; all.State != Pending || more == 0 {
			return all, nil
		}
	}
}

// Await is Collect that blocks until there is more than the asker has, or ctx ends:
// then the answer is Pending, without replies. With the table away it waits on. It
// answers Overloaded where too many wait.
func (r *Router) Await(ctx context.Context, asked Collection) (Collected, *Error) {
	if _, _, ok := asked.ID.Split(); !ok {
		return Collected{}, refuse(UnknownRequest, false, "there is no such request")
	}
	w := &waiter{Collection: asked}
	come := make(awaited, 1)
	w.to = come
	if !r.waiters.add(w, r.limits.Waiters) {
		return Collected{}, r.tooManyWait()
	}
	select {
	case c := <-come:
		return c, nil
	case <-ctx.Done():
	}
	r.waiters.remove(w)
	select {
	case c := <-come:
		return c, nil
	default:
		return Collected{State: Pending}, nil
	}
}

func (r *Router) tooManyWait() *Error {
	r.observer.Count(Refusals, string(Overloaded))
	return &Error{Word: Overloaded, Message: "too many wait for requests at this node", Outcome: Unknown, Retry: true}
}

// Cancel gives a kept request the outcome cancelled, unless it has one, and tells its
// service, if that wants to know. It blocks for two round trips. The errors are
// ErrNotKept, ErrConcluded, or the table's.
func (r *Router) Cancel(ctx context.Context, id RequestID, subject string) error {
	known := r.table.Collect(ctx, []Collection{{ID: id, Subject: subject, From: math.MaxInt32}})[0]
	if known.Failed != nil {
		return known.Failed
	}
	e := &Error{Word: Cancelled, Message: "the request was cancelled", Outcome: Unknown}
	err := r.table.Conclude(ctx, []Conclusion{{ID: id, Subject: subject, Err: e}})[0]
	if err == nil {
		r.observer.Count(Keeps, KeptCancelled)
		if known.Entity != "" {
			r.table.Unwait(Entity{known.Service, known.Entity}, id)
		}
		r.waiters.look(id)
		r.recallKept(id, subject, known)
	}
	return err
}

// Waiting is how many wait for requests at this node.
func (r *Router) Waiting() int { return int(r.waiters.n.Load()) }

// collector is who waits for more of a request. Its method is called once for each
// waiter, with no lock held, and must not block.
type collector interface{ collected(c Collected) }

// awaited is a collector that blocks.
type awaited chan Collected

func (a awaited) collected(c Collected) { a <- c }

// waiter is one who waits.
type waiter struct {
	Collection
	to collector
}

// waiters are those of a node.
type waiters struct {
	n      atomic.Int64
	wakeup chan struct{} // one token: somebody is due

	mu  sync.Mutex
	all map[RequestID][]*waiter
	due map[RequestID]bool // to be looked at now
}

func (w *waiters) init() {
	w.wakeup = make(chan struct{}, 1)
	w.all, w.due = make(map[RequestID][]*waiter), make(map[RequestID]bool)
}

// add has one wait, who is looked at now, unless too many do.
func (w *waiters) add(one *waiter, limit int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.n.Load() >= int64(limit) {
		return false
	}
	w.n.Add(1)
	w.all[one.ID] = append(w.all[one.ID], one)
	w.lookLocked(one.ID)
	return true
}

// remove has one wait no longer, and tells whether it did.
func (w *waiters) remove(one *waiter) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	waiting := w.all[one.ID]
	i := slices.Index(waiting, one)
	if i < 0 {
		return false
	}
	w.n.Add(-1)
	if len(waiting) == 1 {
		delete(w.all, one.ID)
		delete(w.due, one.ID)
	} else {
		w.all[one.ID] = slices.Delete(waiting, i, i+1)
	}
	return true
}

// look has a request looked at now, if anybody waits for it.
func (w *waiters) look(id RequestID) {
	if w.n.Load() == 0 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.all[id] != nil {
		w.lookLocked(id)
	}
}

func (w *waiters) lookLocked(id RequestID) {
	w.due[id] = true
	select {
	case w.wakeup <- struct{}{}:
	default:
	}
}

// take answers those that are due, or all, grouped by what they ask for.
func (w *waiters) take(everybody bool) (asked []Collection, by map[Collection][]*waiter) {
	w.mu.Lock()
	defer w.mu.Unlock()
	by = make(map[Collection][]*waiter)
	group := func(id RequestID) {
		for _, one := range w.all[id] {
			if by[one.Collection] == nil {
				asked = append(asked, one.Collection)
			}
			by[one.Collection] = append(by[one.Collection], one)
		}
	}
	if everybody {
		for id := range w.all {
			group(id)
		}
	} else {
		for id := range w.due {
			group(id)
		}
	}
	clear(w.due)
	return asked, by
}

// await asks the table for what is awaited, until ctx ends.
func (r *Router) await(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	last, told := time.Now(), false
	for {
		var tick <-chan time.Time
		if n := r.waiters.n.Load(); n > 0 {
			timer.Reset(time.Until(last.Add(max(awaitEvery, time.Duration(n)*awaitEach))))
			tick = timer.C
		}
		everybody := false
		select {
		case <-ctx.Done():
			return
		case <-r.waiters.wakeup:
		case <-tick:
			everybody, last = true, time.Now()
		}
		asked, by := r.waiters.take(everybody)
		for batch := range slices.Chunk(asked, awaitBatch) {
			err := r.awaitBatch(ctx, batch, by)
			if err != nil && !told {
				r.log.Warn("requests that are awaited cannot be looked up", "requests", len(asked), "err", err)
			}
			if told = err != nil; told {
				break // the next tick asks again
			}
		}
	}
}

// awaitBatch asks the table once, and tells those for whom there is something.
func (r *Router) awaitBatch(ctx context.Context, asked []Collection, by map[Collection][]*waiter) (failed error) {
	for i, c := range r.table.Collect(ctx, asked) {
		if c.Failed != nil {
			failed = c.Failed
		}
		if !c.news(asked[i]) {
			continue
		}
		for _, one := range by[asked[i]] {
			if r.waiters.remove(one) {
				one.to.collected(c)
			}
		}
	}
	return failed
}
