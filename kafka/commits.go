package kafka

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	commitEvery   = time.Second
	commitTimeout = 5 * time.Second
)

// commitAlways commits what is done every commitEvery, until ctx ends.
func (r *Replies) commitAlways(ctx context.Context, client *kgo.Client) {
	tick := time.NewTicker(commitEvery)
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
func (r *Replies) commit(ctx context.Context, client *kgo.Client) {
	r.committing.Lock()
	defer r.committing.Unlock()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r.mu.Lock()
	owned := slices.Collect(maps.Values(r.owned))
	r.cancelCommit = cancel
	r.mu.Unlock()
	r.commitLocked(ctx, client, owned)
}

// commitLocked commits what is done in these partitions. It is called with
// committing held, and blocks for a round trip, at most commitTimeout.
func (r *Replies) commitLocked(ctx context.Context, client *kgo.Client, partitions []*partition) {
	offsets := make(map[int32]kgo.EpochOffset)
	for _, p := range partitions {
		if upTo := p.committable(); upTo > p.committed {
			offsets[p.id] = kgo.EpochOffset{Epoch: -1, Offset: upTo}
		}
	}
	if len(offsets) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, commitTimeout)
	defer cancel()
	client.CommitOffsetsSync(ctx, map[string]map[int32]kgo.EpochOffset{r.options.Topic: offsets}, func(
		_ *kgo.Client, _ *kmsg.OffsetCommitRequest, answer *kmsg.OffsetCommitResponse, err error,
	) {
		refused := refusals(answer)
		for _, p := range partitions {
			if at, ok := offsets[p.id]; ok && err == nil && refused[p.id] == nil {
				p.committed = at.Offset
			}
		}
		r.committedLocked(err, refused)
	})
}

// committedLocked logs the first of a row of commits that Kafka did not take, and the
// first that it took again. It is called with committing held.
func (r *Replies) committedLocked(err error, refused map[int32]error) {
	if err == nil {
		for _, e := range refused {
			err = e
		}
	}
	switch failing := err != nil; {
	case errors.Is(err, context.Canceled) || failing == r.failing:
	case failing:
		r.failing = true
		r.log.Warn("offsets not committed", "topic", r.options.Topic, "err", err)
	default:
		r.failing = false
		r.log.Info("offsets committed again", "topic", r.options.Topic)
	}
}

// refusals are the partitions that a commit was not accepted for.
func refusals(answer *kmsg.OffsetCommitResponse) map[int32]error {
	refused := make(map[int32]error)
	if answer == nil {
		return refused
	}
	for _, t := range answer.Topics {
		for _, p := range t.Partitions {
			if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
				refused[p.Partition] = err
			}
		}
	}
	return refused
}
