package table_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"parley/routing"
	"parley/routing/table"
)

// counted marks a context whose round trips count.
type counted struct{}

// A node dies, and hundreds of its sessions come to another, with a request open each. To
// find out that they have their replies, and how far each of their clients is, takes no
// more round trips than for one of them, or the last of them would wait for all others.
func TestInheritedAtOnce(t *testing.T) {
	t.Parallel()
	server := miniredis.RunT(t)
	client := single(server.Addr(), 0)
	a := newTable(t, client, table.Options{Node: "a"})
	stop := runAll(t, map[*table.Redis]*router{a: {}})
	defer stop()
	var ids []routing.SessionID
	for i := range 300 {
		s := routing.SessionRow{ID: routing.SessionID(fmt.Sprintf("session-%014d", i)), Secret: []byte("secret"), Epoch: 1}
		a.Announce(s)
		a.Claim(routing.Row{Session: s.ID, N: uint64(i + 1), Service: "orders", ClientID: "1", Deadline: time.UnixMilli(1764000000000)}, nil)
		ids = append(ids, s.ID)
	}
	var trips atomic.Int64
	client.AddHook(eachTrip(func(ctx context.Context, _ ...redis.Cmder) {
		if ctx.Value(counted{}) != nil {
			trips.Add(1)
		}
	}))
	ask := func(ids []routing.SessionID) int64 {
		t.Helper()
		before := trips.Load()
		for i, left := range a.Inherited(context.WithValue(t.Context(), counted{}, true), ids) {
			if !left.Whole || len(left.Rows) != 1 || left.Rows[0].N != uint64(i+1) {
				t.Fatalf("session %d: %+v", i, left)
			}
		}
		return trips.Load() - before
	}
	written := func() bool { return server.HGet("parley:{"+string(ids[len(ids)-1])+"}", "r:300") != "" }
	if err := await(t.Context(), written); err != nil {
		t.Fatal(err)
	}
	ask(ids[:1]) // Redis has all scripts now
	if one, all := ask(ids[:1]), ask(ids); one == 0 || all != one {
		t.Errorf("one took %d round trips, %d took %d", one, len(ids), all)
	}
}
