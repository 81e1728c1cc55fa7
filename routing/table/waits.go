package table

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"parley/routing"
)

// waitsKey is the hash of those who wait for an event about an entity: RequestID ->
// when it may be forgotten, Unix ms of Redis's clock.
func waitsKey(about routing.Entity) string {
	return "parley:{w:" + about.Service + ":" + about.Key + "}"
}

// Await registers waits in one round trip, once what this node has queued before
// them is written: whoever finds a wait must find its session too.
func (r *Redis) Await(ctx context.Context, waits []routing.Wait) []error {
	errs := make([]error, len(waits))
	if err := r.flush(ctx); err != nil {
		for i := range errs {
			errs[i] = fmt.Errorf("register wait: %w", err)
		}
		return errs
	}
	groups := make(map[routing.Entity][]int)
	var order []routing.Entity
	for i, w := range waits {
		if groups[w.Entity] == nil {
			order = append(order, w.Entity)
		}
		groups[w.Entity] = append(groups[w.Entity], i)
	}
	cmds := make([]redis.Cmder, len(order))
	for i, about := range order {
		some := make([]routing.Wait, 0, len(groups[about]))
		for _, at := range groups[about] {
			some = append(some, waits[at])
		}
		cmds[i] = r.waitCmd(ctx, about, some)
	}
	if err := r.exec(ctx, cmds, true); err != nil {
		r.link.failed("register waits", err)
	}
	for i, about := range order {
		n, err := cmds[i].(*redis.Cmd).Int()
		for place, at := range groups[about] {
			switch {
			case err != nil:
				errs[at] = fmt.Errorf("register wait: %w", err)
			case place >= n:
				errs[at] = routing.ErrCrowded
			}
		}
	}
	return errs
}

// waitCmd notes waits about one entity.
func (r *Redis) waitCmd(ctx context.Context, about routing.Entity, some []routing.Wait) *redis.Cmd {
	args := make([]any, 0, 1+2*len(some))
	args = append(args, r.o.Waiters)
	for _, w := range some {
		args = append(args, string(w.Request), max(1, time.Until(w.Until).Milliseconds()))
	}
	return call(ctx, waitScript, []string{waitsKey(about)}, args...)
}

// Waiting answers who waits for an event about each entity, in one round trip. While
// nodes write anew what Redis has lost, that nobody waits is an error: somebody may.
func (r *Redis) Waiting(ctx context.Context, about []routing.Entity) ([][]routing.RequestID, error) {
	cmds := make([]redis.Cmder, len(about))
	for i, entity := range about {
		cmds[i] = redis.NewStringSliceCmd(ctx, "hkeys", waitsKey(entity))
	}
	if err := r.exec(ctx, cmds, true); err != nil {
		r.link.failed("look up waits", err)
		return nil, fmt.Errorf("look up waits: %w", err)
	}
	found := make([][]routing.RequestID, len(about))
	for i := range cmds {
		ids, err := cmds[i].(*redis.StringSliceCmd).Result()
		if err != nil {
			return nil, fmt.Errorf("look up waits: %w", err)
		}
		if len(ids) == 0 && (r.rebuilding() || r.link.away() || !r.Leased()) {
			return nil, fmt.Errorf("look up waits: %w", errRebuilding)
		}
		for _, id := range ids {
			found[i] = append(found[i], routing.RequestID(id))
		}
	}
	return found, nil
}

// Unwait queues the removal of a wait.
func (r *Redis) Unwait(about routing.Entity, id routing.RequestID) {
	w := routing.Wait{Entity: about, Request: id}
	r.unwaited.add(w, time.Now())
	r.push(op{kind: opUnwait, wait: w})
}

const (
	// unwaitedFor is how long removals are remembered: longer than it takes to notice that
	// another Redis answers.
	unwaitedFor  = 5 * time.Second
	unwaitedMost = 8192
	// waitsOn is how long a wait is noted again for: until the events have been read again
	// that may have answered it.
	waitsOn = time.Minute
)

// unwaited are the waits that this node has removed of late, oldest first.
type unwaited struct {
	mu  sync.Mutex
	all []removal
}

type removal struct {
	routing.Wait
	at time.Time
}

func (u *unwaited) add(w routing.Wait, now time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	old := 0
	for old < len(u.all) && (len(u.all)-old >= unwaitedMost || now.Sub(u.all[old].at) > unwaitedFor) {
		old++
	}
	u.all = append(u.all[old:], removal{w, now})
}

// take answers those that are not too old, and forgets all.
func (u *unwaited) take(now time.Time) (some []routing.Wait) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, w := range u.all {
		if now.Sub(w.at) <= unwaitedFor {
			some = append(some, w.Wait)
		}
	}
	u.all = nil
	return some
}

// waitAgain notes those waits anew which this node has removed of late, where another Redis
// answers than before. The answers may be lost with the one before, and the removals not:
// behind a connection that broke they may have come after the owners had noted all anew.
// The events are read again; who has been answered is not answered twice.
func (r *Redis) waitAgain() {
	now := time.Now()
	r.queue.forgetUnwaits()
	for _, w := range r.unwaited.take(now) {
		w.Until = now.Add(waitsOn)
		r.push(op{kind: opWait, wait: w})
	}
}

// rewait queues the waits of rows that are written anew, but for those whose time is over:
// they have ended, and only their clients have not said that they know. The event that was
// to answer may have passed since, and the next one is not it.
func (r *Redis) rewait(rows []routing.Row) {
	now := time.Now()
	for _, row := range rows {
		if w, ok := row.Wait(); ok && now.Before(row.Deadline) {
			r.push(op{kind: opWait, wait: w})
		}
	}
}

// buildWaits makes the commands for waits that are written anew, and then for those
// that are over.
func (b *batch) buildWaits(ctx context.Context, r *Redis) {
	for _, w := range b.waits {
		b.cmds = append(b.cmds, r.waitCmd(ctx, w.Entity, []routing.Wait{w}))
	}
	from := len(b.cmds)
	for _, w := range b.unwaits {
		b.cmds = append(b.cmds, redis.NewIntCmd(ctx, "hdel", waitsKey(w.Entity), string(w.Request)))
	}
	b.unwait = b.cmds[from:len(b.cmds):len(b.cmds)]
}

// forgetUnwaits is queue.forgetUnwaits for what is being written.
func (b *batch) forgetUnwaits() {
	if len(b.unwait) > 0 {
		at := slices.Index(b.cmds, b.unwait[0])
		b.cmds, b.unwait = slices.Delete(b.cmds, at, at+len(b.unwait)), nil
	}
}
