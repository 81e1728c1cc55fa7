package kafka

import (
	"context"

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
func (r *Replies) Wait(partition int32, wait bool) {
	r.mu.Lock()
	if wait && r.owned[partition] != nil {
		r.waits[partition] = true
	} else {
		delete(r.waits, partition)
	}
	r.mu.Unlock()
	r.steer(partition)
}

// steer stops the fetching of a partition that is to wait, or has too many
// replies that are not done, and lets it go on when it may.
func (r *Replies) steer(id int32) {
	client := r.client.Load()
	if client == nil {
		return
	}
	r.pausing.Lock()
	defer r.pausing.Unlock()
	r.mu.Lock()
	p := r.owned[id]
	stop := p != nil && (r.waits[id] || p.isCrowded())
	r.mu.Unlock()
	if stop == r.stopped[id] {
		return
	}
	at := map[string][]int32{r.options.Topic: {id}}
	if stop {
		r.stopped[id] = true
		client.PauseFetchPartitions(at)
		r.log.Info("a partition waits in Kafka", "partition", id)
		return
	}
	delete(r.stopped, id)
	client.ResumeFetchPartitions(at)
	r.log.Info("a partition goes on", "partition", id)
}

// steerAlways lets partitions go on that have room again, until ctx ends.
func (r *Replies) steerAlways(ctx context.Context, _ *kgo.Client) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.room:
		}
		r.pausing.Lock()
		ids := make([]int32, 0, len(r.stopped))
		for id := range r.stopped {
			ids = append(ids, id)
		}
		r.pausing.Unlock()
		for _, id := range ids {
			r.steer(id)
		}
	}
}
