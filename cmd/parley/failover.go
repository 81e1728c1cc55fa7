package main

import (
	"context"
	"sync"
	"time"

	"parley/kafka"
	"parley/routing"
)

// failover is what a node does when it hears of others, or of Redis: it makes the
// consumer group follow at once, instead of after its own timeouts. It implements
// table.Watcher; its methods do not block.
type failover struct {
	node *node
	gone chan kafka.Member // members of nodes that died; this node is to remove them
	lost chan struct{}     // Redis may have lost what it had
	tell chan struct{}     // all nodes are to nudge
}

// rewindBy is how far the reply consumers go back when Redis has lost what was held
// or in inboxes: longer than a fail-over of Redis takes to be noticed, and far less
// than the reply topic's retention.
const rewindBy = time.Minute

func newFailover(n *node) *failover {
	return &failover{node: n, gone: make(chan kafka.Member, 64), lost: make(chan struct{}, 1), tell: make(chan struct{}, 1)}
}

// Left has a dead node's member removed from the group. What its lease carried is
// the client id of that member.
func (f *failover) Left(node routing.NodeID, boot, member string) {
	f.node.log.Info("the consumer group is told of a dead node", "gone", string(node), "boot", boot, "member", member)
	select {
	case f.gone <- kafka.Member{ClientID: member}:
	default:
		f.node.log.Error("too many nodes are gone at a time: the group finds out by itself", "gone", string(node))
	}
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
		case first := <-f.gone:
			f.remove(ctx, first)
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

// togetherWithin is how long after the first of several dead nodes the others are heard of.
const togetherWithin = 5 * time.Millisecond

// remove takes dead members out of the group, all together: one that stays holds
// up the rebalance for the others.
func (f *failover) remove(ctx context.Context, first kafka.Member) {
	members := []kafka.Member{first}
	together := time.After(togetherWithin)
	for more := true; more; {
		select {
		case m := <-f.gone:
			members = append(members, m)
		case <-together:
			more = false
		}
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	for _, of := range f.node.members() {
		if err := of.RemoveMembers(ctx, members); err != nil {
			f.node.log.Error("dead members stay in the group until their sessions expire", "err", err)
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
