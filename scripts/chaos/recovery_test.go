package main

import (
	"testing"
	"time"
)

// A node dies with one request open, and another is made while it is dead. Both
// clients of the node wait; what a client of another node does is of no interest. When the
// node is started again all are looked at, until another fault.
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
		request(1, 2, 3900*ms, 4500*ms, true), // its node is started again meanwhile
		request(2, 3, 4100*ms, 4900*ms, true),
		request(2, 4, 6100*ms, 9900*ms, true), // another one dies
	} {
		events = append(events, more...)
	}
	done := &hits{all: []hit{{at: 1000 * ms, nodes: []string{"a"}}, {at: 4000 * ms, nodes: []string{"a"}, returns: true}, {at: 6000 * ms, nodes: []string{"b"}}}}
	r := recoverFrom(events, trials(events), done, 0)
	if len(r.waits) != 2 || r.waits[0] != 300*ms || r.waits[1] != 700*ms || r.silent != 700*ms {
		t.Errorf("waits %v, silent %v", r.waits, r.silent)
	}
	r = recoverFrom(events, trials(events), done, 1)
	if len(r.waits) != 3 || r.waits[0] != 500*ms || r.waits[1] != 800*ms || r.waits[2] != 5000*ms {
		t.Errorf("waits at the return %v", r.waits)
	}
}
