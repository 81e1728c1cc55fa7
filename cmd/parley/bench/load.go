package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// Load is what to do to what is measured.
type Load struct {
	Lanes       int
	Rate        float64        // requests a second over all lanes, open loop; 0 for a closed loop
	Outstanding int            // requests that a lane has open, closed loop
	Payload     int            // bytes
	Warmup      time.Duration  // requests that are due in it are checked, not measured
	Duration    time.Duration  // measured
	Drain       time.Duration  // how long to wait for the last answers
	Watch       map[string]int // process ids whose CPU time is measured, by name
}

// Validate tells what is wrong with a load.
func (l *Load) Validate() error {
	switch {
	case l.Lanes < 1:
		return errors.New("no sockets: at least 1")
	case l.Rate < 0 || l.Rate > 1e6:
		return fmt.Errorf("rate %g: more than 0, at most 1000000 requests a second", l.Rate)
	case l.Rate == 0 && l.Outstanding < 1:
		return errors.New("nothing outstanding: at least 1")
	case l.Duration <= 0 || l.Warmup < 0 || l.Drain < 0:
		return errors.New("duration, warmup and drain cannot be negative, and duration not 0")
	}
	_, err := NewPayload(l.Payload, 0)
	return err
}

// run is one run of a load.
type run struct {
	Load
	payload *Payload
	start   time.Time // set before any request is made
	lanes   []*lane

	latency, lag Histogram
	open         atomic.Int64 // requests without an answer
	sent         atomic.Int64 // measured requests
	unsent       atomic.Int64 // measured requests for which no lane was left
	finished     atomic.Int64 // answers that came within the measured time
	wrong, stray atomic.Int64
	cpu          map[int]time.Duration // by process id

	mu    sync.Mutex
	words map[string]int64
}

// Drive puts the load on what t opens, and blocks until it is over: warm-up,
// duration and drain, or until ctx ends. What went wrong with single requests
// is in the result, and so is what ended a lane; the error says that there is
// no result.
func Drive(ctx context.Context, t Transport, l Load) (*Result, error) {
	return drive(ctx, t, l, sleeper)
}

// drive drives with a pacer that sleeps as told: tests have a time of their own.
func drive(ctx context.Context, t Transport, l Load, sleeper func() func(time.Duration)) (*Result, error) {
	if err := l.Validate(); err != nil {
		return nil, err
	}
	payload, _ := NewPayload(l.Payload, rand.Uint64())
	r := &run{Load: l, payload: payload, words: make(map[string]int64)}
	if err := r.openLanes(ctx, t); err != nil {
		r.closeLanes()
		return nil, err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	r.start = time.Now()
	var readers, others sync.WaitGroup
	for _, l := range r.lanes {
		readers.Go(l.serve)
	}
	others.Go(func() { r.watch(ctx) })
	if r.Rate > 0 {
		others.Go(func() { r.pace(ctx, sleeper()) })
	}
	r.sleep(ctx, r.Warmup+r.Duration)
	interrupted := ctx.Err() != nil
	r.drain(ctx)
	stop()
	others.Wait()
	r.closeLanes()
	readers.Wait()
	if interrupted {
		return nil, context.Cause(ctx)
	}
	return r.result(), nil
}

// dialers is how many lanes are opened at once.
const dialers = 16

func (r *run) openLanes(ctx context.Context, t Transport) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	todo := make(chan struct{}, r.Lanes)
	for range r.Lanes {
		todo <- struct{}{}
	}
	close(todo)
	var opening sync.WaitGroup
	for range min(dialers, r.Lanes) {
		opening.Go(func() {
			for range todo {
				conn, err := t.Open(ctx)
				if err != nil {
					cancel(err)
					return
				}
				r.mu.Lock()
				r.lanes = append(r.lanes, newLane(r, conn, len(r.lanes)))
				r.mu.Unlock()
			}
		})
	}
	opening.Wait()
	return context.Cause(ctx)
}

func (r *run) closeLanes() {
	var closing sync.WaitGroup
	for _, l := range r.lanes {
		closing.Go(l.close)
	}
	closing.Wait()
}

// pace sends what is due, each request on the next lane, until the time is up.
func (r *run) pace(ctx context.Context, sleep func(time.Duration)) {
	interval := float64(time.Second) / r.Rate
	total := int((r.Warmup + r.Duration).Seconds() * r.Rate)
	for i := range total {
		due := time.Duration(float64(i) * interval)
		for wait := due - time.Since(r.start); wait > 0; wait = due - time.Since(r.start) {
			sleep(wait)
		}
		if ctx.Err() != nil {
			return
		}
		r.sendOnAny(i, due)
	}
}

// sendOnAny sends a request on a lane, or on another one where that has died.
func (r *run) sendOnAny(i int, due time.Duration) {
	for try := range r.lanes {
		if r.lanes[(i+try)%len(r.lanes)].send(due) {
			return
		}
	}
	if due >= r.Warmup {
		r.unsent.Add(1)
	}
}

// drain waits for the last answers.
func (r *run) drain(ctx context.Context) {
	until := time.Now().Add(r.Drain)
	for r.open.Load() > 0 && time.Now().Before(until) && ctx.Err() == nil {
		r.sleep(ctx, time.Since(r.start)+10*time.Millisecond)
	}
}

// sleep sleeps until a moment of the run.
func (r *run) sleep(ctx context.Context, until time.Duration) {
	timer := time.NewTimer(until - time.Since(r.start))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// measured tells whether a moment of the run counts.
func (r *run) measured(at time.Duration) bool { return at >= r.Warmup && at < r.Warmup+r.Duration }

// count counts an error by its word.
func (r *run) count(word string, n int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.words[word] += n
}
