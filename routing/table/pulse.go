package table

import (
	"context"
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// pulse notices that this process has slept: frozen, paused with its machine, or
// starved. It beats while the process is awake, and a beat that is long overdue by
// the monotonic clock says that it was not. A process that slept may have been taken
// for dead without a chance to know better; one that was awake and could not reach
// Redis knows, goes on, and takes its sessions back later (see anew.go).
//
// It watches only while the lease is current: a process without one sleeps no worse
// than it wakes.
type pulse struct {
	start time.Time
	limit time.Duration // how late a beat may be

	last atomic.Int64 // the last beat, from start on; unwatched for none

	mu sync.Mutex // of those who change last
}

// unwatched is so late that no time is overdue after it.
const unwatched = math.MaxInt64

// init sets the limit so that a lease which was renewed in time just before the
// sleep cannot have ended at the limit.
func (p *pulse) init(lease time.Duration) {
	p.start, p.limit = time.Now(), lease/2
	p.last.Store(unwatched)
}

// slept tells whether the process has slept for too long before now, and nobody has
// said since that it is a node. It costs a load and a comparison.
func (p *pulse) slept(now time.Time) bool {
	last := p.last.Load()
	return int64(now.Sub(p.start))-int64(p.limit) > last
}

// beat tells that the process is awake, and whether its lease is current. It answers
// false when it had slept: only confirm makes it beat again.
func (p *pulse) beat(now time.Time, leased bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.slept(now):
		return false
	case leased:
		p.last.Store(int64(now.Sub(p.start)))
	default:
		p.last.Store(unwatched)
	}
	return true
}

// confirm tells that a renewal which was sent at a time has found this process to be
// a node. One that was sent before a sleep says nothing about the time after it.
func (p *pulse) confirm(sent time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.slept(sent) {
		p.last.Store(int64(time.Since(p.start)))
	}
}

// stop ends the watch.
func (p *pulse) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last.Store(unwatched)
}

// Fenced tells whether this process has slept for longer than its lease may bear, and
// Redis has not told it since whether it was removed meanwhile.
func (r *Redis) Fenced(now time.Time) bool { return r.pulse.slept(now) }

// keepPulse beats until ctx ends.
func (r *Redis) keepPulse(ctx context.Context) {
	tick := time.NewTicker(r.o.Lease / 12)
	defer tick.Stop()
	defer r.pulse.stop()
	fenced := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		awake := r.pulse.beat(time.Now(), r.Leased())
		if !awake && !fenced {
			r.o.Log.Warn("this process has slept: it serves nobody until Redis says whether it was removed meanwhile")
			r.lease.renewNow()
		}
		fenced = !awake
	}
}
