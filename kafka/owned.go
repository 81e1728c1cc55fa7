package kafka

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"parley/routing"
)

const (
	commitEvery   = time.Second
	commitTimeout = 5 * time.Second
	countEvery    = 10 * time.Second
	countTimeout  = 2 * time.Second
)

// assigned is called by the client when the group gave this node partitions,
// perhaps none, before any of their records is polled.
func (r *Replies) assigned(ctx context.Context, client *kgo.Client, added map[string][]int32) {
	gained := added[r.options.Topic]
	if r.total.Load() == 0 || len(gained) > 0 && slices.Max(gained) >= r.total.Load() {
		r.count(ctx, client)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, id := range gained {
		r.owned[id] = &partition{id: id}
	}
	r.joined = true
	r.tellHomesLocked()
	if len(gained) > 0 {
		r.log.Info("partitions assigned", "gained", gained, "owned", len(r.owned))
	}
}

// revoked is called by the client when the group takes partitions away, and
// when this node leaves. No record of theirs is polled any longer. The next
// owner starts when it returns, from what is committed here.
func (r *Replies) revoked(ctx context.Context, client *kgo.Client, taken map[string][]int32) {
	ids := taken[r.options.Topic]
	if len(ids) == 0 {
		return // the client also calls at the end of a session that took nothing
	}
	gone := r.forget(func(p *partition) bool { return slices.Contains(ids, p.id) }, true)
	waited, cancel := context.WithTimeout(ctx, r.options.RevokeWait)
	defer cancel()
	for _, p := range gone {
		p.drain(waited)
	}
	r.committing.Lock()
	defer r.committing.Unlock()
	r.commitLocked(ctx, client, gone)
}

// lost is called by the client when the group has thrown this node out: others
// may own its partitions already, so nothing may be committed.
func (r *Replies) lost(context.Context, *kgo.Client, map[string][]int32) {
	r.mu.Lock()
	if r.cancelCommit != nil {
		r.cancelCommit()
	}
	r.mu.Unlock()
	r.forget(func(*partition) bool { return true }, false)
}

// forget ends the ownership of partitions and answers them.
func (r *Replies) forget(which func(*partition) bool, member bool) (gone []*partition) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, p := range r.owned {
		if which(p) {
			gone = append(gone, p)
			delete(r.owned, id)
		}
	}
	r.joined = member && r.joined
	r.tellHomesLocked()
	if len(gone) > 0 {
		r.log.Info("partitions taken away", "taken", len(gone), "owned", len(r.owned), "still_member", member)
	}
	return gone
}

// tellHomesLocked tells the router what this node owns.
func (r *Replies) tellHomesLocked() {
	total := r.total.Load()
	if total == 0 {
		return // not known yet: count tells later
	}
	if r.leaving {
		r.options.Sink.SetHomes(routing.NewHomes(total, nil))
		return
	}
	r.options.Sink.SetHomes(routing.NewHomes(total, slices.Sorted(maps.Keys(r.owned))))
}

// count learns how many partitions the reply topic has: services hash keys over
// all of them.
func (r *Replies) count(ctx context.Context, client *kgo.Client) {
	ctx, cancel := context.WithTimeout(ctx, countTimeout)
	defer cancel()
	n, err := admin{Client: kadm.NewClient(client)}.partitions(ctx, r.options.Topic)
	if err != nil {
		r.log.Debug("partitions of the reply topic unknown", "topic", r.options.Topic, "err", err)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.total.Swap(n) != n {
		r.tellHomesLocked()
	}
}

// watch counts the reply topic's partitions, often until it knows and then now
// and again, for the topic may grow.
func (r *Replies) watch(ctx context.Context, client *kgo.Client) {
	for ctx.Err() == nil {
		r.count(ctx, client)
		pause := countEvery
		if r.total.Load() == 0 {
			pause = countTimeout
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

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
		r.commitFailed(err, refused)
	})
}
