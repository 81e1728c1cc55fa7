package kafka

import (
	"context"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// begin has the partitions that the group never committed start at consumer.since.
// Where that is gets committed like what was read: should this node die before it
// has read anything, the next owner must not start later. It is called by the client
// once partitions were assigned, before they are read.
func (r *consumer) begin(ctx context.Context, offsets map[string]map[int32]kgo.Offset) (map[string]map[int32]kgo.Offset, error) {
	fresh := make(map[string]map[int32]kgo.Offset)
	for topic, of := range offsets {
		for id, at := range of {
			if at.EpochOffset().Offset < 0 {
				putAt(fresh, place{topic, id}, kgo.NewOffset().AfterMilli(r.options.SharedTime(r.since).UnixMilli()))
			}
		}
	}
	if len(fresh) == 0 {
		return offsets, nil
	}
	starts := r.startsOf(ctx)
	for topic, of := range fresh {
		for id, at := range of {
			if start, ok := starts.Lookup(topic, id); ok && start.Err == nil && start.Offset >= 0 {
				at = kgo.NewOffset().At(start.Offset)
				r.beginAt(place{topic, id}, start.Offset)
			}
			offsets[topic][id] = at
		}
	}
	return offsets, nil
}

// startsOf looks for the first records since consumer.since; nil where that is not
// known: then the client looks itself, and nothing is committed.
func (r *consumer) startsOf(ctx context.Context) kadm.ListedOffsets {
	client := r.client.Load()
	if client == nil {
		return nil // it was made this moment
	}
	ctx, cancel := context.WithTimeout(ctx, countTimeout)
	defer cancel()
	starts, err := kadm.NewClient(client).ListOffsetsAfterMilli(ctx, r.options.SharedTime(r.since).UnixMilli(), r.topics...)
	if err != nil {
		r.log.Warn("where to start is not known, and not committed", "group", r.options.Group, "err", err)
	}
	return starts
}

// beginAt has the first offset of an ownership committed.
func (r *consumer) beginAt(at place, offset int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.owned[at]
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.tail == 0 {
		p.upTo = offset
		p.committed.Store(-1)
	}
}
