package table

import (
	"context"

	"github.com/redis/go-redis/v9"

	"parley/routing"
)

// given is a session that was taken back, and how many bytes are held for it.
type given struct {
	session routing.SessionID
	epoch   uint64
	bytes   int64
}

// giveBack hands the router what is held for the sessions that a batch has taken
// back, as much at a time as a script may append at most. It is tried for as long as
// Redis is away, and answers false when ctx has ended first.
func (r *Redis) giveBack(ctx context.Context, b *batch) bool {
	for pause := writeAgain; len(b.held) > 0; {
		n, bytes := 0, int64(0)
		for n < len(b.held) && (n == 0 || n < chunkEntries && bytes+b.held[n].bytes <= chunkBytes) {
			bytes += b.held[n].bytes
			n++
		}
		if err := r.giveSome(ctx, b.held[:n]); err != nil {
			r.link.failed("read held replies", err)
			if b.era != r.era.Load() {
				return true
			}
			if !sleep(ctx, pause) {
				return false
			}
			pause = min(2*pause, writeAgainMax)
			continue
		}
		b.held = b.held[n:]
	}
	return true
}

func (r *Redis) giveSome(ctx context.Context, some []given) error {
	cmds := make([]redis.Cmder, len(some))
	for i, s := range some {
		cmds[i] = redis.NewStringSliceCmd(ctx, "lrange", heldKey(s.session), 0, -1)
	}
	if err := r.exec(ctx, cmds, true); err != nil {
		return err
	}
	to := r.node.Load()
	for i, s := range some {
		texts, err := cmds[i].(*redis.StringSliceCmd).Result()
		if err != nil {
			r.refuse("read held replies", err)
			continue
		}
		r.standing.holds(s.session, len(texts))
		if held := r.readHeld(texts); len(held) > 0 && to != nil {
			(*to).Reclaimed(s.session, s.epoch, held)
		}
	}
	return nil
}

// readHeld reads a held list.
func (r *Redis) readHeld(texts []string) (held []*routing.Reply) {
	for _, text := range texts {
		reply, err := DecodeHeld([]byte(text))
		if err != nil {
			r.refuse("read held reply", err)
			continue
		}
		reply.Consumed = r.clock.here(reply.Consumed)
		held = append(held, reply)
	}
	return held
}
