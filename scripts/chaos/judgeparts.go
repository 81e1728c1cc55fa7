package main

import "fmt"

// judgeParts holds what a client and its caller were given of an answer in parts against
// what its service wrote. The client may hide from its caller that a part came twice over
// one socket; only over another one it may.
func (v *verdict) judgeParts(t *trial) {
	v.parts += len(t.parts)
	v.judgeBytes(t, t.arrived)
	v.judgeBytes(t, t.parts)
	v.judgeOrder(t)
	came := make(map[[2]int]int)
	for _, e := range t.arrived {
		at := [2]int{e.Socket, e.Part}
		if came[at]++; came[at] == 2 {
			v.twice = append(v.twice, finding{t.call, fmt.Sprintf("part %d came twice over one socket", e.Part)})
		}
	}
}

// judgeBytes looks at what parts say of themselves.
func (v *verdict) judgeBytes(t *trial, parts []*event) {
	for _, e := range parts {
		switch {
		case e.Owner != t.call:
			v.wrong = append(v.wrong, finding{t.call, fmt.Sprintf("got a part of the answer to request %d of client %d", e.Owner.N, e.Owner.Client)})
		case len(t.consumed) == 0 || e.Part >= len(t.consumed[0].Parts) || e.Hash != t.consumed[0].Parts[e.Part]:
			v.wrong = append(v.wrong, finding{t.call, fmt.Sprintf("got a part %d that no service wrote", e.Part)})
		}
	}
}

// judgeOrder tells parts that a caller was given twice from those that came in disorder
// or not at all. An answer that ends in an error may miss its last ones.
func (v *verdict) judgeOrder(t *trial) {
	got := make(map[int]int)
	highest, swapped := -1, t.belated > 0
	for _, e := range t.parts {
		if got[e.Part]++; got[e.Part] == 2 {
			v.twice = append(v.twice, finding{t.call, fmt.Sprintf("part %d surfaced twice", e.Part)})
		}
		swapped = swapped || e.Part < highest && got[e.Part] == 1
		highest = max(highest, e.Part)
	}
	if swapped {
		v.wrong = append(v.wrong, finding{t.call, "its parts came in disorder"})
	}
	all := highest + 1
	if len(t.outcomes) > 0 && t.outcomes[0].Word == "" && len(t.consumed) > 0 {
		all = max(all, len(t.consumed[0].Parts))
	}
	if missing := all - len(got); missing > 0 {
		v.lost = append(v.lost, finding{t.call, fmt.Sprintf("%d of the first %d parts are missing", missing, all)})
	}
}

// partsAgain counts the frames with parts that had come before.
func (t *trial) partsAgain() int {
	different := make(map[int]bool)
	for _, e := range t.arrived {
		different[e.Part] = true
	}
	return len(t.arrived) - len(different)
}
