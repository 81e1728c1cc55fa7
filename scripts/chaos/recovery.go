package main

import (
	"slices"
	"time"
)

// hit is a fault that was done: when it began, and to which nodes.
type hit struct {
	at    time.Duration // on the history's clock
	nodes []string      // nil for all
}

// recovery is how long clients waited for replies because of a fault.
type recovery struct {
	waits  []time.Duration // of each session that was affected: the longest that one of its requests waited
	silent time.Duration   // the longest time in which none of them got an outcome
}

// aftermath is how long after a hit requests are looked at.
const aftermath = 15 * time.Second

// recoverFrom measures what a hit did to the sessions that were on the nodes at that
// moment: of the requests that were open then, or came in the aftermath, how long
// each waited for its outcome, counted from the hit where it is older. Requests
// that are slow by themselves do not count, nor those that went down with their node,
// which nobody can answer. all are the trials of events.
func recoverFrom(events []event, all []*trial, h hit) (r recovery) {
	affected := sessionsOn(events, h)
	longest := make(map[int]time.Duration)
	last := h.at
	for _, t := range all {
		if t.sent == nil || !t.sent.Prompt || !affected[t.call.Client] || len(t.outcomes) == 0 || t.vanished() {
			continue
		}
		began, ended := max(t.sent.At, h.at), t.outcomes[0].At
		if ended > h.at && began < h.at+aftermath {
			longest[t.call.Client] = max(longest[t.call.Client], ended-began)
		}
	}
	for _, w := range longest {
		r.waits = append(r.waits, w)
	}
	slices.Sort(r.waits)
	for i := range events {
		e := &events[i]
		if e.Kind != outcome || !affected[e.Client] || e.At < h.at || e.At > h.at+aftermath {
			continue
		}
		r.silent = max(r.silent, e.At-last)
		last = e.At
	}
	return r
}

// sessionsOn answers the clients that a hit affects.
func sessionsOn(events []event, h hit) map[int]bool {
	affected := make(map[int]bool)
	for i := range events {
		e := &events[i]
		if e.At > h.at {
			break
		}
		if e.Kind == opened || e.Kind == resumed {
			affected[e.Client] = h.nodes == nil || slices.Contains(h.nodes, e.Node)
		}
	}
	return affected
}

// quantile answers of sorted durations.
func quantile(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}
