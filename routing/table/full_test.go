package table_test

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"parley/routing"
	"parley/routing/table"
)

// The server is full for a while: what could not be written then is written when
// there is room again, in its order, and nothing counts as refused for good.
func TestServerIsFull(t *testing.T) {
	t.Parallel()
	s := serve(t, "--appendonly", "no")
	at := &router{session: routing.SessionRow{ID: "abcdefghijklmnopqrstuv", Epoch: 1}}
	a := newTable(t, single(s.addr, 0), table.Options{Node: "a"})
	stop := runAll(t, map[*table.Redis]*router{a: at})
	defer stop()
	if err := await(t.Context(), func() bool { return a.Open(t.Context(), at.session) == nil }); err != nil {
		t.Fatal(err)
	}
	direct := redis.NewClient(&redis.Options{Addr: s.addr})
	defer direct.Close()
	full := func(bytes string) {
		t.Helper()
		if err := direct.ConfigSet(t.Context(), "maxmemory", bytes).Err(); err != nil {
			t.Fatal(err)
		}
	}
	full("1")
	for n := range uint64(3) {
		row := routing.Row{Session: at.session.ID, N: n + 1, Service: "orders", ClientID: "1", Deadline: time.Now().Add(time.Minute)}
		if a.Claim(row, nil); n != 1 {
			at.mu.Lock()
			at.open = append(at.open, row)
			at.mu.Unlock()
		}
	}
	a.Release(at.session.ID, 2)
	if err := await(t.Context(), func() bool { return a.Stats().Away }); err != nil {
		t.Errorf("nobody says that Redis takes no writes: %v", err)
	}
	full("0")
	var rows []string
	there := func() bool {
		rows, _ = direct.HKeys(t.Context(), "parley:{"+string(at.session.ID)+"}").Result()
		one, three := false, false
		for _, field := range rows {
			one, three = one || field == "r:1", three || field == "r:3"
		}
		now := a.Stats() // what was lacking may be written anew once more
		return one && three && !now.Away && now.Pending == 0
	}
	if err := await(t.Context(), there); err != nil {
		t.Errorf("%v: the session has %v", err, rows)
	}
	if refused := a.Stats().Refused; refused != 0 {
		t.Errorf("refused %d", refused)
	}
}
