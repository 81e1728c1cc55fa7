package main

import (
	"fmt"
	"slices"
	"time"
)

// verdict is what a history comes to.
type verdict struct {
	requests, replies int
	parts             int       // that callers were given before their replies
	kept, byEvent     int       // requests to be collected later, and such as an event answers
	pushes            int       // events that subscribers were given
	lost              []finding // accepted, and no outcome; or answered in time, and not told; or a part missing
	wrong             []finding // another's reply, other bytes, parts in disorder, or an error that lied
	twice             []finding // more than one outcome, or one that came twice over one socket; and so for parts
	unsure            int       // not accepted, perhaps answered, and told that nobody knows: allowed, and no beauty
	duplicates        int       // frames that told a client what it had been told before
	words             map[string]int
}

// finding is one broken promise.
type finding struct {
	call call
	why  string
}

// trial is all that a history says about one request.
type trial struct {
	call              call
	sent, accepted    *event
	consumed, replied []*event
	pushed, outcomes  []*event
	denied            []*event // pushed too: it never arrived, and may be sent again
	arrived, parts    []*event // parts, as frames and as the caller was given them
	posted, refused   []*event // of a kept request
	kept, collected   []*event
	belated           int // parts that the caller was given after its outcome
}

// judge holds a history against what Parley promises:
//
//   - an accepted request has exactly one outcome at its client, and no request
//     has two, nor one twice over one socket;
//   - a reply that Kafka had margin before the deadline is the outcome at its
//     client. (A node that is dead for 10 s
//     cannot deliver what has 5 s left, and must then say timeout.) A request that
//     was not accepted may also end in an error that says that nobody knows;
//   - a client gets its own reply, and as it was written;
//   - of an answer in parts it gets each part once, in order, and all of them before the
//     reply (judgeparts.go);
//   - what an event answers has the first event that satisfies as its reply: it is the one
//     that its service says it has written;
//   - a kept request is made once, and whoever collects it gets its one outcome, at any
//     node and until its life is over (judgekept.go);
//   - a subscriber is given each event once, or told that it has missed some (judgefeeds.go);
//   - its service is told when its client stops waiting;
//   - what an error says of the request is true: not_sent is in no topic, not even
//     when the client sends it again by itself, and done has been answered.
//
// It must be called when every request had its time.
func judge(events []event, margin time.Duration) verdict {
	v := verdict{words: make(map[string]int)}
	v.judgeFeeds(events, margin)
	lapses := lapsesOf(events)
	for _, t := range trials(events) {
		if len(t.posted) > 0 {
			v.judgeKept(t, margin, lapses)
			continue
		}
		if t.sent == nil {
			v.wrong = append(v.wrong, finding{t.call, "something came of a request that was never sent"})
			continue
		}
		v.requests++
		if t.sent.Key != "" {
			v.byEvent++
		}
		v.replies += len(t.replied)
		v.duplicates += max(0, len(t.pushed)-1) + t.partsAgain()
		for _, e := range t.outcomes {
			v.words[e.saying()]++
		}
		v.judgeCount(t)
		v.judgeReply(t, margin)
		v.judgeOwner(t)
		v.judgeParts(t)
		v.judgeDeadline(t)
		v.judgeError(t)
	}
	return v
}

// trials sorts a history by request, in the order in which they were sent.
func trials(events []event) (all []*trial) {
	byCall := make(map[call]*trial)
	for i := range events {
		e := &events[i]
		if e.N == 0 || e.Kind == acked {
			continue
		}
		t := byCall[e.call()]
		if t == nil {
			t = &trial{call: e.call()}
			byCall[t.call] = t
			all = append(all, t)
		}
		t.add(e)
	}
	return all
}

func (t *trial) add(e *event) {
	switch e.Kind {
	case sent:
		t.sent = e
	case accepted:
		t.accepted = e
	case consumed:
		t.consumed = append(t.consumed, e)
	case replied:
		t.replied = append(t.replied, e)
	case arrived:
		t.arrived = append(t.arrived, e)
	case part:
		t.parts = append(t.parts, e)
		t.belated += min(1, len(t.outcomes))
	case pushed:
		if e.Word == "unknown_request" && e.Certainty == "not_sent" {
			t.denied = append(t.denied, e)
			return
		}
		t.pushed = append(t.pushed, e)
	case outcome:
		t.outcomes = append(t.outcomes, e)
	case posted:
		t.posted = append(t.posted, e)
	case refused:
		t.refused = append(t.refused, e)
	case kept:
		t.kept = append(t.kept, e)
	case collected:
		t.collected = append(t.collected, e)
	}
}

