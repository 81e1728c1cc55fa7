package table_test

import (
	"testing"

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
