package main

import "testing"

// A client is sent away because it acknowledges nothing, and comes back to the node
// where it was; then it loses that socket too, and comes back to another.
func TestWaysFromHistories(t *testing.T) {
	tally := newTally(nil)
	tally.addHistory([]event{
		{Kind: opened, Client: 1, Node: "a"}, {Kind: opened, Client: 2, Node: "a"},
		{Kind: lost, Client: 1, Word: "4413 too much is unacknowledged: it is held"}, {Kind: resumed, Client: 1, Node: "a"},
		{Kind: lost, Client: 1, Word: "1006 EOF"}, {Kind: resumed, Client: 1, Node: "b"},
	})
	for _, name := range []string{
		"sessions resumed on the same node",
		"sessions resumed on another node",
		"sessions resumed after 4413: too much was unacknowledged, and was held",
	} {
		if got := tally.taken[name]; got != 1 {
			t.Errorf("%s: %d, want 1", name, got)
		}
	}
}

// A node breaks off before it has said that it keeps a request, and another one says so: to
// the second of two who ask it there that is nothing new.
func TestKeyedElsewhere(t *testing.T) {
	events := []event{
		{Kind: posted, Client: 1, N: 1, Node: "a"}, {Kind: refused, Client: 1, N: 1, Node: "a", Word: "broken", Certainty: "unknown"},
		{Kind: posted, Client: 1, N: 1, Node: "b"}, {Kind: kept, Client: 1, N: 1, Node: "b", Request: "s.1"}, {Kind: kept, Client: 1, N: 1, Node: "c", Request: "s.1"},
		{Kind: refused, Client: 1, N: 2, Node: "a", Word: "broken", Certainty: "unknown"}, {Kind: kept, Client: 1, N: 2, Node: "a", Request: "t.1"},
		{Kind: refused, Client: 1, N: 3, Node: "a", Word: "unavailable", Certainty: "not_sent"}, {Kind: kept, Client: 1, N: 3, Node: "b", Request: "u.1"},
	}
	if n := keyedElsewhere(events); n != 1 {
		t.Errorf("%d, want 1", n)
	}
}
