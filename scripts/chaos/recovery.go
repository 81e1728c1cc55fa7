package main

import (
	"slices"
	"time"
)

// recovery is how long clients waited for replies because of a fault.
type recovery struct {
	waits  []time.Duration // of each session that was affected: the longest that one of its requests waited
	silent time.Duration   // the longest time in which none of them got an outcome
}

// recoverFrom measures what the i-th hit did to the sessions that were on its nodes at that
// moment, or on any where it is a return: of the requests that were open then, or came in
// the aftermath, how long each waited for its outcome, counted from the hit where it is
// older. Requests that are slow by themselves do not count, nor those that went down with
// their node, which nobody can answer. all are the trials of events.
func recoverFrom(events []event, all []*trial, done *hits, i int) (r recovery) {
	h, until := done.all[i], done.until(i)
	affected := sessionsOn(events, h)
	longest := make(map[int]time.Duration)
	last := h.at
	for _, t := range all {
		if t.sent == nil || !t.sent.Prompt || !affected[t.call.Client] || len(t.outcomes) == 0 || t.vanished() {
			continue
		}
		began, ended := max(t.sent.At, h.at), t.outcomes[0].At
		if ended > h.at && began < until {
			longest[t.call.Client] = max(longest[t.call.Client], ended-began)
		}
	}
	for _, w := range longest {
		r.waits = append(r.waits, w)
	}
	slices.Sort(r.waits)
	for i := range events {
		e := &events[i]
		if e.Kind != outcome || !affected[e.Client] || e.At < h.at || e.At > until {
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
			affected[e.Client] = h.returns || h.concerns([]string{e.Node})
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
