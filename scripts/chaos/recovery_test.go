package main

import (
	"testing"
	"time"
)

// A node dies with one request open, and another is made while it is dead. Both
// clients of the node wait; what a client of another node does is of no interest.
func TestRecovery(t *testing.T) {
	ms := time.Millisecond
	request := func(client, n int, from, to time.Duration, prompt bool) []event {
		return []event{
			{At: from, Kind: sent, Client: client, N: n, Timeout: second, Prompt: prompt},
			{At: to, Kind: outcome, Client: client, N: n},
		}
	}
	var events []event
	for _, more := range [][]event{
		{{Kind: opened, Client: 1, Node: "b"}, {Kind: resumed, Client: 1, Node: "a"}, {Kind: opened, Client: 2, Node: "a"}, {Kind: opened, Client: 3, Node: "b"}},
		request(1, 1, 900*ms, 1700*ms, true),
		request(2, 1, 1500*ms, 1800*ms, true),
		request(2, 2, 800*ms, 1900*ms, false), // slow by itself
		request(3, 1, 900*ms, 9000*ms, true),
	} {
		events = append(events, more...)
	}
	r := recoverFrom(events, trials(events), hit{at: 1000 * ms, nodes: []string{"a"}})
	if len(r.waits) != 2 || r.waits[0] != 300*ms || r.waits[1] != 700*ms || r.silent != 700*ms {
		t.Errorf("waits %v, silent %v", r.waits, r.silent)
	}
}
