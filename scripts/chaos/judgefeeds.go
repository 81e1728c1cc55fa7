package main

import (
	"fmt"
	"time"
)

// feedLog is what was written about one key, by number.
type feedLog struct {
	begun  map[int]time.Duration
	record map[int]string
	last   int // that Kafka had margin before the history's end
}

// follow is one subscription of a client, and what it was given. One over HTTP goes on in
// another connection that says what the last was.
type follow struct {
	subscribed *event
	ended      bool // its subscriber knows that nothing more comes
	given      []*event
}

// judgeFeeds holds what subscribers were given against what was written: of all that was
// begun after the subscription was confirmed each event once, in order, unless the client
// was told that it has missed some, and as it was written.
func (v *verdict) judgeFeeds(events []event, margin time.Duration) {
	logs := make(map[string]*feedLog)
	type of struct {
		client int
		key    string
	}
	all := make(map[of]*follow)
	var order []*follow
	for i := range events {
		e := &events[i]
		at := of{e.Client, e.Key}
		switch e.Kind {
		case writing, written:
			if logs[e.Key] == nil {
				logs[e.Key] = &feedLog{begun: make(map[int]time.Duration), record: make(map[int]string)}
			}
			logs[e.Key].add(e, events[len(events)-1].At-margin)
		case subscribed:
			if f := all[at]; f != nil && e.Record != "" {
				f.ended = false
				continue
			}
			all[at] = &follow{subscribed: e}
			order = append(order, all[at])
		case surfaced:
			if f := all[at]; f != nil {
				f.given = append(f.given, e)
			}
		case unsubscribed:
			if f := all[at]; f != nil {
				f.ended = true
			}
			if e.Word != "" && e.Socket == 0 {
				v.words["subscription "+e.Word]++
			}
		}
	}
	for _, f := range order {
		if logs[f.subscribed.Key] != nil {
			v.judgeFollow(f, logs[f.subscribed.Key])
		}
	}
}

func (l *feedLog) add(e *event, until time.Duration) {
	if e.Kind == writing {
		l.begun[e.Number] = e.At
		return
	}
	l.record[e.Number] = e.Record
	if e.At <= until {
		l.last = max(l.last, e.Number)
	}
}

// judgeFollow goes through what one subscriber was given. Who was told that it missed
// some is told so with the next event.
func (v *verdict) judgeFollow(f *follow, l *feedLog) {
	who := call{Client: f.subscribed.Client}
	had, told := make(map[int]bool), make(map[int]bool)
	highest := 0
	for _, e := range f.given {
		v.pushes++
		switch {
		case e.Number == 0:
			v.wrong = append(v.wrong, finding{who, "got an event that is not about " + e.Key})
			continue
		case l.record[e.Number] != "" && l.record[e.Number] != e.Record:
			v.wrong = append(v.wrong, finding{who, fmt.Sprintf("got event %d of %s as %s, and it is %s", e.Number, e.Key, e.Record, l.record[e.Number])})
		case had[e.Number]:
			v.twice = append(v.twice, finding{who, fmt.Sprintf("got event %d of %s twice", e.Number, e.Key)})
		case e.Number < highest && l.begun[e.Number] >= f.subscribed.At:
			v.wrong = append(v.wrong, finding{who, fmt.Sprintf("got event %d of %s behind %d", e.Number, e.Key, highest)})
		}
		if e.Missed != 0 {
			for n := highest + 1; n < e.Number; n++ {
				told[n] = true
			}
		}
		had[e.Number], highest = true, max(highest, e.Number)
	}
	last := highest
	if !f.ended {
		last = max(last, l.last)
	}
	var missing []int
	for n := 1; n <= last; n++ {
		if !had[n] && !told[n] && l.record[n] != "" && l.begun[n] >= f.subscribed.At {
			missing = append(missing, n)
		}
	}
	if len(missing) > 0 {
		v.lost = append(v.lost, finding{who, fmt.Sprintf("was not given %d events of %s up to %d, the first of them %d, and not told so",
			len(missing), f.subscribed.Key, last, missing[0])})
	}
}
