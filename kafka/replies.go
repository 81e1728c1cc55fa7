package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"parley/routing"
)

// Sink takes what Replies reads. routing.Router is one.
type Sink interface {
	// Deliver takes replies in the order of their partitions. It may block; it
	// does not keep the slice. Each reply's Receipt is told once it is done.
	Deliver(ctx context.Context, replies []*routing.Reply)
	// SetHomes tells which partitions this node consumes now. It does not block.
	SetHomes(*routing.Homes)
}

// Observer counts. A routing.Observer is one.
type Observer interface {
	Count(counter routing.Counter, label string)
}

// The protocols by which a group shares out its partitions.
const (
	Classic  = "classic"  // by its members, cooperative-sticky
	Consumer = "consumer" // by the broker (KIP-848); Kafka 4.0, better 4.3, or newer
)

// RepliesOptions are what Replies is made of, besides where Kafka is.
type RepliesOptions struct {
	Topic    string
	Group    string
	Protocol string // Classic, the default, or Consumer
	Node     routing.NodeID
	Boot     string // tells this process from the node's former ones; default: the time
	Sink     Sink
	Observer Observer // nil for none

	Heartbeat    time.Duration // Classic: 500 ms
	Session      time.Duration // Classic: 6 s, the least that brokers allow by default
	RevokeWait   time.Duration // for replies of a partition that is taken away to be done; the others pause: 50 ms
	ShutdownWait time.Duration // for all replies to be done before leaving the group: 2 s
	Commit       time.Duration // between commits: 1 s

	// SharedTime answers a time of this process by the clock that others date records
	// by. Default: its own.
	SharedTime func(time.Time) time.Time

	// Backlog is how many replies of a partition may wait for their commit,
	// and BacklogBytes how large the bodies of those may be that are not done.
	// A partition over either, by no more than one poll, waits in Kafka until half
	// of it is gone. Defaults: 100,000 and 64 MiB.
	Backlog      int
	BacklogBytes int

	// Tell, if not nil, is called when all nodes of the gateway should Nudge, be
	// it through the table: this node joins, has given up partitions, or has
	// left. It must not block, and is called from any goroutine.
	Tell func()
}

// Replies reads the reply topic as a member of the gateway's group. Its methods
// may be called from any goroutine.
//
// A group without commits starts at the start of the topic. A gateway's first
// node may write requests before it owns a partition, and a partition that
// never had a reply has no commit either, so any later start could skip an
// answer. What is older than the gateway costs a look-up and is dropped; the
// topic's short retention bounds it.
//
// Only committed records are read: a service may answer in transactions, and
// an answer that it aborted is none.
type Replies struct {
	config  Config
	options RepliesOptions
	log     *slog.Logger

	client atomic.Pointer[kgo.Client] // nil before Run
	limits lineLimits
	nudged chan struct{}   // has room for one
	asked  chan struct{}   // has room for one: a join is on its way
	room   chan struct{}   // has room for one: a crowded partition has room again
	gained chan struct{}   // has room for one: partitions came soon after a rewind
	orders chan *rewinding // has room for one

	total atomic.Int32 // partitions of the topic, 0 where not known; written with mu held

	// committing is held for a commit's whole round trip, so that a rebalance
	// waits for it. It is taken before mu.
	committing sync.Mutex
	failing    bool // commits fail at the moment; guarded by committing

	// pausing is held while the client is told to pause or to go on with a partition. It is taken
	// before mu.
	pausing sync.Mutex
	stopped map[int32]bool // guarded by pausing

	mu           sync.Mutex
	owned        map[int32]*partition
	waits        map[int32]bool // partitions that the router has told to wait
	joined       bool           // the group has told what this node owns, be it nothing
	leaving      bool
	joining      bool // a join is on its way, or waits for the other members
	owes         int  // how often the others are to be told when this node speaks to the group
	cancelCommit context.CancelFunc
	polling      context.Context
	stopPoll     context.CancelFunc // ends polling
	rewindTo     time.Time
	rewindUntil  time.Time // what is gained before is rewound too

	batch   []*routing.Reply // belongs to Run
	lastErr string           // belongs to Run
}

