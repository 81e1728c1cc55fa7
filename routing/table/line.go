package table

import (
	"context"
	"errors"
	"net"
	"time"

	"github.com/redis/go-redis/v9"
)

// linePrefix and a node's name are the channel that the node subscribes to as long as it
// runs. It shares the slot of nodesKey, so that in a Cluster the line goes to the server
// that runs lease.lua.
const linePrefix = "{parley:nodes}:line:"

// lineAgain is the pause before a line that broke is laid anew.
const lineAgain = 20 * time.Millisecond

// keepLine keeps a connection to Redis that is subscribed to a channel of this node's own, on
// which nothing is ever said, until ctx ends. When the process dies its kernel closes the
// connection, Redis knows it at once, and the others learn of it by their next renewals (see
// lease.lua), long before the lease has ended. The lease is for who is frozen, or cut off.
func (r *Redis) keepLine(ctx context.Context) {
	told := false
	for ctx.Err() == nil {
		err, pause := r.holdLine(ctx), lineAgain
		var refused redis.Error
		if errors.As(err, &refused) {
			pause = r.o.Lease
			if !told {
				r.o.Log.Warn("Redis refuses a subscription: that this node has died will be seen by its lease alone", "channel", r.line(), "err", err)
			}
			told = true
		}
		sleep(ctx, pause)
	}
}

func (r *Redis) line() string { return linePrefix + string(r.o.Node) }

// holdLine lays the line and answers why it has broken. It is silent, so it is asked four
// times in a lease whether it still is one: what lies between may have forgotten it. It has
// a lease to answer, as a line that a slow server still has is better than none.
func (r *Redis) holdLine(ctx context.Context) error {
	line := r.client.Subscribe(ctx)
	defer line.Close()
	ends := context.AfterFunc(ctx, func() { line.Close() })
	defer ends()
	opening, cancel := context.WithTimeout(ctx, r.o.Lease)
	err := line.Subscribe(opening, r.line())
	cancel()
	if err != nil {
		return err
	}
	asked := false
	for {
		patience := r.o.Lease / 4
		if asked {
			patience = r.o.Lease
		}
		_, err := line.ReceiveTimeout(ctx, patience)
		var late net.Error
		switch {
		case err == nil:
			asked = false
		case asked || !errors.As(err, &late) || !late.Timeout():
			return err
		default:
			if err := line.Ping(ctx); err != nil {
				return err
			}
			asked = true
		}
	}
}
