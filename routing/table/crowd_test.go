package table_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"parley/routing"
	"parley/routing/table"
)

// slow is a way to Redis on which each trip takes a while.
type slow struct {
	takes time.Duration
	trips atomic.Int64
}

func (*slow) DialHook(next redis.DialHook) redis.DialHook { return next }

func (s *slow) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error { s.pass(); return next(ctx, cmd) }
}

func (s *slow) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error { s.pass(); return next(ctx, cmds) }
}

func (s *slow) pass() {
	s.trips.Add(1)
	time.Sleep(s.takes)
}

// A node has died, and its clients come to another all at once. They go to Redis together,
// so that what else the node has to say there, its lease above all, does not wait for a
// connection behind each of them.
func TestCrowd(t *testing.T) {
	t.Parallel()
	server := miniredis.RunT(t)
	client := redis.NewClient(&redis.Options{Addr: server.Addr(), ContextTimeoutEnabled: true})
	way := &slow{takes: 20 * time.Millisecond}
	a := newTable(t, client, table.Options{Node: "a"})
	stop := runAll(t, map[*table.Redis]*router{a: {}})
	defer stop()
	var sessions []routing.SessionRow
	for i := range 400 {
		s := routing.SessionRow{ID: routing.SessionID(fmt.Sprintf("session-%014d", i)), Secret: []byte("secret"), Epoch: 1}
		a.Announce(s)
		sessions = append(sessions, s)
	}
	take := func(s routing.SessionRow) error {
		_, err := a.Resume(t.Context(), routing.Resumption{ID: s.ID, Secret: s.Secret})
		return err
	}
	if err := take(sessions[0]); err != nil { // Redis has all scripts, and all sessions
		t.Fatal(err)
	}
	client.AddHook(way)
	var coming sync.WaitGroup
	for _, s := range sessions {
		coming.Go(func() {
			if err := take(s); err != nil {
				t.Error(err)
			}
			if _, err := a.Look(t.Context(), s.ID); err != nil {
				t.Error(err)
			}
		})
	}
	coming.Wait()
	if trips := way.trips.Load(); trips > int64(len(sessions))/4 {
		t.Errorf("%d clients took %d round trips", len(sessions), trips)
	}
}

// renewals counts the round trips that are made to renew a lease, and the renewals.
type renewals struct{ trips, made atomic.Int64 }

func (*renewals) DialHook(next redis.DialHook) redis.DialHook { return next }

func (r *renewals) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error { r.count(cmd); return next(ctx, cmd) }
}

func (r *renewals) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error { r.count(cmds...); return next(ctx, cmds) }
}

func (r *renewals) count(cmds ...redis.Cmder) {
	part := func(word string) bool {
		return slices.ContainsFunc(cmds, func(cmd redis.Cmder) bool { return slices.Contains(cmd.Args(), any(word)) })
	}
	renews := part(table.LeaseDigest)
	if renews {
		r.made.Add(1)
	}
	if renews || part(table.InboxDigest) || part("info") {
		r.trips.Add(1)
	}
}

// A renewal of the lease is one round trip, or it would come late where each takes long.
func TestRenewalIsOneTrip(t *testing.T) {
	t.Parallel()
	client := single(miniredis.RunT(t).Addr(), 0)
	a := newTable(t, client, table.Options{Node: "a", Lease: 400 * time.Millisecond})
	stop := runAll(t, map[*table.Redis]*router{a: {}})
	defer stop()
	time.Sleep(200 * time.Millisecond) // the first has more to do
	var count renewals
	client.AddHook(&count)
	if err := await(t.Context(), func() bool { return count.made.Load() >= 3 }); err != nil {
		t.Fatal(err)
	}
	if made, trips := count.made.Load(), count.trips.Load(); trips > made {
		t.Errorf("%d renewals took %d round trips", made, trips)
	}
}
