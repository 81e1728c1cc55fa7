package main

import (
	"fmt"
	"slices"
	"time"
)

// lapse is a time of which Redis may have forgotten what it was told.
type lapse struct{ from, to time.Duration }

// afterLapse is how long after a lapse nodes may still have known less than before.
const afterLapse = time.Second

func lapsesOf(events []event) (all []lapse) {
	for i := range events {
		if e := &events[i]; e.Kind == forgot {
			all = append(all, lapse{e.At - e.Timeout, e.At + afterLapse})
		}
	}
	return all
}

// mayBeForgotten tells whether a kept request, or its reply, may have been in Redis only,
// and lost there: that is up to Redis, and nothing that Parley promises.
func (t *trial) mayBeForgotten(all []lapse) bool {
	for _, l := range all {
		if t.posted[0].At < l.to && (len(t.replied) == 0 || t.replied[0].At > l.from) {
			return true
		}
	}
	return false
}

// judgeKept holds what became of a request under an idempotency key against what is
// promised of it. Who is told that a request is kept, be it as one that joined it, may count
// on its being made.
func (v *verdict) judgeKept(t *trial, margin time.Duration, lapses []lapse) {
	v.kept++
	v.replies += len(t.replied)
	forgotten := t.mayBeForgotten(lapses)
	if len(t.consumed) > 1 && !forgotten {
		v.twice = append(v.twice, finding{t.call, fmt.Sprintf("%d times in the topic, under one idempotency key", len(t.consumed))})
	}
	outcomes := make(map[string][]*event)
	for _, e := range t.collected {
		v.words["kept "+e.saying()]++
		outcomes[e.Request] = append(outcomes[e.Request], e)
	}
	known := make(map[string]bool)
	for _, e := range t.kept {
		if !known[e.Request] {
			known[e.Request] = true
			v.judgeCollected(t, e.Request, outcomes[e.Request], margin, forgotten)
		}
	}
	v.judgeRefused(t, known, forgotten)
}

// judgeCollected looks at what those were told who collected one request.
func (v *verdict) judgeCollected(t *trial, id string, told []*event, margin time.Duration, forgotten bool) {
	read, answered := t.madeAs(id)
	in := read != nil
	inTime := answered != nil && answered.At <= t.posted[0].At+t.posted[0].Timeout-margin
	switch {
	case len(told) > 0 || forgotten:
	case inTime:
		v.lost = append(v.lost, finding{t.call, "kept and answered, and nobody could collect it"})
	case !in:
		v.lost = append(v.lost, finding{t.call, "kept, and never in the topic"})
	}
	for i, e := range told {
		switch {
		case e.Word == gone && !forgotten:
			v.lost = append(v.lost, finding{t.call, "kept, and gone at node " + e.Node + " before its time"})
		case e.Word == gone:
			v.unsure++
		case i > 0 && told[0].Word != gone && (e.Word != told[0].Word || e.Hash != told[0].Hash):
			v.wrong = append(v.wrong, finding{t.call, fmt.Sprintf("collected as %s at node %s, and otherwise as %s at node %s", told[0].saying(), told[0].Node, e.saying(), e.Node)})
		case e.Word == "" && (!in || e.Owner != t.call || e.Hash != read.Hash && !(forgotten && t.hasAnswer(e.Hash))):
			v.wrong = append(v.wrong, finding{t.call, "collected a reply that is not its own, at node " + e.Node})
		case e.Word != "" && e.Certainty == "not_sent" && in:
			v.wrong = append(v.wrong, finding{t.call, "collected not_sent, and a service has read it"})
		case e.Word != "" && inTime:
			v.lost = append(v.lost, finding{t.call, "answered, and collected as " + e.saying() + " at node " + e.Node})
		}
	}
}

// madeAs is where a service has read the request by this id, and where it answered that;
// nil where it did not. There is more than one id where Redis has forgotten the first.
func (t *trial) madeAs(id string) (read, answered *event) {
	named := func(e *event) bool { return e.Request == id }
	if i := slices.IndexFunc(t.consumed, named); i >= 0 {
		read = t.consumed[i]
	}
	if i := slices.IndexFunc(t.replied, named); i >= 0 {
		answered = t.replied[i]
	}
	return read, answered
}

// hasAnswer tells whether a hash is of an answer to the call, under whatever id. Where Redis
// forgets an idempotency key, two requests wait for events about the same, and these are
// read once more: the first one's may answer the second.
func (t *trial) hasAnswer(hash uint32) bool {
	return slices.ContainsFunc(t.consumed, func(e *event) bool { return e.Hash == hash })
}

// judgeRefused looks at a request that is in the topic though its caller was told
// otherwise.
func (v *verdict) judgeRefused(t *trial, known map[string]bool, forgotten bool) {
	if len(t.consumed) == 0 || forgotten {
		return
	}
	if len(known) > 0 {
		if !known[t.consumed[0].Request] {
			v.wrong = append(v.wrong, finding{t.call, "in the topic as another request than its caller was told"})
		}
		return
	}
	for _, e := range t.refused {
		if e.Certainty != "not_sent" {
			return
		}
	}
	if len(t.refused) == len(t.posted) {
		v.wrong = append(v.wrong, finding{t.call, "was told not_sent by all that it asked, and a service has read it"})
	}
}
