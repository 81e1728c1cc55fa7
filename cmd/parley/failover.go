package main

import (
	"context"
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
}

// rewindBy is how far the reply consumers go back when Redis has lost what was held
// or in inboxes: longer than a fail-over of Redis takes to be noticed, and far less
// than the reply topic's retention.
const rewindBy = time.Minute

func newFailover(n *node) *failover {
	return &failover{node: n, gone: make(chan kafka.Member, 64), lost: make(chan struct{}, 1)}
}

// Left has a dead node's member removed from the group. What its lease carried is
// the client id of that member.
func (f *failover) Left(node routing.NodeID, boot, member string) {
	f.node.log.Warn("a node is gone: its partitions are given to others", "gone", string(node), "boot", boot, "member", member)
	select {
	case f.gone <- kafka.Member{ClientID: member}:
	default:
		f.node.log.Error("too many nodes are gone at a time: the group finds out by itself", "gone", string(node))
	}
}

// Changed asks the group for its news.
func (f *failover) Changed() { f.node.replies.Nudge() }

// Restored has replies of the last minute routed again.
func (f *failover) Restored() {
	select {
	case f.lost <- struct{}{}:
	default:
	}
}

// run works until ctx ends.
func (f *failover) run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case first := <-f.gone:
			f.remove(ctx, first)
		case <-f.lost:
			f.node.log.Warn("Redis may have lost replies: those of the last minute are routed again", "by", rewindBy)
			if err := f.node.replies.Rewind(ctx, rewindBy); err != nil && ctx.Err() == nil {
				f.node.log.Error("replies could not be routed again", "err", err)
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
	if err := f.node.replies.RemoveMembers(ctx, members); err != nil {
		f.node.log.Error("dead members stay in the group until their sessions expire", "err", err)
	}
}
