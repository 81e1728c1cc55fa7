package routing

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// failing is a table that cannot hold anything for a while.
type failing struct {
	cluster
	back atomic.Bool
	held atomic.Int32
}

func (f *failing) Hold(ctx context.Context, held []Holding) []Verdict {
	if f.back.Load() {
		f.held.Add(int32(len(held)))
		return f.cluster.Hold(ctx, held)
	}
	verdicts := make([]Verdict, len(held))
	for i := range held {
		verdicts[i] = Verdict{Fate: Failed, Err: errors.New("away")}
	}
	return verdicts
}

// While the table is away, many replies wait to be held, and are tried again
// and again: that is one problem, and one line in the log.
func TestHoldAwayIsToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		table := &failing{}
		r := New(Options{Node: "a", Table: table, Log: slog.New(slog.NewTextHandler(&log, nil))})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); r.hold(ctx) }()
		for range 100 {
			r.holds.put(Holding{Session: "s", Reply: &Reply{}})
		}
		time.Sleep(time.Minute)
		table.back.Store(true)
		time.Sleep(time.Second)
		cancel()
		<-ended
		want(t, "held", int(table.held.Load()), 100)
		want(t, "lines", strings.Count(log.String(), "wait to be held"), 1)
	})
}
