package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
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

// latecomer is one who waits for events of one partition. It belongs to its read until
// that is done.
type latecomer struct {
	key    string // "" for all
	from   int64  // offset
	end    int64  // of the partition
	events []*routing.Event
	bytes  int
	spent  *spent // with the client's other partitions
	err    error
}

// spent is what was read for one client. Reads of several partitions share it.
type spent struct{ events, bytes atomic.Int64 }

// more notes one more event, and tells whether its client may have that many.
func (s *spent) more(bytes int) bool {
	return s.events.Add(1) <= historyEvents && s.bytes.Add(int64(bytes)) <= historyBytes
}

var (
	errHistoryBeyond = errors.New("more has happened than is read again")
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

// Since answers what has happened to a feed since its client was at a position: of a key
// in the partitions that this names, of a whole topic in all, from the beginning where it
// does not name one, which is newer. A client that has subscribed before it asks misses
// nothing: what the answer does not have is pushed. It blocks, for a bounded time. After
// an error it is not known what has happened; it is routing.ErrNoPosition where the topic has
// no such position.
func (h *History) Since(ctx context.Context, feed routing.Feed, from routing.Position) (routing.Backlog, error) {
	ctx, cancel := context.WithTimeout(ctx, historyTime)
	defer cancel()
	readers, err := h.latecomers(ctx, feed, from)
	if err == nil {
		var all sync.WaitGroup
		for partition, r := range readers {
			if r.from < r.end { // else there is nothing to read
				all.Go(func() { h.await(ctx, place{feed.Topic, partition}, r) })
			}
		}
		all.Wait()
	}
	var b routing.Backlog
	if err == nil {
		b, err = h.backlog(readers)
	}
	return b, h.ended(err)
}

// latecomers are what one client needs to have read. Of a whole topic it is asked first
// where there is anything to read.
func (h *History) latecomers(ctx context.Context, feed routing.Feed, from routing.Position) (map[int32]*latecomer, error) {
	readers, shared := make(map[int32]*latecomer), new(spent)
	if feed.Key != "" {
		for partition, offset := range from {
			readers[partition] = &latecomer{key: feed.Key, from: offset, end: math.MaxInt64, spent: shared}
		}
		return readers, nil
	}
	bounds, err := h.bounds(ctx, feed.Topic)
	if err != nil {
		return nil, err
	}
	for partition, b := range bounds {
		r := &latecomer{from: from[partition], end: b.end, spent: shared}
		switch {
		case b.err != nil:
			return nil, b.err
		case r.from < b.start, r.from > b.end:
			return nil, routing.ErrNoPosition
		}
		readers[partition] = r
	}
	for partition := range from {
		if readers[partition] == nil {
			return nil, routing.ErrNoPosition
		}
	}
	return readers, nil
}

// await has a partition read for a client, by whose turn it is. It blocks until that is
// done, or ctx has ended.
func (h *History) await(ctx context.Context, at place, r *latecomer) {
	asked := *r // r is its read's, who leaves before that has an answer of his own
	to, first, err := h.join(at, &asked)
	switch {
	case err != nil:
		r.err = err
		return
	case first:
		// Others rely on this one: so it goes on when its own client has left.
		own, cancel := context.WithTimeout(context.WithoutCancel(ctx), historyTime)
		defer cancel()
		h.serve(own, at, to)
	}
	select {
	case <-to.done:
		*r = asked
	case <-ctx.Done():
		r.err = context.Cause(ctx)
	}
}

// backlog puts together what was read of all of a client's partitions.
func (h *History) backlog(readers map[int32]*latecomer) (routing.Backlog, error) {
	b, bytes := routing.Backlog{Ends: make(routing.Position, len(readers))}, int64(0)
	for partition, r := range readers {
		if r.err != nil {
			return routing.Backlog{}, r.err
		}
		b.Ends[partition] = r.end
		b.Events = append(b.Events, r.events...)
		bytes += int64(r.bytes)
	}
	if h.held.Add(bytes) > int64(h.options.Held) {
		h.held.Add(-bytes)
		return routing.Backlog{}, errHistoryBusy
	}
	b.Release = func() { h.held.Add(-bytes) }
	return b, nil
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
	case errors.Is(err, routing.ErrNoPosition):
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
