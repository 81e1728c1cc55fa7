package table

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"

	"parley/routing"
)

// settlePace is the shortest time between two deletions of entries.
const settlePace = 2 * time.Millisecond

// settle deletes entries that are settled from the inbox, until ctx ends.
func (r *Redis) settle(ctx context.Context) {
	pause := settlePace
	for {
		select {
		case <-ctx.Done():
			r.settleOnce(context.WithoutCancel(ctx))
			return
		case <-r.inbox.wake:
		}
		if r.settleOnce(ctx) {
			pause = settlePace
		} else {
			pause = min(2*pause, readAgainMax)
		}
		sleep(ctx, pause)
	}
}

// settleOnce deletes all that is settled now, and answers false if it could
// not; it will then be tried again.
func (r *Redis) settleOnce(ctx context.Context) bool {
	r.inbox.mu.Lock()
	settled := r.inbox.settled
	r.inbox.settled = nil
	r.inbox.mu.Unlock()
	if len(settled) == 0 {
		return true
	}
	var cmds []redis.Cmder
	for rest := settled; len(rest) > 0; {
		now := rest[:min(len(rest), fieldsACommand)]
		rest = rest[len(now):]
		args := append(make([]any, 0, 2+len(now)), "xdel", inboxKey(r.o.Node))
		for _, t := range now {
			args = append(args, formatID(t))
		}
		cmds = append(cmds, redis.NewIntCmd(ctx, args...))
	}
	if err := r.exec(ctx, cmds, true); err != nil {
		r.link.failed("delete inbox entries", err)
		r.unsettle(settled)
		return false
	}
	for _, cmd := range cmds {
		if err := cmd.Err(); err != nil {
			r.refuse("delete inbox entries", err)
		}
	}
	r.inbox.mu.Lock()
	defer r.inbox.mu.Unlock()
	for _, t := range settled {
		delete(r.inbox.out, t)
	}
	return true
}

// unsettle puts back what could not be deleted.
func (r *Redis) unsettle(settled []routing.Token) {
	r.inbox.mu.Lock()
	r.inbox.settled = append(settled, r.inbox.settled...)
	r.inbox.mu.Unlock()
	wake(r.inbox.wake)
}
