package table

import (
	"sync/atomic"
	"time"

	"parley/routing"
)

// clock knows how far Redis's clock is from this process's. The deadline of a request
// and the moment at which a reply was read leave the process: they are told by Redis's
// clock, so that a node whose own is minutes off neither makes others give up too soon
// nor wait too long.
type clock struct{ ahead atomic.Int64 } // nanoseconds that Redis's is ahead of the process's

// clocksDiffer is by how much clocks differ that are looked after. Nothing is
// corrected below, nor what a round trip's own length may account for.
const clocksDiffer = 100 * time.Millisecond

// learn takes a round trip's word on what time it is at Redis, in Unix ms, and tells
// how far off this process's clock is where that is news.
func (c *clock) learn(sent, received time.Time, redis int64) (off time.Duration, news bool) {
	trip := received.Sub(sent)
	ahead := time.UnixMilli(redis).Sub(wall(sent.Add(trip / 2)))
	if (ahead-c.now()).Abs() <= max(clocksDiffer, trip/2) || defectOwnClock {
		return 0, false
	}
	c.ahead.Store(int64(ahead))
	return -ahead, true
}

func (c *clock) now() time.Duration { return time.Duration(c.ahead.Load()) }

// there is a time of this process by Redis's clock.
func (c *clock) there(t time.Time) time.Time { return wall(t).Add(c.now()) }

// here undoes there, on whichever node that was.
func (c *clock) here(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.Add(-c.now() - routing.ClockOff)
}

// wall is what this process takes a time for. A test may have its clock be wrong.
func wall(t time.Time) time.Time { return t.Add(routing.ClockOff) }

// SharedTime is a time of this process by the clock that the cluster shares, Redis's,
// as the newest renewal of the lease has learned it.
func (r *Redis) SharedTime(t time.Time) time.Time { return r.clock.there(t) }
