package main

import (
	"slices"
	"testing"
)

// keptPeace is the history of one kept request that two nodes were asked for, and which
// was collected at two.
func keptPeace() []event {
	return []event{
		{At: 1 * second, Kind: posted, Client: 1, N: 1, Node: "a", Timeout: 30 * second},
		{At: 1 * second, Kind: posted, Client: 1, N: 1, Node: "b", Timeout: 30 * second},
		{At: 2 * second, Kind: kept, Client: 1, N: 1, Node: "a", Request: "s.1"},
		{At: 2 * second, Kind: kept, Client: 1, N: 1, Node: "b", Request: "s.1"},
		{At: 2 * second, Kind: consumed, Client: 1, N: 1, Request: "s.1", Hash: 7},
		{At: 3 * second, Kind: replied, Client: 1, N: 1, Request: "s.1", Hash: 7},
		{At: 4 * second, Kind: collected, Client: 1, N: 1, Node: "b", Request: "s.1", Owner: call{1, 1}, Hash: 7},
		{At: 5 * second, Kind: collected, Client: 1, N: 1, Node: "c", Request: "s.1", Owner: call{1, 1}, Hash: 7},
	}
}

// changed is keptPeace with its i-th event changed.
func changed(i int, change func(e *event)) []event {
	events := keptPeace()
	change(&events[i])
	return events
}

// refusal is one node's no.
func refusal(word, certainty string) event {
	return event{At: 2 * second, Kind: refused, Client: 1, N: 1, Node: "a", Word: word, Certainty: certainty}
}

// A kept request is made once and has one outcome for whoever collects it, or the judge
// says what is wrong; what Redis has forgotten is nobody's fault.
func TestJudgeKept(t *testing.T) {
	word := func(word, certainty string) func(e *event) {
		return func(e *event) { e.Word, e.Certainty, e.Hash, e.Owner = word, certainty, 0, call{} }
	}
	again := keptPeace()[4]
	again.Request, again.Hash = "t.1", 9
	emptied := event{At: 6 * second, Kind: forgot, Client: 1, Timeout: 5 * second}
	before := event{At: 20 * second, Kind: forgot, Client: 1, Timeout: 5 * second}
	failing := []event{keptPeace()[0], refusal("unavailable", "not_sent")}
	for _, c := range []sample{
		{name: "peace", events: keptPeace()},
		{name: "nobody could collect it", events: without(keptPeace(), collected), lost: 1},
		{name: "not answered", events: without(keptPeace(), collected, replied)},
		{name: "answered too late", events: with(without(keptPeace(), collected, replied), event{At: 28 * second, Kind: replied, Client: 1, N: 1, Request: "s.1"})},
		{name: "kept, and never in the topic", events: without(keptPeace(), collected, replied, consumed), lost: 1},
		{name: "joined, and its maker died", events: slices.Delete(without(keptPeace(), collected, replied, consumed), 2, 3), lost: 1},
		{name: "gone at one node", events: changed(7, word(gone, "")), lost: 1},
		{name: "gone at both", events: append(changed(6, word(gone, ""))[:7], changed(7, word(gone, ""))[7]), lost: 2},
		{name: "gone, with Redis's memory", events: with(changed(7, word(gone, "")), emptied), unsure: 1},
		{name: "gone, and Redis forgot something else", events: with(changed(7, word(gone, "")), before), lost: 1},
		{name: "collected as two things", events: changed(7, func(e *event) { e.Hash = 8 }), wrong: 1},
		{name: "collected as another's", events: changed(6, func(e *event) { e.Owner = call{2, 1} })[:7], wrong: 1},
		{name: "collected as an error, though answered", events: changed(6, word("timeout", "unknown"))[:7], lost: 1},
		{name: "collected as not sent, though read", events: changed(6, word("unavailable", "not_sent"))[:7], wrong: 1},
		{name: "collected and never answered", events: without(keptPeace(), consumed, replied), wrong: 2},
		{name: "twice in the topic", events: with(keptPeace(), again), twice: 1},
		{name: "twice in the topic, as Redis forgot its key", events: with(keptPeace(), again, emptied)},
		{name: "made twice, as Redis forgot its key, and collected as both", events: with(keptPeace(), again, emptied,
			event{At: 2 * second, Kind: kept, Client: 1, N: 1, Node: "c", Request: "t.1"},
			event{At: 5 * second, Kind: collected, Client: 1, N: 1, Node: "c", Request: "t.1", Owner: call{1, 1}, Hash: 9})},
		{name: "made twice, as Redis forgot its key, and the first one's event answers the second", events: with(keptPeace(), again, emptied,
			event{At: 2 * second, Kind: kept, Client: 1, N: 1, Node: "c", Request: "t.1"},
			event{At: 5 * second, Kind: collected, Client: 1, N: 1, Node: "c", Request: "t.1", Owner: call{1, 1}, Hash: 7})},
		{name: "in the topic under another id", events: append([]event{again}, without(keptPeace(), consumed, replied, collected)...), lost: 1, wrong: 1},
		{name: "refused, truly", events: failing},
		{name: "refused as not sent, and read", events: with(failing, keptPeace()[4]), wrong: 1},
		{name: "perhaps not sent, and read", events: with(failing, keptPeace()[0], refusal("broken", "unknown"), keptPeace()[4])},
		{name: "given up, and made under another id", events: with(keptPeace(), keptPeace()[0],
			event{At: 1 * second, Kind: kept, Client: 1, N: 1, Node: "c", Request: "r.1"},
			event{At: 4 * second, Kind: collected, Client: 1, N: 1, Node: "c", Request: "r.1", Word: "unavailable", Certainty: "not_sent"})},
	} {
		if v := c.judge(t); v.kept != 1 || v.requests != 0 {
			t.Errorf("%s: %d kept requests and %d others, want 1 and none", c.name, v.kept, v.requests)
		}
	}
}

// Who waits for an event gets the first that satisfies, and no other's.
func TestJudgeEventWait(t *testing.T) {
	for _, c := range []struct {
		name        string
		change      func(e *event)
		lost, wrong int
	}{
		{name: "the first", change: func(*event) {}},
		{name: "a later one, or one that does not satisfy", change: func(e *event) { e.Hash = 8 }, wrong: 1},
		{name: "one about something else", change: func(e *event) { e.Owner = call{2, 1} }, wrong: 1},
		{name: "none, though it was in time", change: func(e *event) { e.Word, e.Certainty = "timeout", "unknown" }, lost: 1, wrong: 1},
	} {
		events := without(peace(), pushed)
		events[1].Key = "1-1"
		c.change(&events[5])
		if v := judge(events, 5*second); len(v.lost) != c.lost || len(v.wrong) != c.wrong || v.byEvent != 1 {
			t.Errorf("%s: lost %v, wrong %v of %d", c.name, v.lost, v.wrong, v.byEvent)
		}
	}
}
