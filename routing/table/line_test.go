package table_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"parley/routing/table"
	"parley/routing/tabletest"
)

// A node has a line to Redis for as long as it runs, and lays it anew when it breaks.
func TestLine(t *testing.T) {
	t.Parallel()
	server, wire := miniredis.RunT(t), tabletest.NewWire()
	stop := runAll(t, map[*table.Redis]*router{newTable(t, wired(server.Addr(), 0, wire), table.Options{Node: "a"}): {}})
	lines := func(n int) {
		t.Helper()
		const name = "{parley:nodes}:line:a"
		if err := await(t.Context(), func() bool { return server.PubSubNumSub(name)[name] == n }); err != nil {
			t.Errorf("it has %d lines, not %d", server.PubSubNumSub(name)[name], n)
		}
	}
	lines(1)
	wire.Cut()
	lines(0)
	wire.Heal()
	lines(1)
	stop()
	lines(0)
}

// Redis allows no subscriptions at first. The nodes live by their leases, and lay their
// lines when it does; and who loses one then is not late to lay it anew, for which another
// would take it for dead.
func TestLineRefused(t *testing.T) {
	t.Parallel()
	client := single(serve(t, "--appendonly", "no").addr, 0)
	acl := func(rule string) {
		t.Helper()
		if err := client.Do(t.Context(), "ACL", "SETUSER", "default", rule).Err(); err != nil {
			t.Fatal(err)
		}
	}
	await := func(what string, is func() bool) {
		t.Helper()
		if err := await(t.Context(), is); err != nil {
			t.Fatalf("not %s: %v", what, err)
		}
	}
	acl("resetchannels")
	a, b := newTable(t, client, table.Options{Node: "a"}), newTable(t, client, table.Options{Node: "b"})
	stop := runAll(t, map[*table.Redis]*router{a: {}, b: {}})
	defer stop()
	await("leased", func() bool { return a.Leased() && b.Leased() })
	acl("allchannels")
	await("laid for a lease", func() bool {
		now := client.Time(t.Context()).Val().UnixMilli()
		for _, node := range []string{"a", "b"} {
			laid, _ := client.HGet(t.Context(), "{parley:nodes}:lines", node).Int64()
			if laid <= 0 || now-laid < 1200 {
				return false
			}
		}
		return true
	})
	first, _, _ := strings.Cut(client.Do(t.Context(), "CLIENT", "LIST", "TYPE", "pubsub").Val().(string), " ")
	killed, _ := strconv.Atoi(strings.TrimPrefix(first, "id="))
	if err := client.Do(t.Context(), "CLIENT", "KILL", "ID", killed).Err(); err != nil {
		t.Fatal(err)
	}
	after := time.Now()
	await("laid anew", func() bool {
		lines := client.PubSubNumSub(t.Context(), "{parley:nodes}:line:a", "{parley:nodes}:line:b").Val()
		return len(lines) == 2 && lines["{parley:nodes}:line:a"] == 1 && lines["{parley:nodes}:line:b"] == 1
	})
	if gone := a.Stats().Removed + b.Stats().Removed; gone > 0 {
		t.Errorf("%d were taken for dead within %v", gone, time.Since(after))
	}
}
