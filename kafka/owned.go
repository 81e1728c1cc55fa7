package kafka

import (
	"context"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"parley/routing"
)

const (
	countEvery   = 10 * time.Second
	countTimeout = 2 * time.Second
)

// assigned is called by the client when the group gave this node partitions,
// perhaps none, before any of their records is polled.
func (r *consumer) assigned(ctx context.Context, client *kgo.Client, added map[string][]int32) {
	gained := places(added)
	if total := r.total.Load(); total == 0 || slices.ContainsFunc(gained, func(at place) bool { return at.id >= total }) {
		r.count(ctx, client)
	}
	member, _ := client.GroupMetadata()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range r.owned {
		p.confirmed = member
	}
	for _, at := range gained {
		r.owned[at] = &partition{place: at, Line: Line{limits: &r.limits}, holding: &holding{member: member, confirmed: member}}
	}
	r.joined = true
	r.tellHomesLocked()
	if len(gained) > 0 && time.Now().Before(r.rewindUntil) {
		r.rewindLaterLocked()
	}
	if len(gained) > 0 {
		r.came.Store(true)
		r.log.Info("partitions assigned", "group", r.options.Group, "gained", len(gained), "owned", len(r.owned))
	}
}

// revoked is called by the client when the group takes partitions away, and
// when this node leaves. No record of theirs is polled any longer. The next
// owner starts when it returns, from what is committed here.
func (r *consumer) revoked(ctx context.Context, client *kgo.Client, taken map[string][]int32) {
	ids := places(taken)
	if len(ids) == 0 {
		return // the client also calls at the end of a session that took nothing
	}
	gone := r.forget(func(p *partition) bool { return slices.Contains(ids, p.place) }, true)
	waited, cancel := context.WithTimeout(ctx, r.options.RevokeWait)
	defer cancel()
	for _, p := range gone {
		p.Drain(waited)
	}
	r.committing.Lock()
	defer r.committing.Unlock()
	r.commitLocked(ctx, client, gone)
	r.mu.Lock()
	r.oweLocked()
	r.mu.Unlock()
}

// lost is called by the client when the group has thrown this node out: others
// may own its partitions already, so nothing may be committed.
func (r *consumer) lost(context.Context, *kgo.Client, map[string][]int32) {
	r.mu.Lock()
	if r.cancelCommit != nil {
		r.cancelCommit()
	}
	r.mu.Unlock()
	r.forget(func(*partition) bool { return true }, false)
}

// forget ends the ownership of partitions and answers them.
func (r *consumer) forget(which func(*partition) bool, member bool) (gone []*partition) {
	r.mu.Lock()
	for at, p := range r.owned {
		if which(p) {
			gone = append(gone, p)
			delete(r.owned, at)
			delete(r.waits, at)
		}
	}
	r.joined = member && r.joined
	r.tellHomesLocked()
	if len(gone) > 0 {
		r.log.Info("partitions taken away", "group", r.options.Group, "taken", len(gone), "owned", len(r.owned), "still_member", member)
	}
	r.mu.Unlock()
	for _, p := range gone {
		r.steer(p.place)
	}
	return gone
}

// tellHomesLocked tells the router what this node owns.
func (r *consumer) tellHomesLocked() {
	total := r.total.Load()
	if total == 0 || r.homes == nil {
		return // not known yet: count tells later
	}
	var owned []int32
	for at := range r.owned {
		if !r.leaving {
			owned = append(owned, at.id)
		}
	}
	slices.Sort(owned)
	r.homes(routing.NewHomes(total, owned))
}

// places lists partitions.
func places(of map[string][]int32) (all []place) {
	for topic, ids := range of {
		for _, id := range ids {
			all = append(all, place{topic, id})
		}
	}
	return all
}

// count learns how many partitions the reply topic has: services hash keys over
// all of them.
func (r *consumer) count(ctx context.Context, client *kgo.Client) {
	if r.homes == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, countTimeout)
	defer cancel()
	n, err := admin{Client: kadm.NewClient(client)}.partitions(ctx, r.topics[0])
	if err != nil {
		r.log.Debug("partitions of the reply topic unknown", "topic", r.topics[0], "err", err)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.total.Swap(n) != n {
		r.tellHomesLocked()
	}
}

// hurry asks the broker to share out the partitions of a server-side group at
// once. By default it waits up to a second for more changes, and a member that
// missed the answer learns it at its next heartbeat, seconds later. A cluster
// that does not let this be set serves as well, more slowly.
func (r *consumer) hurry(ctx context.Context, client *kgo.Client) {
	ctx, cancel := context.WithTimeout(ctx, countTimeout)
	defer cancel()
	zero := "0"
	ask := kmsg.NewPtrIncrementalAlterConfigsRequest()
	group := kmsg.NewIncrementalAlterConfigsRequestResource()
	group.ResourceType, group.ResourceName = kmsg.ConfigResourceTypeGroupConfig, r.options.Group
	group.Configs = []kmsg.IncrementalAlterConfigsRequestResourceConfig{{Name: "consumer.assignment.interval.ms", Op: kmsg.IncrementalAlterConfigOpSet, Value: &zero}}
	ask.Resources = append(ask.Resources, group)
	answer, err := ask.RequestWith(ctx, client)
	if err == nil && len(answer.Resources) == 1 {
		err = kerr.ErrorForCode(answer.Resources[0].ErrorCode)
	}
	if err != nil {
		r.log.Info("the group's assignment interval could not be set", "group", r.options.Group, "err", err)
	}
}

// watch counts the reply topic's partitions, often until it knows and then now
// and again, for the topic may grow.
func (r *consumer) watch(ctx context.Context, client *kgo.Client) {
	for ctx.Err() == nil && r.homes != nil {
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
