package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"parley/routing"
)

// HistoryOptions are what a History is made of, besides where Kafka is. The zero
// value of each limit stands for its default.
type HistoryOptions struct {
	Bytes    int      // of a partition that are read again at a time: 16 MiB
	Held     int      // of events that were read and are not released: 64 MiB
	Observer Observer // nil for none
}

const (
	historyTime    = 5 * time.Second // all of it: until a client is told, one way or the other
	historyReads   = 4               // partitions that are read at a time
	historyReaders = 10_000          // clients that wait for one partition
	historyEvents  = 1000            // that one client gets, as many as may be unacknowledged
	historyBytes   = 1 << 20         // and their bytes
	historyNear    = 1000            // records: who is no further behind does not wait for,
	historyFar     = 100_000         // nor suffer from, who is; nobody may be further
)

// History reads events again for clients that were away. Nobody's position is kept for
// that: a client says which event was its last, and what came behind it, in the same
// partition and with the same key, is read by a consumer that is in no group and lives
// for that one read.
//
// That is bounded: so many partitions at a time, so much of each, for so long. All
// clients that ask for a partition while none of them is served yet are served by one
// read, so that those of a node that died cost a read of each partition and not one
// each. Its methods may be called from any goroutine.
type History struct {
	config  Config
	options HistoryOptions
	log     *slog.Logger
	client  *kgo.Client   // asks where partitions begin and end
	slots   chan struct{} // has room for the reads at a time
	held    atomic.Int64  // bytes of events that are not released

	mu   sync.Mutex
	next map[place]*reread // what is to be read next of a partition
}

// reread is one read of a partition, for all who have come before it begins.
type reread struct {
	readers []*latecomer
	done    chan struct{} // closed when each of them has its answer
}

// latecomer is one who waits for events. It belongs to its read until that is done.
type latecomer struct {
	key    string
	from   int64 // offset
	end    int64 // of the partition
	events []*routing.Event
	bytes  int
	err    error
}

var (
	errHistoryBeyond = errors.New("more has happened than is read again")
	errHistoryLost   = errors.New("the topic has no such position")
	errHistoryBusy   = errors.New("too many ask for events again")
)

// NewHistory makes a history. It does not connect.
func NewHistory(c Config, o HistoryOptions) (*History, error) {
	if o.Bytes <= 0 {
		o.Bytes = 16 << 20
	}
	if o.Held <= 0 {
		o.Held = 64 << 20
	}
	client, err := c.client()
	if err != nil {
		return nil, fmt.Errorf("kafka: make a history: %w", err)
	}
	return &History{
		config: c, options: o, log: c.log(), client: client,
		slots: make(chan struct{}, historyReads), next: make(map[place]*reread),
	}, nil
}

// Close frees what the history has. Nobody may be asking any longer.
func (h *History) Close() { h.client.Close() }

// Since answers what has happened to a feed after one of its events. A client that has
// subscribed before it asks misses nothing: what the answer does not have is pushed. It
// blocks, for a bounded time. After an error it is not known what has happened.
func (h *History) Since(ctx context.Context, feed routing.Feed, after routing.RecordAt) (routing.Backlog, error) {
	if after.Topic != feed.Topic {
		return routing.Backlog{}, h.ended(errHistoryLost)
	}
	r := &latecomer{key: feed.Key, from: after.Offset + 1}
	ctx, cancel := context.WithTimeout(ctx, historyTime)
	defer cancel()
	to, first, err := h.join(place{after.Topic, after.Partition}, r)
	switch {
	case err != nil:
		return routing.Backlog{}, h.ended(err)
	case first:
		// Others rely on this one: so it goes on when its own client has left.
		own, cancel := context.WithTimeout(context.WithoutCancel(ctx), historyTime)
		defer cancel()
		h.serve(own, place{after.Topic, after.Partition}, to)
	}
	select {
	case <-to.done:
	case <-ctx.Done():
		return routing.Backlog{}, h.ended(context.Cause(ctx))
	}
	if r.err == nil && h.held.Add(int64(r.bytes)) > int64(h.options.Held) {
		h.held.Add(-int64(r.bytes))
		r.err = errHistoryBusy
	}
	if r.err != nil {
		return routing.Backlog{}, h.ended(r.err)
	}
	_ = h.ended(nil)
	return routing.Backlog{Events: r.events, End: r.end, Release: func() { h.held.Add(-int64(r.bytes)) }}, nil
}

// join has a reader served by the next read of its partition. first says that it is the
// one who does that.
func (h *History) join(at place, r *latecomer) (to *reread, first bool, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if to = h.next[at]; to == nil {
		to, first = &reread{done: make(chan struct{})}, true
		h.next[at] = to
	}
	if len(to.readers) >= historyReaders {
		return nil, false, errHistoryBusy
	}
	to.readers = append(to.readers, r)
	return to, first, nil
}

// serve reads a partition for all who have joined by the time that it is its turn.
func (h *History) serve(ctx context.Context, at place, to *reread) {
	defer close(to.done)
	err := errHistoryBusy
	select {
	case h.slots <- struct{}{}:
		defer func() { <-h.slots }()
		err = nil
	case <-ctx.Done():
	}
	h.mu.Lock()
	delete(h.next, at) // nobody joins from now on
	h.mu.Unlock()
	if err == nil {
		err = h.read(ctx, at, to.readers)
	}
	if err != nil {
		fail(to.readers, err)
	}
}

// fail tells all who have no answer yet that there is none.
func fail(readers []*latecomer, err error) {
	for _, r := range readers {
		if r.err == nil {
			r.err, r.events = err, nil
		}
	}
}

// ended counts how a wish has ended.
func (h *History) ended(err error) error {
	how := routing.ReplayAway
	switch {
	case err == nil:
		how = routing.ReplayWhole
	case errors.Is(err, errHistoryBeyond):
		how = routing.ReplayBeyond
	case errors.Is(err, errHistoryLost):
		how = routing.ReplayLost
	case errors.Is(err, errHistoryBusy):
		how = routing.ReplayBusy
	}
	if h.options.Observer != nil {
		h.options.Observer.Count(routing.Replays, string(how))
	}
	if err != nil {
		err = fmt.Errorf("kafka: read events again: %w", err)
	}
	return err
}
