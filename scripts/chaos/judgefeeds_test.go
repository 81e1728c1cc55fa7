package main

import (
	"fmt"
	"testing"
	"time"
)

// fed is the history of a subscription, confirmed before the second of five events was
// written, which was given those of nums; much happened after. connection is 0 for a
// session's.
func fed(connection int, nums ...int) (events []event) {
	for n := 1; n <= 5; n++ {
		at := time.Duration(n) * second
		e := event{At: at, Kind: writing, Client: 9, Key: "k", Number: n}
		events = append(events, e)
		if n == 1 {
			events = append(events, event{At: at, Kind: subscribed, Client: 1, Key: "k", Socket: connection})
			events[1].At++
		}
		e.Kind, e.Record = written, fmt.Sprint("t/0/", n)
		events = append(events, e)
	}
	for _, n := range nums {
		events = append(events, given(connection, n))
	}
	return append(events, event{At: 60 * second, Kind: opened, Client: 2})
}

// given is the coming of the n-th event.
func given(connection, n int) event {
	return event{At: 7 * second, Kind: surfaced, Client: 1, Key: "k", Socket: connection, Number: n, Record: fmt.Sprint("t/0/", n)}
}

// but puts an event before the last of a history.
func but(events []event, e event) []event {
	return append(events[:len(events)-1:len(events)-1], e, events[len(events)-1])
}

// A subscriber is given each event once, or told that some are missed, or the judge says
// what it was not.
func TestJudgeFeeds(t *testing.T) {
	told := func(n, missed int) event { e := given(0, n); e.Missed = missed; return e }
	ended := func(connection int) event {
		return event{At: 8 * second, Kind: unsubscribed, Client: 1, Key: "k", Socket: connection, Word: "the connection has ended"}
	}
	resumed := event{At: 9 * second, Kind: subscribed, Client: 1, Key: "k", Socket: 2, Record: "t/0/3"}
	foreign, elsewhere := given(0, 0), given(0, 5)
	elsewhere.Record = "t/1/5"
	for _, c := range []struct {
		name               string
		events             []event
		lost, wrong, twice int
	}{
		{name: "all since it was confirmed", events: fed(0, 2, 3, 4, 5)},
		{name: "the one before, too", events: fed(0, 1, 2, 3, 4, 5)},
		{name: "one missing in the midst", events: fed(0, 2, 4, 5), lost: 1},
		{name: "the first missing", events: fed(0, 3, 4, 5), lost: 1},
		{name: "the last missing", events: fed(0, 2, 3, 4), lost: 1},
		{name: "none came", events: fed(0), lost: 1},
		{name: "twice", events: fed(0, 2, 3, 3, 4, 5), twice: 1},
		{name: "out of order", events: fed(0, 2, 4, 3, 5), wrong: 1},
		{name: "missed, and told so", events: but(but(fed(0, 2), told(4, 1)), given(0, 5))},
		{name: "missed, and nobody knows how many", events: but(fed(0, 2), told(5, -1))},
		{name: "missed, and come after all", events: but(but(fed(0, 2, 3), told(5, -1)), given(0, 4)), wrong: 1},
		{name: "told to have missed what is behind", events: but(fed(0, 2, 3), told(4, -1)), lost: 1},
		{name: "of another key", events: but(fed(0, 2, 3, 4, 5), foreign), wrong: 1},
		{name: "from another place", events: but(fed(0, 2, 3, 4), elsewhere), wrong: 1},
		{name: "over HTTP", events: fed(1, 2, 3, 4, 5)},
		{name: "over HTTP, cut off", events: but(fed(1, 2, 3), ended(1))},
		{name: "over HTTP, one missing, and cut off", events: but(fed(1, 2, 4), ended(1)), lost: 1},
		{name: "over HTTP, cut off and gone on", events: but(but(but(but(fed(1, 2, 3), ended(1)), resumed), given(2, 4)), given(2, 5))},
		{name: "over HTTP, cut off and not gone on", events: but(but(fed(1, 2, 3), ended(1)), resumed), lost: 1},
		{name: "over HTTP, one missing when it goes on", events: but(but(but(fed(1, 2, 3), ended(1)), resumed), given(2, 5)), lost: 1},
		{name: "over HTTP, one twice when it goes on", events: but(but(but(but(fed(1, 2, 3), ended(1)), resumed), given(2, 3)), ended(2)), twice: 1},
		{name: "ended, and told why", events: but(fed(0, 2, 3), ended(0))},
	} {
		v := judge(c.events, 5*second)
		if len(v.lost) != c.lost || len(v.wrong) != c.wrong || len(v.twice) != c.twice {
			t.Errorf("%s: lost %v, wrong %v, twice %v; want %d, %d, %d", c.name, v.lost, v.wrong, v.twice, c.lost, c.wrong, c.twice)
		}
	}
}
