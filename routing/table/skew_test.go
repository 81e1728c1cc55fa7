package table_test

import (
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"parley/routing"
	"parley/routing/table"
)

// A node whose clock is 5 min ahead makes a request that has 30 s left; another node,
// whose clock is right, takes the session over, and finds 30 s and not 5 min left.
func TestRowsOfAWrongClock(t *testing.T) {
	m := miniredis.RunT(t)
	s := routing.SessionRow{ID: "abcdefghijklmnopqrstuv", Epoch: 1, Secret: []byte("s")}
	m.SetTime(time.Now().Add(-5 * time.Minute)) // as the one sees Redis
	wrong := newTable(t, single(m.Addr(), 0), table.Options{Node: "wrong", Lease: time.Hour})
	defer runAll(t, map[*table.Redis]*router{wrong: {}})()
	if err := await(t.Context(), func() bool { return wrong.Leased() && wrong.Open(t.Context(), s) == nil }); err != nil {
		t.Fatal(err)
	}
	wrong.Claim(routing.Row{Session: s.ID, N: 7, Service: "orders", Deadline: time.Now().Add(30 * time.Second)}, nil)
	if err := await(t.Context(), func() bool { return m.HGet("parley:{"+string(s.ID)+"}", "r:7") != "" }); err != nil {
		t.Fatal(err)
	}

	// The other sees Redis as it is, and its own clock is what the first would call 5 min ago.
	m.SetTime(time.Now())
	right := newTable(t, single(m.Addr(), 0), table.Options{Node: "right", Lease: time.Hour})
	defer runAll(t, map[*table.Redis]*router{right: {}})()
	if err := await(t.Context(), right.Leased); err != nil {
		t.Fatal(err)
	}
	got, err := right.Resume(t.Context(), routing.Resumption{ID: s.ID, Secret: s.Secret})
	if err != nil || len(got.Rows) != 1 {
		t.Fatalf("%d rows, %v", len(got.Rows), err)
	}
	if left := time.Until(got.Rows[0].Deadline.Add(5 * time.Minute)); left < 25*time.Second || left > 35*time.Second {
		t.Errorf("the request has %v left", left)
	}
}
