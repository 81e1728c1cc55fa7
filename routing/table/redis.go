package table

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/redis/go-redis/v9"

	"parley/routing"
)

// Inbox is the node that a table works for: where relayed replies go, and whose
// sessions are written anew when Redis has lost them. *routing.Router is one.
type Inbox interface {
	// DeliverRelayed takes replies in order. It does not block.
	DeliverRelayed(replies []*routing.Reply)
	// EachSession calls take for each session that lives, with the session's lock
	// held; ready before each, without it, to wait or to end the round.
	EachSession(ready func() bool, take func(s routing.SessionRow, open []routing.Row))
}

// Redis is the table in Redis. Its methods may be called from any goroutine;
// what they queue is written while Run runs.
type Redis struct {
	client redis.UniversalClient
	o      Options
	boot   string // tells this process from earlier ones of the same name
	link   link
	queue  queue
	lease  lease
	inbox  inbox

	stale   chan struct{} // asks restate to write all sessions anew
	rebuilt rebuilt

	// Counted by the goroutines that do it, for Stats.
	written, cancelled, dropped, refused, held, relayed, rerouted atomic.Uint64
	refusals, drops                                               rarely
}

var _ routing.Table = (*Redis)(nil)

// NewRedis makes a table in the Redis behind client, which stays the caller's
// to close, after Run. The client needs at least four connections, one of which
// the inbox keeps busy, and should have ContextTimeoutEnabled set: without it,
// waits for a Redis that does not answer are bounded by the client's own timeouts.
func NewRedis(client redis.UniversalClient, o Options) *Redis {
	o = o.withDefaults()
	r := &Redis{client: client, o: o, boot: newBoot(), stale: make(chan struct{}, 1)}
	r.link.log = o.Log
	r.queue.init(o.Pending)
	r.lease.init(o.Member)
	r.inbox.init()
	return r
}

func newBoot() string {
	var b [6]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// Run renews the node's lease, writes what is queued and hands relayed replies
// to the inbox, until ctx ends. Then it leaves: it gives up its name, reads its
// inbox for as long as Options.Drain says, writes what is still queued, and
// returns when all it started has ended. The error tells what leaving could not do.
// With Redis away it goes on trying.
func (r *Redis) Run(ctx context.Context, to Inbox) error {
	var present, working sync.WaitGroup
	present.Go(func() { r.renew(ctx) })
	present.Go(func() { r.restate(ctx, to) })

	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	working.Go(func() { r.write(work) })
	working.Go(func() { r.read(work, to) })
	working.Go(func() { r.settle(work) })

	present.Wait()
	err := r.leave(work)
	stop()
	working.Wait()
	return errors.Join(err, r.flushRest(context.WithoutCancel(ctx)))
}

// Ping asks Redis whether it is there.
func (r *Redis) Ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, r.o.Timeout)
	defer cancel()
	if err := r.client.Ping(ctx).Err(); err != nil {
		return fmt.Errorf("ping Redis: %w", err)
	}
	return nil
}

// Stats are a table's counts since it was made, and its state now.
type Stats struct {
	Away      bool // Redis cannot be reached
	Pending   int  // writes that wait for Redis
	Unsettled int  // relayed replies that this node has not settled yet

	Written   uint64 // commands written behind
	Cancelled uint64 // claims that were released before they were written
	Dropped   uint64 // writes that did not fit the queue
	Refused   uint64 // commands that Redis answered with an error, and entries that could not be read
	Held      uint64 // replies that this node put into held lists
	Relayed   uint64 // replies that this node put into inboxes
	Rerouted  uint64 // entries of this node's inbox that were meant for an earlier boot
}

// Stats answers at once, without Redis.
func (r *Redis) Stats() Stats {
	return Stats{
		Away: r.link.away(), Pending: r.queue.len(), Unsettled: r.inbox.len(),
		Written: r.written.Load(), Cancelled: r.cancelled.Load(), Dropped: r.dropped.Load(), Refused: r.refused.Load(),
		Held: r.held.Load(), Relayed: r.relayed.Load(), Rerouted: r.rerouted.Load(),
	}
}

// refuse notes that Redis answered a command with an error.
func (r *Redis) refuse(doing string, err error) {
	r.refused.Add(1)
	if kept, ok := r.refusals.pass(); ok {
		r.o.Log.Error("Redis refuses", "doing", doing, "err", err, "kept_back", kept)
	}
}
