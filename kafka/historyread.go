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
	start, end, err := h.bounds(ctx, at)
	if err != nil {
		return err
	}
	var near, far []*latecomer
	for _, r := range readers {
		r.end = end
		switch behind := end - r.from; {
		case behind < 0 || r.from < start:
			r.err = errHistoryLost
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

// bounds answers where a partition begins, and where it ends for those who read only
// what is committed.
func (h *History) bounds(ctx context.Context, at place) (start, end int64, err error) {
	admin := kadm.NewClient(h.client)
	starts, err := admin.ListStartOffsets(ctx, at.topic)
	if err != nil {
		return 0, 0, err
	}
	ends, err := admin.ListCommittedOffsets(ctx, at.topic)
	if err != nil {
		return 0, 0, err
	}
	first, known := starts.Lookup(at.topic, at.id)
	last, is := ends.Lookup(at.topic, at.id)
	if !known || !is {
		return 0, 0, errHistoryLost
	}
	return first.Offset, last.Offset, errors.Join(first.Err, last.Err)
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
			handOut(record, byKey[string(record.Key)])
		}
	}
	return nil
}

// handOut gives an event to all who wait for its key.
func handOut(record *kgo.Record, readers []*latecomer) {
	var e *routing.Event
	for _, r := range readers {
		if record.Offset < r.from || r.err != nil {
			continue
		}
		if e == nil {
			e = event(string(record.Key), record)
		}
		r.bytes += weight(e)
		if r.events = append(r.events, e); len(r.events) > historyEvents || r.bytes > historyBytes {
			r.err, r.events = errHistoryBeyond, nil
		}
	}
}
