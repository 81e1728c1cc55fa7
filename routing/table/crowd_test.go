package table_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"parley/routing"
	"parley/routing/table"
)

// A node has died, and its clients come to another all at once. They go to Redis together,
// so that what else the node has to say there, its lease above all, does not wait for a
// connection behind each of them.
func TestCrowd(t *testing.T) {
	t.Parallel()
	server := miniredis.RunT(t)
	client := redis.NewClient(&redis.Options{Addr: server.Addr(), ContextTimeoutEnabled: true})
	var trips atomic.Int64
	a := newTable(t, client, table.Options{Node: "a", Timeout: time.Minute}) // how busy the machine is does not matter
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
	client.AddHook(eachTrip(func(context.Context, ...redis.Cmder) {
		trips.Add(1)
		time.Sleep(20 * time.Millisecond) // Redis is slow
	}))
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
	if trips := trips.Load(); trips > int64(len(sessions))/4 {
		t.Errorf("%d clients took %d round trips", len(sessions), trips)
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
	var made, trips atomic.Int64
	client.AddHook(eachTrip(func(_ context.Context, cmds ...redis.Cmder) {
		renews := names(cmds, table.LeaseDigest)
		if renews {
			made.Add(1)
		}
		if renews || names(cmds, table.InboxDigest) || names(cmds, "info") {
			trips.Add(1)
		}
	}))
	if err := await(t.Context(), func() bool { return made.Load() >= 3 }); err != nil {
		t.Fatal(err)
	}
	if made, trips := made.Load(), trips.Load(); trips > made {
		t.Errorf("%d renewals took %d round trips", made, trips)
	}
}
