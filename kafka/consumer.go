package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"parley/routing"
)

// role is what a consumer reads for. Its methods are called by the goroutine that
// polls.
type role interface {
	// read takes a record of a partition, where the token stands for it: the
	// partition is told once the record need not be kept. now is when it was
	// polled, left how many of its poll are to come, itself included. It does not
	// block: no rebalance can happen meanwhile.
	read(record *kgo.Record, p *partition, token routing.Token, now time.Time, left int)
	// deliver hands on what was read. It may block.
	deliver(ctx context.Context)
}

// consumer reads topics as a member of a group, and commits what is done. Its
// methods may be called from any goroutine.
//
// Only committed records are read: a service may answer in transactions, and
// an answer that it aborted is none.
type consumer struct {
	config  Config
	options RepliesOptions
	topics  []string
	role    role
	noun    string               // what is read, for the log
	homes   func(*routing.Homes) // told what this node owns of the one topic; nil for nobody
	since   time.Time            // where a partition without a commit starts; zero for its start
	log     *slog.Logger

	client atomic.Pointer[kgo.Client] // nil before Run
	limits lineLimits
	came   atomic.Bool     // partitions have come; taken back by a role that cares
	nudged chan struct{}   // has room for one
	asked  chan struct{}   // has room for one: a join is on its way
	room   chan struct{}   // has room for one: a crowded partition has room again
	gained chan struct{}   // has room for one: partitions came soon after a rewind
	orders chan *rewinding // has room for one

	total atomic.Int32 // partitions of the reply topic, 0 where not known; written with mu held

	// committing is held for a commit's whole round trip, so that a rebalance
	// waits for it. It is taken before mu.
	committing sync.Mutex
	failing    bool // commits fail at the moment; guarded by committing

	// pausing is held while the client is told to pause or to go on with a partition. It is taken
	// before mu.
	pausing sync.Mutex
	stopped map[place]bool // guarded by pausing

	mu           sync.Mutex
	owned        map[place]*partition
	waits        map[place]bool // partitions that the router has told to wait
	joined       bool           // the group has told what this node owns, be it nothing
	leaving      bool
	joining      bool // a join is on its way, or waits for the other members
	owes         int  // how often the others are to be told when this node speaks to the group
	cancelCommit context.CancelFunc
	polling      context.Context
	stopPoll     context.CancelFunc // ends polling
	rewindTo     time.Time
	rewindUntil  time.Time // what is gained before is rewound too

	lastErr string // belongs to Run
}

func newConsumer(c Config, o RepliesOptions, as role, topics ...string) (*consumer, error) {
	r := &consumer{
		config: c, options: o.withDefaults(), topics: topics, role: as, log: c.log(),
		owned: make(map[place]*partition), waits: make(map[place]bool), stopped: make(map[place]bool),
		nudged: make(chan struct{}, 1), asked: make(chan struct{}, 1), room: make(chan struct{}, 1), gained: make(chan struct{}, 1), orders: make(chan *rewinding, 1),
	}
	r.limits = lineLimits{r.options.Backlog, r.options.BacklogBytes, r.room}
	if r.options.Protocol != Classic && r.options.Protocol != Consumer {
		return nil, fmt.Errorf("kafka: group protocol %q is neither %s nor %s", o.Protocol, Classic, Consumer)
	}
	r.config.ClientID = string(o.Node) + "-" + r.options.Boot
	return r, nil
}

// ClientID names this node's member in the group: "<node>-<boot>".
func (r *consumer) ClientID() string { return r.config.ClientID }

func (r *consumer) join() (*kgo.Client, error) {
	opts := []kgo.Opt{
		kgo.ConsumeTopics(r.topics...),
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
	if !r.since.IsZero() {
		opts = append(opts, kgo.ConsumeStartOffset(kgo.NewOffset().AtEnd()), kgo.AdjustFetchOffsetsFn(r.begin))
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
func (r *consumer) Run(ctx context.Context) error {
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
func (r *consumer) poll(ctx context.Context, client *kgo.Client) error {
	for {
		interruptible := r.pollContext(ctx)
		fetches := client.PollRecords(interruptible, pollRecords)
		r.take(fetches)
		r.obey(client)
		client.AllowRebalance()
		r.role.deliver(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if fetches.IsClientClosed() {
			return errors.New("kafka: the client that reads was closed")
		}
		if interruptible.Err() == nil {
			r.complain(fetches)
		}
	}
}

// pollRecords is how many records one delivery takes.
const pollRecords = 4096

// take counts and reads polled records. No rebalance happens meanwhile.
func (r *consumer) take(fetches kgo.Fetches) {
	now, left := time.Now(), fetches.NumRecords()
	fetches.EachPartition(func(at kgo.FetchTopicPartition) {
		r.mu.Lock()
		p := r.owned[place{at.Topic, at.Partition}]
		r.mu.Unlock()
		if p == nil {
			left -= len(at.Records)
			return // not this node's any longer: the next owner reads it
		}
		for _, record := range at.Records {
			r.role.read(record, p, p.Add(record.Offset, len(record.Value), sinceStart(now)), now, left)
			left--
		}
		if p.isCrowded() {
			r.steer(p.place)
		}
	})
}

// complain logs what the client could not read, once for as long as it stays
// the same, and that it can read again.
func (r *consumer) complain(fetches kgo.Fetches) {
	err := fetches.Err()
	switch {
	case err == nil && r.lastErr != "" && !fetches.Empty():
		r.lastErr = ""
		r.log.Info(r.noun+" are read again", "group", r.options.Group)
	case err != nil && err.Error() != r.lastErr:
		r.lastErr = err.Error()
		r.log.Warn(r.noun+" cannot be read", "group", r.options.Group, "err", err)
	}
}

// leave waits for what is out, commits and leaves the group: the client calls
// revoked.
func (r *consumer) leave(client *kgo.Client) {
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
func (r *consumer) Assigned() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.joined
}

// Stats tells how many partitions this node owns, how many replies cannot be
// committed yet, and how long the oldest of them has waited.
func (r *consumer) Stats() (owned, uncommitted int, oldest time.Duration) {
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
