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
	"golang.org/x/sync/singleflight"

	"parley/routing"
)

// Node is what a table works for. *routing.Router is one.
type Node interface {
	Inbox
	Owner
}

// Inbox is where goes what other nodes send to this one. Its methods do not block.
type Inbox interface {
	// DeliverRelayed takes replies in order.
	DeliverRelayed(replies []*routing.Reply)
	// TakenOver tells that another node owns a session, under this epoch.
	TakenOver(id routing.SessionID, epoch uint64)
}

// Owner has the sessions that the table says are this node's.
type Owner interface {
	// EachSession calls take for each session that lives, with the session's lock
	// held; ready before each, without it, to wait or to end the round. They are
	// written anew when Redis has lost them.
	EachSession(ready func() bool, take func(s routing.SessionRow, open []routing.Row))
	// Removed tells that the other nodes took this one for dead while it slept: all
	// sessions that it had are others' or nobody's. It does not block.
	Removed()
	// Reclaimed gives what others have held for a session while they took this node
	// for dead and it was awake. The session is the node's again under the epoch that
	// it had; the replies stay held until Unhold. It does not block.
	Reclaimed(id routing.SessionID, epoch uint64, held []*routing.Reply)
}

var _ Node = (*routing.Router)(nil)

// Redis is the table in Redis. Its methods may be called from any goroutine;
// what they queue is written while Run runs.
type Redis struct {
	client     redis.UniversalClient
	o          Options
	self       atomic.Pointer[string] // the boot: tells this process from earlier ones of the same name
	era        atomic.Uint64          // rises when all that is queued is let go
	turn       sync.Mutex             // what was held for a session is delivered before what is relayed to it then
	node       atomic.Pointer[Node]   // who Run works for
	link       link
	clock      clock
	queue      queue
	unwaited   unwaited
	crowd      crowd
	lease      lease
	pulse      pulse
	inbox      inbox
	standing   standing
	graves     graves
	departures departures
	news       news
	primaries  primaries
	loading    singleflight.Group         // of scripts
	marks      map[routing.SessionID]mark // belongs to who calls Inherited

	stale   chan struct{} // asks restate to write all sessions anew
	rebuilt rebuilt

	// Counted by the goroutines that do it, for Stats.
	written, cancelled, dropped, refused, held, relayed, rerouted, removed atomic.Uint64
	refusals, drops                                                        rarely
	kept                                                                   atomic.Int64 // requests of the cluster, as this node last saw it
}

var _ routing.Table = (*Redis)(nil)

// NewRedis makes a table in the Redis behind client, which stays the caller's
// to close, after Run. The client needs at least four connections, one of which
// the inbox keeps busy, besides the one that is subscribed (see keepLine), and should
// have ContextTimeoutEnabled set: without it, waits for a Redis that does not answer are
// bounded by the client's own timeouts.
func NewRedis(client redis.UniversalClient, o Options) *Redis {
	o = o.withDefaults()
	r := &Redis{client: client, o: o, stale: make(chan struct{}, 1), marks: make(map[routing.SessionID]mark)}
	r.link.log = o.Log
	r.queue.init(o.Pending)
	r.crowd.init()
	r.lease.init(o.Member)
	r.pulse.init(o.Lease)
	r.inbox.init()
	r.standing.init()
	r.graves.init()
	r.departures.init()
	r.news.init()
	boot := newBoot()
	r.self.Store(&boot)
	return r
}

func newBoot() string {
	var b [6]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// boot is the name of this process: a new one after it was removed.
func (r *Redis) boot() string { return *r.self.Load() }

// Run renews the node's lease, writes what is queued, hands relayed replies to the
// node and removes nodes that have died, until ctx ends. Then it leaves: it gives up its name, reads its
// inbox for as long as Options.Drain says, writes what is still queued, and
// returns when all it started has ended. The error tells what leaving could not do.
// With Redis away it goes on trying.
func (r *Redis) Run(ctx context.Context, to Node) error {
	r.node.Store(&to)
	var present, working sync.WaitGroup
	present.Go(func() { r.renew(ctx, to) })
	present.Go(func() { r.keepPulse(ctx) })
	present.Go(func() { r.bury(ctx) })
	present.Go(func() { r.dismiss(ctx) })
	present.Go(func() { r.watch(ctx) })
	present.Go(func() { r.restate(ctx, to) })

	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	working.Go(func() { r.write(work) })
	working.Go(func() { r.lead(work) })
	working.Go(func() { r.read(work, to) })
	working.Go(func() { r.settle(work) })
	working.Go(func() { r.keepLine(work) })

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

	// Holding is how many replies are held for the sessions that this node owns, as
	// its own scripts last saw it: exact but for those that other nodes have put
	// there since while they took this one for dead. Replies held for a session that
	// nobody owns count when it is resumed.
	Holding int

	Written   uint64 // commands written behind
	Cancelled uint64 // claims that were released before they were written
	Dropped   uint64 // writes that did not fit the queue
	Refused   uint64 // commands that Redis answered with an error, and entries that could not be read
	Held      uint64 // replies that this node put into held lists, or found there
	Relayed   uint64 // replies that this node put into inboxes
	Rerouted  uint64 // inbox entries that were meant for a process that is gone, routed again
	Removed   uint64 // processes that were gone without leaving and that this node has dealt with
}

// Stats answers at once, without Redis.
func (r *Redis) Stats() Stats {
	return Stats{
		Away: r.link.away(), Pending: r.queue.len(), Unsettled: r.inbox.len(), Holding: r.standing.heldNow(),
		Written: r.written.Load(), Cancelled: r.cancelled.Load(), Dropped: r.dropped.Load(), Refused: r.refused.Load(),
		Held: r.held.Load(), Relayed: r.relayed.Load(), Rerouted: r.rerouted.Load(), Removed: r.removed.Load(),
	}
}

// refuse notes that Redis answered a command with an error.
func (r *Redis) refuse(doing string, err error) {
	r.refused.Add(1)
	if kept, ok := r.refusals.pass(); ok {
		r.o.Log.Error("Redis refuses", "doing", doing, "err", err, "kept_back", kept)
	}
}
