package kafka

import (
	"context"
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Wait tells whether a partition is to wait in Kafka: a router that cannot pass
// on what comes from it, because the table is away, stops it with true and lets
// it go on with false, while replies of other partitions are delivered. What was
// polled before comes all the same, at most one more Deliver. A partition that
// is taken away is forgotten, and one that comes back does not wait.
//
// A router need not use it. Replies that it keeps without having them done
// count against RepliesOptions.Backlog, which stops the partition as well.
//
// It does not block and may be called from any goroutine, also by Sink.Deliver.
func (r *consumer) Wait(topic string, partition int32, wait bool) {
	at := place{topic, partition}
	r.mu.Lock()
	if wait && r.owned[at] != nil {
		r.waits[at] = true
	} else {
		delete(r.waits, at)
	}
	r.mu.Unlock()
	r.steer(at)
}

// steer stops the fetching of a partition that is to wait, or has too many
// replies that are not done, and lets it go on when it may.
func (r *consumer) steer(at place) {
	client := r.client.Load()
	if client == nil {
		return
	}
	r.pausing.Lock()
	defer r.pausing.Unlock()
	r.mu.Lock()
	p := r.owned[at]
	stop := p != nil && (r.waits[at] || p.isCrowded())
	r.mu.Unlock()
	if stop == r.stopped[at] {
		return
	}
	partition := map[string][]int32{at.topic: {at.id}}
	if stop {
		r.stopped[at] = true
		client.PauseFetchPartitions(partition)
		r.log.Info("a partition waits in Kafka", "topic", at.topic, "partition", at.id)
		return
	}
	delete(r.stopped, at)
	client.ResumeFetchPartitions(partition)
	r.log.Info("a partition goes on", "topic", at.topic, "partition", at.id)
}

// steerAlways lets partitions go on that have room again, until ctx ends.
func (r *consumer) steerAlways(ctx context.Context, _ *kgo.Client) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.room:
		}
		r.pausing.Lock()
		stopped := slices.Collect(maps.Keys(r.stopped))
		r.pausing.Unlock()
		for _, at := range stopped {
			r.steer(at)
		}
	}
}
