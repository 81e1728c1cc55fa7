package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"parley/routing"
)

// read answers all readers of a partition. It is asked where that ends only now, when
// all of them have subscribed: what is behind its end will be pushed to each.
func (h *History) read(ctx context.Context, at place, readers []*latecomer) error {
	bounds, err := h.bounds(ctx, at.topic)
	if err != nil {
		return err
	}
	b, known := bounds[at.id]
	switch {
	case !known:
		return routing.ErrNoPosition
	case b.err != nil:
		return b.err
	}
	start, end := b.start, b.end
	var near, far []*latecomer
	for _, r := range readers {
		r.end = end
		switch behind := end - r.from; {
		case behind < 0 || r.from < start:
			r.err = routing.ErrNoPosition
		case behind > historyFar:
			r.err = errHistoryBeyond
		case behind > historyNear:
			far = append(far, r)
		case behind > 0:
			near = append(near, r)
		}
	}
	for _, some := range [][]*latecomer{near, far} {
		if len(some) == 0 {
			continue
		}
		if err := h.scan(ctx, at, end, some); err != nil {
			fail(some, err)
		}
	}
	return nil
}

// bound is where a partition begins and ends, if that is known.
type bound struct {
	start, end int64
	err        error
}

// bounds answers where the partitions of a topic begin, and where they end for those who
// read only what is committed.
func (h *History) bounds(ctx context.Context, topic string) (map[int32]bound, error) {
	admin := kadm.NewClient(h.client)
	starts, err := admin.ListStartOffsets(ctx, topic)
	if err != nil {
		return nil, err
	}
	ends, err := admin.ListCommittedOffsets(ctx, topic)
	if err != nil {
		return nil, err
	}
	all := make(map[int32]bound)
	for partition, first := range starts[topic] {
		if last, known := ends.Lookup(topic, partition); known {
			all[partition] = bound{first.Offset, last.Offset, errors.Join(first.Err, last.Err)}
		}
	}
	return all, nil
}

// Ends answers where the partitions of a topic end. It blocks, for a bounded time.
func (h *History) Ends(ctx context.Context, topic string) (routing.Position, error) {
	ctx, cancel := context.WithTimeout(ctx, historyTime)
	defer cancel()
	bounds, err := h.bounds(ctx, topic)
	if err != nil {
		return nil, fmt.Errorf("kafka: read where a topic ends: %w", err)
	}
	at := make(routing.Position, len(bounds))
	for partition, b := range bounds {
		if b.err != nil {
			return nil, fmt.Errorf("kafka: read where %s/%d ends: %w", topic, partition, b.err)
		}
		at[partition] = b.end
	}
	return at, nil
}

// scan reads a partition once, from the first of its readers' positions to its end.
func (h *History) scan(ctx context.Context, at place, end int64, readers []*latecomer) error {
	from, byKey := end, make(map[string][]*latecomer)
	for _, r := range readers {
		from = min(from, r.from)
		byKey[r.key] = append(byKey[r.key], r)
	}
	client, err := h.config.client(
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{at.topic: {at.id: kgo.NewOffset().At(from)}}),
		kgo.ConsumeResetOffset(kgo.NoResetOffset()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.FetchMinBytes(1),
		kgo.FetchMaxWait(100*time.Millisecond),
		kgo.FetchMaxBytes(4<<20),
		kgo.KeepControlRecords(), // the end may be behind one
	)
	if err != nil {
		return err
	}
	defer client.Close()
	for read := 0; from < end; {
		fetches := client.PollRecords(ctx, pollRecords)
		if err := fetches.Err(); err != nil {
			return fmt.Errorf("%s/%d: %w", at.topic, at.id, err)
		}
		for it := fetches.RecordIter(); !it.Done() && from < end; {
			record := it.Next()
			if from = record.Offset + 1; from > end || record.Attrs.IsControl() {
				continue
			}
			if read += len(record.Key) + len(record.Value) + overhead; read > h.options.Bytes {
				return errHistoryBeyond
			}
			key := string(record.Key)
			e := handOut(record, nil, byKey[key])
			if key != "" {
				handOut(record, e, byKey[""])
			}
		}
	}
	return nil
}

// handOut gives an event to all who wait for its key, or for all, and answers it once it
// was made.
func handOut(record *kgo.Record, e *routing.Event, readers []*latecomer) *routing.Event {
	for _, r := range readers {
		if record.Offset < r.from || r.err != nil {
			continue
		}
		if e == nil {
			e = event(string(record.Key), record)
		}
		r.bytes += weight(e)
		if r.events = append(r.events, e); !r.spent.more(weight(e)) {
			r.err, r.events = errHistoryBeyond, nil
		}
	}
	return e
}
