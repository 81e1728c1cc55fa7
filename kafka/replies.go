package kafka

import (
	"context"
	"errors"
	"strconv"
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
type Replies struct {
	*consumer
	sink Sink

	// Belongs to Run.
	batch []*routing.Reply
	free  []routing.Reply
}

// NewReplies checks its options. It does not connect.
func NewReplies(c Config, o RepliesOptions) (*Replies, error) {
	if o.Topic == "" || o.Group == "" || o.Sink == nil {
		return nil, errors.New("kafka: replies need a topic, a group and a sink")
	}
	r := &Replies{sink: o.Sink}
	var err error
	r.consumer, err = newConsumer(c, o, r, o.Topic)
	if err != nil {
		return nil, err
	}
	r.noun, r.homes = "replies", o.Sink.SetHomes
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

// slab is how many replies share one allocation: many, and few enough that
// one that waits for its client does not keep thousands.
const slab = 32

// read makes a reply of a record.
func (r *Replies) read(record *kgo.Record, p *partition, token routing.Token, now time.Time, left int) {
	if len(r.free) == 0 {
		r.free = make([]routing.Reply, min(slab, left))
	}
	reply := &r.free[0]
	if why := decodeReply(record, reply); why != "" {
		*reply = routing.Reply{}
		r.drop(record, why)
		p.Done(token)
		return
	}
	reply.Consumed, reply.ConsumedBy = now, r.options.Node
	reply.Receipt, reply.Token = p, token
	p.trail.Mark(reply)
	if defectCommitEarly {
		p.Done(token)
	}
	r.batch = append(r.batch, reply)
	r.free = r.free[1:]
}

// deliver hands on what was read.
func (r *Replies) deliver(ctx context.Context) {
	r.free = nil
	if len(r.batch) == 0 {
		return
	}
	routing.Pass(routing.PointConsumed)
	r.sink.Deliver(ctx, r.batch)
	clear(r.batch)
	r.batch = r.batch[:0]
}

func (r *Replies) drop(record *kgo.Record, why routing.Drop) {
	if r.options.Observer != nil {
		r.options.Observer.Count(routing.Replies, string(routing.PathDropped))
		r.options.Observer.Count(routing.Drops, string(why))
	}
	r.log.Info("reply dropped", "reason", string(why), "partition", record.Partition, "offset", record.Offset)
}
