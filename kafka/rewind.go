package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	// rewindLasts is how long partitions that this node gains are rewound too:
	// one that moves from node to node meanwhile would else be missed, when its
	// former owner had not come through and its new one had been asked before.
	rewindLasts = 10 * time.Second
	// rewindTimeout bounds the rewind of such partitions.
	rewindTimeout = 5 * time.Second
	rewindAgain   = 200 * time.Millisecond
)

// rewinding is what Rewind asks of the goroutine that polls.
type rewinding struct {
	to        time.Time
	owned     map[place]*holding // before committed was read
	starts    kadm.ListedOffsets // the first record not before to
	committed kadm.OffsetResponses
	done      chan struct{} // closed when it has been carried out
}

// Rewind delivers once more what came to this node's partitions in the last
// while, for what a table held of it may be lost. Records are dated by whoever
// wrote them, so by should be longer than clocks differ. What has been deleted
// from the topic does not come back.
//
// Committed offsets do not go back. Everything that is delivered again, and all
// that was not done before, must be done (again) before they go on; receipts
// from before the rewind change nothing any longer.
//
// It blocks until the partitions have been set back, not until their replies
// were delivered. An error means that some may not have been: ask again.
// Partitions that this node gains soon after are rewound as well.
func (r *consumer) Rewind(ctx context.Context, by time.Duration) error {
	client := r.client.Load()
	if client == nil {
		return errors.New("kafka: rewind: nothing is being read")
	}
	now := time.Now()
	r.mu.Lock()
	r.rewindTo, r.rewindUntil = now.Add(-by), now.Add(rewindLasts)
	to := r.rewindTo
	r.mu.Unlock()
	r.log.Info(r.noun+" are read again", "group", r.options.Group, "since", to)
	return r.rewind(ctx, client, to)
}

// rewind sets all owned partitions back that have not been set back to this time.
func (r *consumer) rewind(ctx context.Context, client *kgo.Client, to time.Time) error {
	admin, owned := kadm.NewClient(client), r.holdings()
	starts, err := admin.ListOffsetsAfterMilli(ctx, r.options.SharedTime(to).UnixMilli(), r.topics...)
	if err == nil {
		err = starts.Error()
	}
	if err != nil {
		return fmt.Errorf("kafka: rewind: look for records since %v: %w", to, err)
	}
	committed, err := admin.FetchOffsets(ctx, r.options.Group)
	if notGone(err) != nil {
		return fmt.Errorf("kafka: rewind: read committed offsets: %w", err)
	}
	ask := &rewinding{to, owned, starts, committed, make(chan struct{})}
	select {
	case r.orders <- ask:
	case <-ctx.Done():
		return fmt.Errorf("kafka: rewind: %w", ctx.Err())
	}
	r.interrupt()
	select {
	case <-ask.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("kafka: rewind: %w", ctx.Err())
	}
}

func (r *consumer) holdings() map[place]*holding {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make(map[place]*holding, len(r.owned))
	for at, p := range r.owned {
		all[at] = p.holding
	}
	return all
}

// rewindLaterLocked has partitions rewound that came in the midst of it.
func (r *consumer) rewindLaterLocked() {
	select {
	case r.gained <- struct{}{}:
	default:
	}
}

// pollContext ends when a rewind is asked for, too.
func (r *consumer) pollContext(ctx context.Context) context.Context {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.polling == nil || r.polling.Err() != nil {
		r.polling, r.stopPoll = context.WithCancel(ctx)
	}
	if len(r.orders) > 0 {
		r.stopPoll() // it was asked for before this context was made
	}
	return r.polling
}

// interrupt ends a poll that waits for records.
func (r *consumer) interrupt() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stopPoll != nil {
		r.stopPoll()
	}
}

// obey carries out a rewind that was asked for. It is called by the goroutine
// that polls, while no rebalance can happen and all that was polled is counted.
func (r *consumer) obey(client *kgo.Client) {
	var ask *rewinding
	select {
	case ask = <-r.orders:
	default:
		return
	}
	defer close(ask.done)
	set := make(map[string]map[int32]kgo.EpochOffset)
	var moved []place
	r.mu.Lock()
	for at, p := range r.owned {
		start, ok := ask.starts.Lookup(at.topic, at.id)
		switch {
		case !ok || p.rewound.Equal(ask.to):
		case p.holding != ask.owned[at]:
			r.rewindLaterLocked() // its former owner may have committed more than we know
		default:
			if known, ok := ask.committed.Lookup(at.topic, at.id); ok {
				p.raise(known.At)
			}
			again := p.again(start.Offset)
			again.rewound = ask.to
			r.owned[at] = again
			putAt(set, at, kgo.EpochOffset{Epoch: -1, Offset: again.upTo})
			moved = append(moved, at)
		}
	}
	r.mu.Unlock()
	if len(set) == 0 {
		return
	}
	client.SetOffsets(set)
	for _, at := range moved {
		r.steer(at)
	}
}

// rewindGained rewinds what this node gains soon after a rewind, until ctx ends.
func (r *consumer) rewindGained(ctx context.Context, client *kgo.Client) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.gained:
		}
		for ctx.Err() == nil {
			r.mu.Lock()
			to, over := r.rewindTo, time.Now().After(r.rewindUntil)
			r.mu.Unlock()
			if over {
				break
			}
			bounded, cancel := context.WithTimeout(ctx, rewindTimeout)
			err := r.rewind(bounded, client, to)
			cancel()
			if err == nil {
				break
			}
			r.log.Debug("partitions gained were not rewound", "err", err)
			select {
			case <-ctx.Done():
			case <-time.After(rewindAgain):
			}
		}
	}
}
