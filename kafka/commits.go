package kafka

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	commitEvery   = time.Second
	commitTimeout = 5 * time.Second
)

// commitAlways commits what is done, now and again, until ctx ends.
func (r *consumer) commitAlways(ctx context.Context, client *kgo.Client) {
	tick := time.NewTicker(r.options.Commit)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			r.commit(ctx, client)
		}
	}
}

// commit commits what is done in all partitions that are owned now.
func (r *consumer) commit(ctx context.Context, client *kgo.Client) {
	r.committing.Lock()
	defer r.committing.Unlock()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r.mu.Lock()
	owned := slices.Collect(maps.Values(r.owned))
	r.cancelCommit = cancel
	var renamed map[*partition]string
	for _, p := range owned {
		if p.member != p.confirmed {
			if renamed == nil {
				renamed = make(map[*partition]string)
			}
			renamed[p] = p.confirmed
		}
	}
	r.mu.Unlock()
	if renamed != nil {
		r.readoptLocked(ctx, client, renamed)
	}
	r.commitLocked(ctx, client, owned)
}

// readoptLocked goes on under a new member id with partitions that this node kept
// while the group had thrown it out and taken it in again. Another node may have
// owned and committed them meanwhile: what the group has is not gone back behind.
// It is called with committing held.
func (r *consumer) readoptLocked(ctx context.Context, client *kgo.Client, renamed map[*partition]string) {
	ctx, cancel := context.WithTimeout(ctx, commitTimeout)
	defer cancel()
	committed, err := kadm.NewClient(client).FetchOffsets(ctx, r.options.Group)
	if notGone(err) != nil {
		return // they are not committed until this works
	}
	for p, member := range renamed {
		if at, ok := committed.Lookup(p.topic, p.id); ok {
			p.raise(at.At)
		}
		p.member = member
	}
}

// commitLocked commits what is done in these partitions. It is called with
// committing held, and blocks for a round trip, at most commitTimeout.
func (r *consumer) commitLocked(ctx context.Context, client *kgo.Client, partitions []*partition) {
	offsets := make(map[string]map[int32]kgo.EpochOffset)
	for _, p := range partitions {
		if upTo := p.Committable(); upTo > p.committed.Load() {
			putAt(offsets, p.place, kgo.EpochOffset{Epoch: -1, Offset: upTo})
		}
	}
	if len(offsets) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, commitTimeout)
	defer cancel()
	var foreign []place
	ctx = kgo.PreCommitFnContext(ctx, func(ask *kmsg.OffsetCommitRequest) (err error) {
		foreign, err = disown(ask, partitions)
		return err
	})
	client.CommitOffsetsSync(ctx, offsets, func(
		_ *kgo.Client, _ *kmsg.OffsetCommitRequest, answer *kmsg.OffsetCommitResponse, err error,
	) {
		refused := refusals(answer)
		for _, p := range partitions {
			if at, ok := offsets[p.topic][p.id]; ok && err == nil && refused[p.place] == nil && !slices.Contains(foreign, p.place) {
				p.raise(at.Offset)
			}
		}
		r.committedLocked(err, refused)
	})
}

// errForeign says that a commit was not sent, for nothing was left in it.
var errForeign = errors.New("the partitions were assigned to a former member")

// disown takes out of a commit, just before it is sent, the partitions that were
// assigned under another member id than the one it is sent under, and answers
// them. The client may join anew while a commit waits, even without telling that
// its partitions were lost, and the broker would take the commit.
func disown(ask *kmsg.OffsetCommitRequest, partitions []*partition) (foreign []place, err error) {
	for _, p := range partitions {
		if p.member != ask.MemberID {
			foreign = append(foreign, p.place)
		}
	}
	if len(foreign) == 0 {
		return nil, nil
	}
	left := 0
	for i := range ask.Topics {
		t := &ask.Topics[i]
		t.Partitions = slices.DeleteFunc(t.Partitions, func(p kmsg.OffsetCommitRequestTopicPartition) bool {
			return slices.Contains(foreign, place{t.Topic, p.Partition})
		})
		left += len(t.Partitions)
	}
	if left == 0 {
		return foreign, errForeign
	}
	return foreign, nil
}

// committedLocked logs the first of a row of commits that Kafka did not take, and the
// first that it took again. It is called with committing held.
func (r *consumer) committedLocked(err error, refused map[place]error) {
	if err == nil {
		for _, e := range refused {
			err = e
		}
	}
	switch failing := err != nil; {
	case errors.Is(err, context.Canceled) || errors.Is(err, errForeign) || failing == r.failing:
	case failing:
		r.failing = true
		r.log.Warn("offsets not committed", "group", r.options.Group, "err", err)
	default:
		r.failing = false
		r.log.Info("offsets committed again", "group", r.options.Group)
	}
}

// refusals are the partitions that a commit was not accepted for.
func refusals(answer *kmsg.OffsetCommitResponse) map[place]error {
	refused := make(map[place]error)
	if answer == nil {
		return refused
	}
	for _, t := range answer.Topics {
		for _, p := range t.Partitions {
			if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
				refused[place{t.Topic, p.Partition}] = err
			}
		}
	}
	return refused
}
