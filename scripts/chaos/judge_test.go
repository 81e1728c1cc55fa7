package main

import (
	"slices"
	"testing"
	"time"
)

const second = time.Second

// peace is the history of one request to which nothing bad happened.
func peace() []event {
	return []event{
		{At: 0, Kind: opened, Client: 1, Session: "s", Node: "a"},
		{At: 1 * second, Kind: sent, Client: 1, N: 1, Timeout: 30 * second},
		{At: 2 * second, Kind: accepted, Client: 1, N: 1, Request: "s.1"},
		{At: 2 * second, Kind: consumed, Client: 1, N: 1, Request: "s.1", Hash: 7},
		{At: 3 * second, Kind: replied, Client: 1, N: 1, Request: "s.1", Hash: 7},
		{At: 4 * second, Kind: pushed, Client: 1, N: 1, Request: "s.1", Owner: call{1, 1}, Hash: 7, Socket: 1},
		{At: 4 * second, Kind: outcome, Client: 1, N: 1, Request: "s.1", Owner: call{1, 1}, Hash: 7},
		{At: 5 * second, Kind: acked, Client: 1, N: 1},
	}
}

// without leaves out the events of some kinds, and with adds events.
func without(events []event, kinds ...kind) []event {
	return slices.DeleteFunc(events, func(e event) bool { return slices.Contains(kinds, e.Kind) })
}

func with(events []event, more ...event) []event { return append(events, more...) }

// ended is an outcome that is an error.
func ended(at time.Duration, word, certainty string) event {
	return event{At: at, Kind: outcome, Client: 1, N: 1, Word: word, Certainty: certainty}
}

// denied is the push of an error: the request never arrived.
func denied(at time.Duration) event {
	return event{At: at, Kind: pushed, Client: 1, N: 1, Word: "unknown_request", Certainty: "not_sent"}
}

// read is a service's reading of the request, with what it was told of its deadline.
func read(deadline time.Duration) event {
	return event{At: 2 * second, Kind: consumed, Client: 1, N: 1, Request: "s.1", Hash: 7, Deadline: deadline}
}

// sample is a history, and what the judge must find in it.
type sample struct {
	name               string
	events             []event
	lost, wrong, twice int
	unsure             int
}

func (c *sample) judge(t *testing.T) verdict {
	t.Helper()
	v := judge(c.events, 5*second)
	if len(v.lost) != c.lost || len(v.wrong) != c.wrong || len(v.twice) != c.twice || v.unsure != c.unsure {
		t.Errorf("%s: lost %v, wrong %v, twice %v, unsure %d; want %d, %d, %d, %d",
			c.name, v.lost, v.wrong, v.twice, v.unsure, c.lost, c.wrong, c.twice, c.unsure)
	}
	return v
}

// The judge convicts whoever breaks a promise, by the right name, and nobody else.
func TestJudge(t *testing.T) {
	other := peace()[6]
	other.Owner = call{2, 1}
	garbled := peace()[6]
	garbled.Hash = 8
	again := peace()[5]
	again.Socket = 2
	late := without(peace(), replied, pushed, outcome)
	for _, c := range []sample{
		{name: "peace", events: peace()},

		{name: "told a deadline", events: with(without(peace(), consumed), read(31*second))},
		{name: "told a deadline that has passed", events: with(without(peace(), consumed), read(-270*second)), wrong: 1},
		{name: "told a deadline far too late", events: with(without(peace(), consumed), read(331*second)), wrong: 1},
		{name: "no outcome", events: without(peace(), pushed, outcome), lost: 1},
		{name: "no outcome, and no reply", events: without(peace(), replied, pushed, outcome), lost: 1},
		{name: "no outcome, not accepted", events: without(peace(), accepted, consumed, replied, pushed, outcome), lost: 1},
		{name: "pushed, and never handed over", events: without(peace(), outcome), lost: 1},

		{name: "answered in time, timeout told", events: with(without(peace(), pushed, outcome), ended(31*second, "timeout", "unknown")), lost: 1},
		{name: "answered in time, session gone", events: with(without(peace(), pushed, outcome), ended(9*second, "session_gone", "unknown")), lost: 1},
		{name: "answered in time, unknown, accepted", events: with(without(peace(), pushed, outcome), ended(9*second, "unknown_request", "unknown")), lost: 1},
		{name: "went down with its node", events: with(without(peace(), accepted, consumed, replied, pushed, outcome), ended(31*second, "timeout", "unknown")), unsure: 1},
		{name: "answered in time, unknown, not accepted", events: with(without(peace(), accepted, pushed, outcome), ended(9*second, "unknown_request", "unknown")), unsure: 1},
		{name: "answered in time, timeout, not accepted", events: with(without(peace(), accepted, pushed, outcome), ended(31*second, "timeout", "unknown")), lost: 1},
		{name: "answered just before the deadline", events: with(late, event{At: 29 * second, Kind: replied, Client: 1, N: 1}, ended(31*second, "timeout", "unknown"))},
		{name: "never answered", events: with(without(peace(), replied, pushed, outcome), ended(31*second, "timeout", "unknown"))},

		{name: "another's reply", events: with(without(peace(), outcome), other), wrong: 1},
		{name: "another's reply, and then the own", events: with(peace(), event{Kind: pushed, Client: 1, N: 1, Owner: call{2, 1}, Socket: 2}), wrong: 1},
		{name: "garbled", events: with(without(peace(), outcome), garbled), wrong: 1},
		{name: "nobody's request", events: []event{{Kind: pushed, Client: 1, N: 9}}, wrong: 1},

		{name: "surfaced twice", events: with(peace(), peace()[6]), twice: 1},
		{name: "a reply, then an error", events: with(peace(), ended(31*second, "timeout", "unknown")), twice: 1},
		{name: "pushed again over another socket, surfaced once", events: with(peace(), again)},
		{name: "pushed again over the same socket, surfaced once", events: with(peace(), peace()[5]), twice: 1},
		{name: "twice in the topic", events: with(peace(), peace()[3]), twice: 1},

		{name: "not sent, truly", events: with(without(peace(), accepted, consumed, replied, pushed, outcome), ended(9*second, "unavailable", "not_sent"))},
		{name: "not sent, and a service has it", events: with(without(peace(), accepted, replied, pushed, outcome), ended(9*second, "unavailable", "not_sent")), wrong: 1},
		{name: "not sent, and accepted", events: with(without(peace(), consumed, replied, pushed, outcome), ended(9*second, "unavailable", "not_sent")), wrong: 1},
		{name: "never arrived, and sent again", events: with(peace(), denied(0))},
		{name: "never arrived, after a service had it", events: with(peace(), denied(9*second)), wrong: 1},
		{name: "never arrived, sent again, and there twice", events: with(peace(), denied(0), peace()[3]), twice: 1},
		{name: "done, and never answered", events: with(without(peace(), replied, pushed, outcome), ended(9*second, "too_large", "done")), wrong: 1},
		{name: "timeout before its time", events: with(without(peace(), replied, pushed, outcome), ended(9*second, "timeout", "unknown")), wrong: 1},
	} {
		c.judge(t)
	}
}

