package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"parley/routing"
)

// ViewOptions are what a View is made of, besides where Kafka is. The zero value of
// each limit stands for its default.
type ViewOptions struct {
	Topic    string
	Keys     int // that are kept: 1,000,000
	Bytes    int // of keys, bodies and headers that are kept: 256 MiB
	Watchers int // that may wait at a time: 10,000
}

// View keeps the newest event of each key of a topic in memory. It is a
// routing.View.
//
// Every node reads the whole topic from its start, without a group: what a view
// costs grows with the number of keys and with the number of nodes. The topic
// should be compacted, so that reading it at each start stays short. A record
// without a value removes its key, one without a key is passed over.
//
// What there is no room for is left out, and from then on a key that is not there
// is answered with Overloaded and not with "there is none". A key that is there is
// always the newest.
type View struct {
	config  Config
	options ViewOptions
	log     *slog.Logger
	newest  *newest
	lastErr string // belongs to Run
}

// NewView checks its options. It does not connect.
func NewView(c Config, o ViewOptions) (*View, error) {
	if o.Topic == "" {
		return nil, errors.New("kafka: a view needs a topic")
	}
	for _, d := range []struct {
		at   *int
		than int
	}{{&o.Keys, 1_000_000}, {&o.Bytes, 256 << 20}, {&o.Watchers, 10_000}} {
		if *d.at <= 0 {
			*d.at = d.than
		}
	}
	return &View{config: c, options: o, log: c.log(), newest: newNewest(o)}, nil
}

// Latest implements routing.View.
func (v *View) Latest(key string) (*routing.Event, *routing.Error) { return v.newest.latest(key) }

// Watch implements routing.View.
func (v *View) Watch(key string, changed func()) (stop func(), err *routing.Error) {
	return v.newest.watch(key, changed)
}

// Loaded tells whether the topic has been read to where it ended when Run began.
func (v *View) Loaded() bool { return v.newest.isLoaded() }

// ViewStats tell how large a view is, and how many wait for its events.
type ViewStats struct {
	Keys, Bytes int
	Full        bool // something was left out for want of room
	Watchers    int
}

// Stats tells how large the view is, and how many wait for its events now.
func (v *View) Stats() ViewStats { return v.newest.stats() }

// Run reads the topic until ctx ends, and answers nil then. It is called once. The
// topic must be there.
func (v *View) Run(ctx context.Context) error {
	client, err := v.config.client(
		kgo.ConsumeTopics(v.options.Topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.FetchMinBytes(1), // who waits for a change should not wait for more of them
		kgo.FetchMaxWait(500*time.Millisecond),
		kgo.KeepControlRecords(), // a topic may end in one
	)
	if err != nil {
		return fmt.Errorf("kafka: read %s: %w", v.options.Topic, err)
	}
	defer client.Close()
	if v.load(ctx, client) {
		v.newest.loaded()
		v.log.Info("view is loaded", "topic", v.options.Topic, "keys", v.Stats().Keys, "bytes", v.Stats().Bytes)
	}
	for ctx.Err() == nil {
		v.take(client.PollRecords(ctx, pollRecords), nil)
	}
	return nil
}

// quiet is how long a topic that has not been read to its end must have nothing
// more, while Kafka answers, to count as read: its last records may be compacted
// away, or be part of a transaction that was aborted.
const quiet = 3 * time.Second

// load reads until every partition has reached where it ends now. It answers false
// when ctx has ended.
func (v *View) load(ctx context.Context, client *kgo.Client) bool {
	ends, asked := map[int32]int64(nil), time.Time{}
	silent := time.Now()
	for ctx.Err() == nil {
		if time.Since(asked) >= quiet/4 {
			if now := v.ends(ctx, client); now == nil {
				silent = time.Now() // Kafka does not answer: its silence means nothing
			} else if ends == nil {
				ends = now
			}
			asked = time.Now()
		}
		poll, cancel := context.WithTimeout(ctx, quiet/12)
		fetches := client.PollRecords(poll, pollRecords)
		cancel()
		if fetches.NumRecords() > 0 {
			silent = time.Now()
		}
		v.take(fetches, ends)
		if ends != nil && (len(ends) == 0 || time.Since(silent) >= quiet) {
			return true
		}
	}
	return false
}

// ends answers where the partitions end that are not empty; nil where Kafka does
// not say.
func (v *View) ends(ctx context.Context, client *kgo.Client) map[int32]int64 {
	ctx, cancel := context.WithTimeout(ctx, quiet)
	defer cancel()
	admin := kadm.NewClient(client)
	starts, err := admin.ListStartOffsets(ctx, v.options.Topic)
	if err == nil {
		err = starts.Error()
	}
	last, errLast := admin.ListCommittedOffsets(ctx, v.options.Topic)
	if err = errors.Join(err, errLast, last.Error()); err != nil {
		v.complain(err)
		return nil
	}
	ends := make(map[int32]int64)
	last.Each(func(end kadm.ListedOffset) {
		if start, ok := starts.Lookup(end.Topic, end.Partition); ok && start.Offset < end.Offset {
			ends[end.Partition] = end.Offset
		}
	})
	return ends
}

// take brings the view up to what was polled, and takes the partitions off ends
// that have reached it.
func (v *View) take(fetches kgo.Fetches, ends map[int32]int64) {
	fetches.EachError(func(_ string, _ int32, err error) {
		if !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled) {
			v.complain(err)
		}
	})
	fetches.EachPartition(func(at kgo.FetchTopicPartition) {
		for _, record := range at.Records {
			if !record.Attrs.IsControl() {
				v.put(record)
			}
			if end, ok := ends[at.Partition]; ok && record.Offset+1 >= end {
				delete(ends, at.Partition)
			}
		}
	})
	if v.lastErr != "" && fetches.NumRecords() > 0 {
		v.lastErr = ""
		v.log.Info("view is read again", "topic", v.options.Topic)
	}
}

func (v *View) put(record *kgo.Record) {
	if len(record.Key) == 0 {
		return
	}
	if left := v.newest.put(record); left {
		v.log.Warn("view is full", "topic", v.options.Topic, "keys", v.options.Keys, "bytes", v.options.Bytes)
	}
}

// complain logs what the client could not read, once for as long as it stays the same.
func (v *View) complain(err error) {
	if text := err.Error(); text != v.lastErr {
		v.lastErr = text
		v.log.Warn("view cannot be read", "topic", v.options.Topic, "err", err)
	}
}
