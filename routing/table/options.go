package table

import (
	"log/slog"
	"time"

	"parley/routing"
)

// Options are what a Redis table is made of. The zero value of each but Node
// stands for its default.
type Options struct {
	Node routing.NodeID
	// Lease is how long other nodes take this one for alive after they last heard
	// of it: 1.2 s. It is renewed four times as often.
	Lease time.Duration
	// Resume is how long a session outlives its node, at least: 2 min. Its keys
	// expire three times as long after they were last renewed, and are renewed
	// once in that time.
	Resume time.Duration
	// Member is what the lease carries besides the boot: the node's addresses, its
	// group member id. SetMember changes it later.
	Member string

	Open    time.Duration // how long Open may wait for Redis: 500 ms
	Pace    time.Duration // the shortest time between two pipelines of writes: 1 ms
	Timeout time.Duration // of one round trip, retries included: 2 s
	Drain   time.Duration // how long a node that leaves goes on reading its inbox: 2 s

	// Grace is how long after Redis was found emptied, or came back, a session that it
	// does not know may still be written by its node: 5 s. It ends as soon as all nodes
	// have said that they have written what they have.
	Grace time.Duration

	Pending   int // writes that wait for Redis: 65,536
	Inbox     int // entries of a node's inbox, those not settled yet included: 16,384
	HeldCount int // replies held for a session: 1,000
	HeldBytes int // bytes of them: 4 MiB
	Waiters   int // requests that wait for events about one entity: 16,384

	Watcher  Watcher          // nil for none
	Log      *slog.Logger     // nil for none
	Observer routing.Observer // nil for none
}

func (o Options) withDefaults() Options {
	for _, d := range []struct {
		at   *time.Duration
		than time.Duration
	}{
		{&o.Lease, 1200 * time.Millisecond}, {&o.Resume, 2 * time.Minute}, {&o.Open, 500 * time.Millisecond},
		{&o.Pace, time.Millisecond}, {&o.Timeout, 2 * time.Second}, {&o.Drain, 2 * time.Second},
		{&o.Grace, 5 * time.Second},
	} {
		if *d.at <= 0 {
			*d.at = d.than
		}
	}
	for _, d := range []struct {
		at   *int
		than int
	}{{&o.Pending, 1 << 16}, {&o.Inbox, 1 << 14}, {&o.HeldCount, 1000}, {&o.HeldBytes, 4 << 20}, {&o.Waiters, maxWaiters}} {
		if *d.at <= 0 {
			*d.at = d.than
		}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Observer == nil {
		o.Observer = nobody{}
	}
	return o
}

// maxWaiters is the default of Options.Waiters.
const maxWaiters = 1 << 14

// life is how long a session's keys live after they were written or renewed.
func (o *Options) life() int64 { return (3 * o.Resume).Milliseconds() }

// nobody is the Observer of a table that was given none.
type nobody struct{}

func (nobody) Finished(string, routing.Door, routing.Word, time.Duration) {}
func (nobody) Stage(routing.Stage, time.Duration)                         {}
func (nobody) Count(routing.Counter, string)                              {}