func (v *verdict) judgeCount(t *trial) {
	switch {
	case len(t.outcomes) > 1:
		v.twice = append(v.twice, finding{t.call, fmt.Sprintf("%d outcomes", len(t.outcomes))})
	case len(t.outcomes) == 0 && t.accepted != nil:
		v.lost = append(v.lost, finding{t.call, "accepted, and no outcome"})
	case len(t.outcomes) == 0:
		v.lost = append(v.lost, finding{t.call, "no outcome, not even an error"})
	}
	if len(t.consumed) > 1 {
		v.twice = append(v.twice, finding{t.call, fmt.Sprintf("%d times in the topic", len(t.consumed))})
	}
	// A new socket is told again what the old one may not have delivered. The same
	// one never is.
	for i, e := range t.pushed {
		if slices.ContainsFunc(t.pushed[:i], func(before *event) bool { return before.Socket == e.Socket }) {
			v.twice = append(v.twice, finding{t.call, "its outcome came twice over one socket"})
			return
		}
	}
}

// vanished tells whether a request went down with its node: its client was not told that
// it was accepted, no service ever read it, and in the end nobody knew.
func (t *trial) vanished() bool {
	return t.accepted == nil && len(t.consumed) == 0 && t.outcomes[0].Word == "timeout" && t.outcomes[0].Certainty == "unknown"
}

// judgeReply looks for what a service wrote in time and the client was not told.
func (v *verdict) judgeReply(t *trial, margin time.Duration) {
	if len(t.outcomes) > 0 && t.vanished() {
		v.unsure++
	}
	if len(t.replied) == 0 || len(t.outcomes) == 0 {
		return
	}
	deadline := t.sent.At + t.sent.Timeout
	inTime := t.replied[0].At <= deadline-margin
	told := t.outcomes[0]
	if told.Word == "" || !inTime {
		return
	}
	if t.accepted == nil && told.Certainty == "unknown" && told.Word != "timeout" {
		v.unsure++ // the node died with the request on its way: nobody could know
		return
	}
	v.lost = append(v.lost, finding{t.call, fmt.Sprintf("answered %v before its deadline, and the client got %s",
		(deadline - t.replied[0].At).Round(time.Millisecond), told.saying())})
}

func (v *verdict) judgeOwner(t *trial) {
	for _, e := range append(t.pushed[:len(t.pushed):len(t.pushed)], t.outcomes...) {
		switch {
		case e.Word != "":
		case e.Owner != t.call:
			v.wrong = append(v.wrong, finding{t.call, fmt.Sprintf("got the reply to request %d of client %d", e.Owner.N, e.Owner.Client)})
		case len(t.consumed) > 0 && e.Hash == t.consumed[0].Hash:
		case t.sent.Key != "":
			v.wrong = append(v.wrong, finding{t.call, "got another event than the first that satisfies"})
		default:
			v.wrong = append(v.wrong, finding{t.call, "got a reply that no service wrote"})
		}
	}
}

// judgeDeadline holds what a service was told against how long the client waits, which
// began somewhere between its sending and the service's reading.
func (v *verdict) judgeDeadline(t *trial) {
	for _, e := range t.consumed {
		early, late := t.sent.At+t.sent.Timeout-e.Deadline, e.Deadline-e.At-t.sent.Timeout
		if e.Deadline != 0 && max(early, late) > time.Second {
			v.wrong = append(v.wrong, finding{t.call, fmt.Sprintf("its service was told a deadline that is %v off", max(early, late).Round(time.Millisecond))})
		}
	}
}

func (v *verdict) judgeError(t *trial) {
	for _, e := range t.denied {
		if len(t.consumed) > 0 && t.consumed[0].At < e.At {
			v.wrong = append(v.wrong, finding{t.call, "was told that it never arrived, after a service had read it"})
		}
	}
	for _, e := range t.outcomes {
		switch {
		case e.Certainty == "not_sent" && len(t.consumed) > 0:
			v.wrong = append(v.wrong, finding{t.call, "was told not_sent, and a service has read it"})
		case e.Certainty == "not_sent" && t.accepted != nil:
			v.wrong = append(v.wrong, finding{t.call, "was told not_sent after it was accepted"})
		case e.Certainty == "done" && len(t.replied) == 0:
			v.wrong = append(v.wrong, finding{t.call, "was told done, and no service has answered"})
		case e.Word == "timeout" && e.At < t.sent.At+t.sent.Timeout-50*time.Millisecond:
			v.wrong = append(v.wrong, finding{t.call, "was told timeout before its time"})
		}
	}
}

// saying is what an outcome said, in a word or two.
func (e *event) saying() string {
	switch {
	case e.Word == "":
		return "reply"
	case e.Certainty == "":
		return e.Word
	default:
		return e.Word + "/" + e.Certainty
	}
}

// broken tells whether a promise was.
func (v *verdict) broken() bool { return len(v.lost)+len(v.wrong)+len(v.twice) > 0 }

// findings are all of them, each with what it is called in the table.
func (v *verdict) findings() map[string][]finding {
	return map[string][]finding{"lost": v.lost, "wrong": v.wrong, "surfaced twice": v.twice}
}
