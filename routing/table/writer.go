package table

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	writeAgain    = 20 * time.Millisecond // the pause before a batch is written again
	writeAgainMax = 100 * time.Millisecond

	// writeOps is how many writes one pipeline takes, so that it ends well within
	// Options.Timeout, and claims do not wait long behind it.
	writeOps = 2048
)

// write writes behind what is queued, one pipeline after the other, until ctx
// ends. Writes gather while a pipeline is on its way, so that the more there
// are the less each costs.
func (r *Redis) write(ctx context.Context) {
	b := newBatch()
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.queue.wake:
		}
		started := time.Now()
		if !r.writeBatch(ctx, b) {
			return
		}
		if rest := r.o.Pace - time.Since(started); rest > 0 && !sleep(ctx, rest) {
			return
		}
	}
}

// writeBatch writes what is queued now, up to writeOps, for as long as it takes.
// It answers false when ctx has ended first.
func (r *Redis) writeBatch(ctx context.Context, b *batch) bool {
	b.era, b.boot = r.era.Load(), r.boot()
	ops := r.queue.take(writeOps)
	for i := range ops {
		b.add(&ops[i])
	}
	r.queue.reuse(ops)
	b.build(ctx, r)
	defer b.reset()
	r.cancelled.Add(uint64(b.saved))
	if b.back {
		r.turn.Lock()
		defer r.turn.Unlock()
	}
	for pause := writeAgain; ; pause = min(2*pause, writeAgainMax) {
		err := r.writeOnce(ctx, b)
		if err == nil {
			b.tellClaims()
			return r.giveBack(ctx, b)
		}
		if errors.Is(err, errRemoved) {
			b.fail(err)
			r.queue.tear(b)
			r.unwritten(len(b.cmds))
			return true
		}
		if !errors.Is(err, errLease) { // which comes in time for those who wait
			b.fail(err)
			b.forgetUnwaits()
			r.queue.forgetUnwaits()
			r.link.failed("write rows", err)
		}
		if r.link.away() {
			b.tellClaims()
			r.queue.tellClaims()
		}
		if !sleep(ctx, pause) {
			r.unwritten(len(b.cmds))
			return false
		}
	}
}

func (r *Redis) writeOnce(ctx context.Context, b *batch) error {
	if b.era != r.era.Load() {
		return errRemoved
	}
	if len(b.cmds) == 0 && len(b.barriers) == 0 {
		return nil
	}
	if !r.mayWrite() {
		return errLease
	}
	if len(b.cmds) == 0 {
		b.answer(r)
		return nil
	}
	// What is on its way is not given up because the node ends.
	if err := r.exec(context.WithoutCancel(ctx), b.cmds, true); err != nil {
		return err
	}
	if err := refusal(b.cmds); err != nil {
		return err
	}
	for _, cmd := range b.cmds {
		if err := cmd.Err(); err != nil && !errors.Is(err, redis.Nil) {
			r.rebuilt.lack()
			r.refuse("write "+fmt.Sprint(cmd.Args()[0]), err)
		}
	}
	r.written.Add(uint64(len(b.cmds)))
	b.answer(r)
	return nil
}

// unwritten counts what is given up as the node ends or was removed.
func (r *Redis) unwritten(n int) { r.dropped.Add(uint64(n)) }

// flushRest writes what is still queued when everything else has ended.
func (r *Redis) flushRest(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, r.o.Timeout)
	defer cancel()
	for b := newBatch(); r.queue.len() > 0; {
		if !r.writeBatch(ctx, b) {
			return errors.New("leave: rows were left unwritten")
		}
	}
	return nil
}