// NewReplies checks its options. It does not connect.
func NewReplies(c Config, o RepliesOptions) (*Replies, error) {
	r := &Replies{
		config: c, options: o.withDefaults(), log: c.log(),
		owned: make(map[int32]*partition), waits: make(map[int32]bool), stopped: make(map[int32]bool),
		nudged: make(chan struct{}, 1), asked: make(chan struct{}, 1), room: make(chan struct{}, 1), gained: make(chan struct{}, 1), orders: make(chan *rewinding, 1),
	}
	r.limits = lineLimits{r.options.Backlog, r.options.BacklogBytes, r.room}
	if r.options.Protocol != Classic && r.options.Protocol != Consumer {
		return nil, fmt.Errorf("kafka: group protocol %q is neither %s nor %s", o.Protocol, Classic, Consumer)
	}
	if o.Topic == "" || o.Group == "" || o.Sink == nil {
		return nil, errors.New("kafka: replies need a topic, a group and a sink")
	}
	r.config.ClientID = string(o.Node) + "-" + r.options.Boot
	return r, nil
}

func (o RepliesOptions) withDefaults() RepliesOptions {
	for _, d := range []struct {
		at   *time.Duration
		than time.Duration
	}{
		{&o.Heartbeat, 500 * time.Millisecond}, {&o.Session, 6 * time.Second},
		{&o.RevokeWait, 50 * time.Millisecond}, {&o.ShutdownWait, 2 * time.Second},
		{&o.Commit, commitEvery},
	} {
		if *d.at <= 0 {
			*d.at = d.than
		}
	}
	if o.Protocol == "" {
		o.Protocol = Classic
	}
	if o.SharedTime == nil {
		o.SharedTime = func(t time.Time) time.Time { return t }
	}
	if o.Backlog <= 0 {
		o.Backlog = 100_000
	}
	if o.BacklogBytes <= 0 {
		o.BacklogBytes = 64 << 20
	}
	if o.Boot == "" {
		o.Boot = strconv.FormatInt(time.Now().UnixMilli(), 36)
	}
	return o
}

// ClientID names this node's member in the group: "<node>-<boot>".
func (r *Replies) ClientID() string { return r.config.ClientID }

func (r *Replies) join() (*kgo.Client, error) {
	opts := []kgo.Opt{
		kgo.ConsumeTopics(r.options.Topic),
		kgo.ConsumerGroup(r.options.Group),
		kgo.ConsumeStartOffset(kgo.NewOffset().AtStart()),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.FetchMinBytes(1), // a reply is not held back for company
		// A partition that this node gains is first fetched when the fetch that is
		// on its way has ended: a quiet gateway would wait for that on a failover.
		kgo.FetchMaxWait(100 * time.Millisecond),
		kgo.FetchMaxBytes(16 << 20),
		kgo.DisableAutoCommit(),
		kgo.BlockRebalanceOnPoll(),
		kgo.RebalanceTimeout(10 * time.Second),
		kgo.OnPartitionsAssigned(r.assigned),
		kgo.OnPartitionsRevoked(r.revoked),
		kgo.OnPartitionsLost(r.lost),
		kgo.WithHooks(joins{r}),
	}
	if r.options.Protocol == Consumer {
		opts = append(opts, kgo.ServerSideBalancer(), kgo.Balancers(kgo.StickyBalancer()))
	} else {
		opts = append(opts, kgo.Balancers(kgo.CooperativeStickyBalancer()),
			kgo.HeartbeatInterval(r.options.Heartbeat), kgo.SessionTimeout(r.options.Session))
	}
	return r.config.client(opts...)
}

// Run reads and delivers replies until ctx ends, then waits for those that are
// out, at most ShutdownWait, commits, and leaves the group. It returns when
// everything that it started has ended, nil after ctx. It is called once.
func (r *Replies) Run(ctx context.Context) error {
	client, err := r.join()
	if err != nil {
		return fmt.Errorf("kafka: join the group %s: %w", r.options.Group, err)
	}
	r.client.Store(client)
	background, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var running sync.WaitGroup
	if r.options.Protocol == Consumer {
		running.Go(func() { r.hurry(background, client) })
	}
	for _, loop := range []func(context.Context, *kgo.Client){r.watch, r.commitAlways, r.nudges, r.tellAgain, r.steerAlways, r.rewindGained} {
		running.Go(func() { loop(background, client) })
	}
	err = r.poll(ctx, client)
	r.leave(client)
	cancel()
	running.Wait()
	return err
}

