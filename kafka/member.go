package kafka

import (
	"context"
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Member names one member of the gateway's group, so that another node can
// remove it.
type Member struct {
	ClientID string // as Replies.ClientID answers: "<node>-<boot>"
	ID       string // as Replies.MemberID answers; "" where it is not known
}

// MemberID is the name that the group knows this node by, "" before it joined.
// It changes when the node is thrown out and joins again. It does not block.
func (r *consumer) MemberID() string {
	client := r.client.Load()
	if client == nil {
		return ""
	}
	id, _ := client.GroupMetadata()
	return id
}

// Nudge asks the group for its news at once instead of at the next heartbeat.
// Every node is nudged when a node has joined, left, been removed, or given up
// partitions: see RepliesOptions.Tell. It does not block, and repeats are
// harmless: many within nudgeGap are one.
func (r *consumer) Nudge() {
	select {
	case r.nudged <- struct{}{}:
	default:
	}
}

// nudgeGap is the least time between two times that this node asks the group.
const nudgeGap = 10 * time.Millisecond

// echoes are the pauses before a nudge asks once more. It may be ahead of the
// news that it is about; the client may miss it while it is between two sessions;
// and a server-side group moves a partition in several steps, each told in the
// answer to a heartbeat. A heartbeat too many costs one small request.
var echoes = []time.Duration{
	10 * time.Millisecond, 20 * time.Millisecond, 20 * time.Millisecond, 50 * time.Millisecond,
	50 * time.Millisecond, 100 * time.Millisecond, 100 * time.Millisecond, 250 * time.Millisecond,
}

// nudges carries out nudges until ctx ends.
func (r *consumer) nudges(ctx context.Context, client *kgo.Client) {
	var left []time.Duration // echoes to come
	for {
		var echo <-chan time.Time
		if len(left) > 0 {
			echo, left = time.After(left[0]), left[1:]
		}
		select {
		case <-ctx.Done():
			return
		case <-echo:
		case <-r.nudged:
			left = echoes
		}
		r.ask(ctx, client)
		select {
		case <-ctx.Done():
			return
		case <-time.After(nudgeGap):
		}
	}
}

const askTimeout = time.Second

// ask has the client take part in a rebalance if there is one. Under KIP-848 that
// is a heartbeat. A classic member is asked to join anew only when a heartbeat says
// so: the group's leader would begin a rebalance by it, and one that nobody needs
// keeps partitions that were just gained from being read.
func (r *consumer) ask(ctx context.Context, client *kgo.Client) {
	if r.options.Protocol == Consumer {
		client.ForceRebalance()
		return
	}
	if !r.settled() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	member, generation := client.GroupMetadata()
	beat := kmsg.NewPtrHeartbeatRequest()
	beat.Group, beat.MemberID, beat.Generation = r.options.Group, member, generation
	answer, err := beat.RequestWith(ctx, client)
	if err != nil {
		return // the client's own heartbeats say so
	}
	err = kerr.ErrorForCode(answer.ErrorCode)
	if _, now := client.GroupMetadata(); now != generation || !r.settled() {
		return // it joined anew meanwhile
	}
	if errors.Is(err, kerr.RebalanceInProgress) || errors.Is(err, kerr.UnknownMemberID) {
		client.ForceRebalance()
	}
}

// settled tells whether this node is a member, and not about to join anew.
func (r *consumer) settled() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.joined && !r.joining
}

// tell says that all nodes should be nudged.
func (r *consumer) tell() {
	if r.options.Tell != nil {
		r.options.Tell()
	}
}

// oweLocked has the others told when this node next speaks to the group. An
// earlier word would be too early: they would ask before there is any news. Under
// KIP-848 a heartbeat without news may be on its way still, and takes the first
// word.
func (r *consumer) oweLocked() {
	if r.owes = 1; r.options.Protocol == Consumer {
		r.owes = 2
	}
}

// joins sees what this member asks of its group, as it is sent.
type joins struct{ *consumer }

// OnBrokerWrite implements kgo.HookBrokerWrite.
func (r joins) OnBrokerWrite(_ kgo.BrokerMetadata, key int16, _ int, _, _ time.Duration, err error) {
	join := key == kmsg.JoinGroup.Int16()
	if err != nil || !join && key != kmsg.ConsumerGroupHeartbeat.Int16() {
		return
	}
	r.mu.Lock()
	news := !r.joined || r.owes > 0
	r.owes = max(0, r.owes-1)
	r.joining = join
	r.mu.Unlock()
	if news {
		r.tell()
	}
	if join {
		select {
		case r.asked <- struct{}{}:
		default:
		}
	}
}

// OnBrokerRead implements kgo.HookBrokerRead.
func (r joins) OnBrokerRead(_ kgo.BrokerMetadata, key int16, _ int, _, _ time.Duration, _ error) {
	if key == kmsg.JoinGroup.Int16() {
		r.mu.Lock()
		r.joining = false
		r.mu.Unlock()
	}
}

const (
	// patience is how long a join may wait for the other members before they are
	// told again. A nudge may reach the broker before the news that it is about,
	// and then changes nothing.
	patience = 25 * time.Millisecond
	// retellings is how often they are, each time after twice as long.
	retellings = 6
)

// tellAgain has the others told while a join of this node waits for them, until
// ctx ends.
func (r *consumer) tellAgain(ctx context.Context, _ *kgo.Client) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.asked:
		}
		for n := range retellings {
			select {
			case <-ctx.Done():
				return
			case <-time.After(patience << n):
			}
			r.mu.Lock()
			joining := r.joining
			r.mu.Unlock()
			if !joining {
				break
			}
			r.tell()
		}
	}
}
