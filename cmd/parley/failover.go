package main

import (
	"context"
	"errors"
	"sync"
	"time"

	"parley/kafka"
	"parley/routing/table"
)

// failover is what a node does when it hears of others, or of Redis: it makes the
// consumer group follow at once, instead of after its own timeouts. It implements
// table.Watcher; only Left blocks.
type failover struct {
	node *node
	lost chan struct{} // Redis may have lost what it had
	tell chan struct{} // all nodes are to nudge
}

// rewindBy is how far the reply consumers go back when Redis has lost what was held
// or in inboxes: longer than a fail-over of Redis takes to be noticed, and far less
// than the reply topic's retention.
const rewindBy = time.Minute

func newFailover(n *node) *failover {
	return &failover{node: n, lost: make(chan struct{}, 1), tell: make(chan struct{}, 1)}
}

// removalTimeout bounds one try to take dead members out of their groups.
const removalTimeout = 5 * time.Second

// Left takes the members of dead nodes out of the consumer groups, all together: one
// that stays holds up the rebalance for the others. What a lease carries is the client
// id of its node's members.
func (f *failover) Left(ctx context.Context, gone []table.Departed) error {
	began := time.Now()
	members := make([]kafka.Member, len(gone))
	for i, d := range gone {
		members[i].ClientID = d.Member
	}
	ctx, cancel := context.WithTimeout(ctx, removalTimeout)
	defer cancel()
	of := f.node.members()
	failed := make([]error, len(of))
	var removing sync.WaitGroup
	for i := range of {
		removing.Go(func() { failed[i] = of[i].RemoveMembers(ctx, members) })
	}
	removing.Wait()
	if err := errors.Join(failed...); err != nil {
		return err
	}
	f.Tell()
	for _, d := range gone {
		f.node.log.Info("a dead node is out of the consumer groups", "gone", string(d.Node), "boot", d.Boot, "member", d.Member,
			"after", time.Since(began).Round(time.Millisecond))
	}
	return nil
}

// Changed asks the group for its news.
func (f *failover) Changed() { f.nudge() }

func (f *failover) nudge() {
	for _, m := range f.node.members() {
		m.Nudge()
	}
}

// Restored has replies of the last minute routed again.
func (f *failover) Restored() {
	select {
	case f.lost <- struct{}{}:
	default:
	}
}

// Tell has all nodes ask the group for its news: this one has joined, left, or
// given partitions up.
func (f *failover) Tell() {
	select {
	case f.tell <- struct{}{}:
	default:
	}
}

// run works until ctx ends.
func (f *failover) run(ctx context.Context) error {
	var listening sync.WaitGroup
	defer listening.Wait()
	listening.Go(func() { f.listen(ctx) })
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-f.tell:
			f.publish(ctx)
		case <-f.lost:
			f.node.log.Warn("Redis may have lost replies: those of the last minute are routed again", "by", rewindBy)
			for _, m := range f.node.members() {
				if err := m.Rewind(ctx, rewindBy); err != nil && ctx.Err() == nil {
					f.node.log.Error("replies could not be routed again", "err", err)
				}
			}
		}
	}
}

// channel is where the nodes of one gateway tell each other to nudge. That a word
// is lost costs a heartbeat's time and nothing else, so publish and subscribe will do.
func (f *failover) channel() string { return "parley:nudge:" + f.node.cfg.Kafka.Group }

func (f *failover) publish(ctx context.Context) {
	if f.node.redis == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if err := f.node.redis.Publish(ctx, f.channel(), f.node.cfg.Node).Err(); err != nil {
		f.node.log.Debug("the other nodes are not told to nudge", "err", err)
	}
}

// listen nudges when another node says so, until ctx ends.
func (f *failover) listen(ctx context.Context) {
	if f.node.redis == nil {
		return
	}
	words := f.node.redis.Subscribe(ctx, f.channel())
	defer words.Close()
	for {
		select {
		case <-ctx.Done():
			return
		case word, ok := <-words.Channel():
			if !ok {
				return
			}
			if word.Payload != f.node.cfg.Node {
				f.nudge()
			}
		}
	}
}