// poll reads until ctx ends or the client fails for good.
func (r *Replies) poll(ctx context.Context, client *kgo.Client) error {
	for {
		interruptible := r.pollContext(ctx)
		fetches := client.PollRecords(interruptible, pollRecords)
		batch := r.take(fetches)
		r.obey(client)
		client.AllowRebalance()
		if len(batch) > 0 {
			routing.Pass(routing.PointConsumed)
			r.options.Sink.Deliver(ctx, batch)
			clear(batch)
		}
		if ctx.Err() != nil {
			return nil
		}
		if fetches.IsClientClosed() {
			return errors.New("kafka: the client of the reply topic was closed")
		}
		if interruptible.Err() == nil {
			r.complain(fetches)
		}
	}
}

const (
	// pollRecords is how many records one delivery takes.
	pollRecords = 4096
	// slab is how many replies share one allocation: many, and few enough that
	// one that waits for its client does not keep thousands.
	slab = 32
)

// take counts and decodes polled records. No rebalance happens meanwhile.
func (r *Replies) take(fetches kgo.Fetches) []*routing.Reply {
	now := time.Now()
	r.batch = r.batch[:0]
	var free []routing.Reply
	left := fetches.NumRecords()
	fetches.EachPartition(func(at kgo.FetchTopicPartition) {
		r.mu.Lock()
		p := r.owned[at.Partition]
		r.mu.Unlock()
		if p == nil {
			return // not this node's any longer: the next owner reads it
		}
		for _, record := range at.Records {
			left--
			if len(free) == 0 {
				free = make([]routing.Reply, min(slab, left+1))
			}
			reply := &free[0]
			token := p.Add(record.Offset, len(record.Value), sinceStart(now))
			if why := decodeReply(record, reply); why != "" {
				*reply = routing.Reply{}
				r.drop(record, why)
				p.Done(token)
				continue
			}
			reply.Consumed, reply.ConsumedBy = now, r.options.Node
			reply.Receipt, reply.Token = p, token
			if defectCommitEarly {
				p.Done(token)
			}
			r.batch = append(r.batch, reply)
			free = free[1:]
		}
		if p.isCrowded() {
			r.steer(p.id)
		}
	})
	return r.batch
}

func (r *Replies) drop(record *kgo.Record, why routing.Drop) {
	if r.options.Observer != nil {
		r.options.Observer.Count(routing.Replies, string(routing.PathDropped))
		r.options.Observer.Count(routing.Drops, string(why))
	}
	r.log.Info("reply dropped", "reason", string(why), "partition", record.Partition, "offset", record.Offset)
}

// complain logs what the client could not read, once for as long as it stays
// the same, and that it can read again.
func (r *Replies) complain(fetches kgo.Fetches) {
	err := fetches.Err()
	switch {
	case err == nil && r.lastErr != "" && !fetches.Empty():
		r.lastErr = ""
		r.log.Info("replies are read again", "topic", r.options.Topic, "group", r.options.Group)
	case err != nil && err.Error() != r.lastErr:
		r.lastErr = err.Error()
		r.log.Warn("replies cannot be read", "topic", r.options.Topic, "group", r.options.Group, "err", err)
	}
}

// leave waits for what is out, commits and leaves the group: the client calls
// revoked.
func (r *Replies) leave(client *kgo.Client) {
	r.mu.Lock()
	r.leaving = true
	r.tellHomesLocked()
	owned := make([]*partition, 0, len(r.owned))
	for _, p := range r.owned {
		owned = append(owned, p)
	}
	r.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), r.options.ShutdownWait)
	for _, p := range owned {
		p.Drain(ctx)
	}
	cancel()
	ctx, cancel = context.WithTimeout(context.Background(), commitTimeout)
	defer cancel()
	if err := client.LeaveGroupContext(ctx); err != nil {
		r.log.Warn("the group was not left cleanly", "group", r.options.Group, "err", err)
	}
	r.tell()
	client.CloseAllowingRebalance()
}

// Assigned tells whether the group has told this node what it owns, be it nothing.
func (r *Replies) Assigned() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.joined
}

// Stats tells how many partitions this node owns, how many replies cannot be
// committed yet, and how long the oldest of them has waited.
func (r *Replies) Stats() (owned, uncommitted int, oldest time.Duration) {
	now := sinceStart(time.Now())
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range r.owned {
		n, since := p.Outstanding()
		if uncommitted += n; n > 0 {
			oldest = max(oldest, now-since)
		}
	}
	return len(r.owned), uncommitted, oldest
}