// inParts is the history of one request that was answered in three parts and a reply,
// which its caller was given in the order of nums.
func inParts(nums ...int) []event {
	events := peace()
	events[3].Parts = []uint32{20, 21, 22}
	some := slices.Clone(events[:5])
	for _, n := range nums {
		some = append(some, partOf(arrived, n), partOf(part, n))
	}
	return append(some, events[5:]...)
}

// partOf is the coming of a part, by its frame over the first socket or to the caller.
func partOf(what kind, n int) event {
	e := event{At: 3 * second, Kind: what, Client: 1, N: 1, Request: "s.1", Owner: call{1, 1}, Hash: uint32(20 + n), Part: n}
	if what == arrived {
		e.Socket = 1
	}
	return e
}

// An answer in parts is whole, in order, and has nothing twice, or the judge says so.
func TestJudgeParts(t *testing.T) {
	again := partOf(arrived, 1)
	again.Socket = 2
	foreign, garbled := partOf(part, 1), partOf(part, 1)
	foreign.Owner, garbled.Hash = call{2, 1}, 8
	failed := func(events []event) []event {
		return with(without(events, replied, pushed, outcome), ended(31*second, "timeout", "unknown"))
	}
	for _, c := range []struct {
		name               string
		events             []event
		lost, wrong, twice int
		duplicates         int
	}{
		{name: "whole", events: inParts(0, 1, 2)},
		{name: "swapped", events: inParts(0, 2, 1), wrong: 1},
		{name: "after the reply", events: with(inParts(0, 1), partOf(part, 2)), wrong: 1},
		{name: "repeated", events: without(inParts(0, 1, 1, 2), arrived), twice: 1},
		{name: "the first again at last", events: without(inParts(0, 1, 2, 0), arrived), twice: 1},
		{name: "the first missing", events: inParts(1, 2), lost: 1},
		{name: "one missing in the midst", events: inParts(0, 2), lost: 1},
		{name: "the last missing", events: inParts(0, 1), lost: 1},
		{name: "all missing", events: inParts(), lost: 1},
		{name: "missing, and repeated", events: without(inParts(0, 1, 1), arrived), lost: 1, twice: 1},
		{name: "the rest missing, and an error", events: failed(inParts(0))},
		{name: "one missing in the midst, and an error", events: failed(inParts(0, 2)), lost: 1},
		{name: "a gap, told, and the final one there", events: with(without(inParts(0), pushed, outcome), ended(14*second, "internal", "done")), lost: 1},
		{name: "a gap, told, and the final one never written", events: with(without(inParts(0), replied, pushed, outcome), ended(14*second, "internal", "unknown"))},
		{name: "a gap, told wrongly", events: with(without(inParts(0), replied, pushed, outcome), ended(14*second, "internal", "done")), wrong: 1},
		{name: "again over another socket", events: with(inParts(0, 1, 2), again), duplicates: 1},
		{name: "again over the same socket", events: with(inParts(0, 1, 2), partOf(arrived, 1)), twice: 1, duplicates: 1},
		{name: "arrived, and not handed over", events: with(inParts(0, 1), partOf(arrived, 2)), lost: 1},
		{name: "another's part", events: slices.Insert(inParts(0, 2), 7, foreign), wrong: 1},
		{name: "a garbled part", events: slices.Insert(inParts(0, 2), 7, garbled), wrong: 1},
		{name: "a part of an answer that has none", events: with(peace()[:5:5], append([]event{partOf(part, 0)}, peace()[5:]...)...), wrong: 1},
	} {
		v := judge(c.events, 5*second)
		if len(v.lost) != c.lost || len(v.wrong) != c.wrong || len(v.twice) != c.twice || v.duplicates != c.duplicates {
			t.Errorf("%s: lost %v, wrong %v, twice %v, duplicates %d; want %d, %d, %d, %d",
				c.name, v.lost, v.wrong, v.twice, v.duplicates, c.lost, c.wrong, c.twice, c.duplicates)
		}
	}
}

// What is told beside the findings: how much there was, and what came again.
func TestJudgeCounts(t *testing.T) {
	again := peace()[5]
	again.Socket = 2
	v := judge(with(peace(), again), 5*second)
	if v.requests != 1 || v.replies != 1 || v.duplicates != 1 || v.words["reply"] != 1 || v.broken() {
		t.Errorf("%+v", v)
	}
}
