package table

import (
	"context"
	"sync"

	"github.com/redis/go-redis/v9"
)

// crowdAtOnce is how many commands of a crowd one pipeline takes: Redis serves nobody
// else meanwhile.
const crowdAtOnce = 64

// crowd is who wants the same of Redis at the same moment, as do the clients of a node
// that has died, when all of them come to this one. Each by itself, they would take all
// connections, and the node's lease, its rows and its relays would wait in line behind
// hundreds of them. So they go together: while one pipeline is on its way the next gathers.
type crowd struct {
	wake chan struct{} // one token: somebody waits

	mu      sync.Mutex
	waiting []errand
}

// errand is what one of a crowd wants.
type errand struct {
	cmd  redis.Cmder
	done chan struct{} // closed once cmd has its answer
}

func (c *crowd) init() { c.wake = make(chan struct{}, 1) }

func (c *crowd) put(e errand) {
	c.mu.Lock()
	c.waiting = append(c.waiting, e)
	c.mu.Unlock()
	wake(c.wake)
}

// take answers those that go next.
func (c *crowd) take() (some []errand) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := min(len(c.waiting), crowdAtOnce)
	some, c.waiting = c.waiting[:n:n], c.waiting[n:]
	if len(c.waiting) == 0 {
		c.waiting = nil
	}
	return some
}

// join sends a command with those of others and blocks until it has its answer, or ctx
// ends: then the command may be sent all the same, and is not the caller's any more.
func (r *Redis) join(ctx context.Context, cmd redis.Cmder) error {
	e := errand{cmd, make(chan struct{})}
	r.crowd.put(e)
	select {
	case <-e.done:
		return cmd.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// lead sends what the crowd wants, until ctx ends.
func (r *Redis) lead(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.crowd.wake:
		}
		for some := r.crowd.take(); len(some) > 0; some = r.crowd.take() {
			cmds := make([]redis.Cmder, len(some))
			for i, e := range some {
				cmds[i] = e.cmd
			}
			_ = r.exec(ctx, cmds, false) // each command has its own error
			for _, e := range some {
				close(e.done)
			}
		}
	}
}
