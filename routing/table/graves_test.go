package table_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"parley/routing/table"
	"parley/routing/tabletest"
)

// before runs something before a script, named by its digest, runs for the first time.
type before struct {
	script string
	once   sync.Once
	do     func()
}

func (*before) DialHook(next redis.DialHook) redis.DialHook { return next }
func (*before) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (b *before) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if names([]redis.Cmder{cmd}, b.script) {
			b.once.Do(b.do)
		}
		return next(ctx, cmd)
	}
}

// A node is back at the very moment at which another takes the inbox of its former
// process away: it has one all the same, long before it renews its lease.
func TestBackWhileItsInboxGoes(t *testing.T) {
	t.Parallel()
	server := miniredis.RunT(t)
	direct := redis.NewClient(&redis.Options{Addr: server.Addr()})
	defer direct.Close()
	wire := tabletest.NewWire()
	a := newTable(t, wired(server.Addr(), 0, wire), table.Options{Node: "a", Lease: 10 * time.Second})
	client := single(server.Addr(), 0)
	b := newTable(t, client, table.Options{Node: "b", Lease: 400 * time.Millisecond})
	back := func() {
		wire.Heal() // it learns that it was removed, and begins anew
		if err := await(t.Context(), func() bool { return direct.HGet(t.Context(), "{parley:nodes}:members", "a").Val() != "" }); err != nil {
			t.Errorf("it is not back: %v", err)
		}
	}
	var taken atomic.Bool
	client.AddHook(&before{script: table.UninboxDigest, do: func() { back(); taken.Store(true) }})
	stop := runAll(t, map[*table.Redis]*router{a: {}, b: {}})
	defer stop()
	if err := await(t.Context(), func() bool { return a.Leased() && b.Leased() }); err != nil {
		t.Fatalf("they have no leases: %v", err)
	}
	wire.Cut()
	if err := direct.ZAdd(t.Context(), "parley:nodes", redis.Z{Score: 1, Member: "a"}).Err(); err != nil {
		t.Fatal(err)
	}
	buried := func() bool { return taken.Load() && direct.HLen(t.Context(), "{parley:nodes}:graves").Val() == 0 }
	if err := await(t.Context(), buried); err != nil {
		t.Fatalf("its former process is not buried: %v", err)
	}
	if direct.Exists(t.Context(), "parley:inbox:a").Val() == 0 {
		t.Error("it has no inbox")
	}
}

// A dead node has left something in its inbox. It is read, cleared, read once more, and taken
// away: streams wait for that, so no round trip is spent on more.
func TestBurialIsShort(t *testing.T) {
	t.Parallel()
	server := miniredis.RunT(t)
	client := single(server.Addr(), 0)
	const inbox = "parley:inbox:x"
	var trips atomic.Int64
	client.AddHook(eachTrip(func(_ context.Context, cmds ...redis.Cmder) {
		if names(cmds, inbox) {
			trips.Add(1)
		}
	}))
	if _, err := server.XAdd(inbox, "*", []string{"b", "boot", "k", "nodes"}); err != nil {
		t.Fatal(err)
	}
	server.HSet("{parley:nodes}:graves", "boot x", "")
	stop := runAll(t, map[*table.Redis]*router{newTable(t, client, table.Options{Node: "a"}): {}})
	defer stop()
	buried := func() bool { return !server.Exists("{parley:nodes}:graves") && !server.Exists(inbox) }
	if err := await(t.Context(), buried); err != nil {
		t.Fatal("it is not buried")
	}
	if made := trips.Load(); made > 5 { // one is for a script that Redis does not know yet
		t.Errorf("it took %d round trips", made)
	}
}
