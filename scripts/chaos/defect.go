package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"path/filepath"
	"strings"
	"time"
)

// defect is a mistake that nodes make on purpose, when they are built with the tag
// defects and PARLEY_TEST_DEFECT names it: defects_on.go in routing, routing/table and
// kafka have the other side.
type defect struct {
	name  string
	does  string
	shown []exposure
}

// exposure is a fault that shows a defect, and how often it is done.
type exposure struct {
	fault  string
	rounds int
}

// sound is no defect: the same build, faults and load, which must be acquitted.
const sound = "none"

var defects = []defect{
	{name: "release-early", does: "releases a request's row when its outcome is delivered, not when it is acknowledged",
		shown: []exposure{{"kill a node, unheard for 2 s", 2}}},
	{name: "commit-early", does: "commits a reply when it was handed to the router, not when it is safe",
		shown: []exposure{{"kill a node, unheard for 2 s", 1}}},
	{name: "resume-unfenced", does: "keeps a session that another node has taken over",
		shown: []exposure{{"all clients reconnect at once", 2}}},
	{name: "deliver-twice", does: "hands each delivery to its socket twice",
		shown: []exposure{{"none", 1}}},
	{name: "lose-part", does: "does not hand over the second part of an answer",
		shown: []exposure{{"none", 1}}},
	{name: "forget-kept", does: "does not hold the answer of a request that is to be collected",
		shown: []exposure{{"none", 1}}},
	{name: "answer-any-event", does: "answers with the next event, whatever its condition says",
		shown: []exposure{{"none", 1}}},
	{name: "drop-push", does: "drops one in seven of the events that it should push",
		shown: []exposure{{"none", 1}}},
	{name: "own-clock", does: "tells deadlines by its own clock, whatever Redis's says",
		shown: []exposure{{"a node's clock is 5 min ahead", 1}, {"a node's clock is 5 min behind", 1}}},
	{name: sound, does: "makes no mistake",
		shown: []exposure{{"kill a node, unheard for 2 s", 2}, {"all clients reconnect at once", 2}, {"a node's clock is 5 min ahead", 1}}},
}

// A defect is tried under a light load whose requests do not wait long, so that
// what is lost is soon known to be.
const (
	defectSessions = 100
	defectRate     = 300
	defectSlack    = 2 * time.Second
	defectPatience = 4 * time.Second
)

// defectsNamed are those that a word means: one, or all for "all".
func defectsNamed(word string) ([]defect, error) {
	if word == "all" {
		return defects, nil
	}
	var names []string
	for _, d := range defects {
		if d.name == word {
			return []defect{d}, nil
		}
		names = append(names, d.name)
	}
	return nil, fmt.Errorf("there is no defect %q: want %s", word, strings.Join(names, ", "))
}

// faults are those that show the defect.
func (d *defect) faults() (some []fault) {
	for _, e := range d.shown {
		for _, f := range faults {
			if f.name == e.fault {
				f.rounds = e.rounds
				some = append(some, f)
			}
		}
	}
	return some
}

// hearing is how it went with one defect.
type hearing struct {
	defect
	rows []row
	took time.Duration
	err  error // there was no verdict
}

// right tells whether the judge said what it should.
func (t *hearing) right() bool { return t.err == nil && t.convicted() != (t.name == sound) }

func (t *hearing) convicted() bool {
	broken := false
	for i := range t.rows {
		broken = broken || t.rows[i].broken()
	}
	return broken
}

// tryDefects plants one defect after another, each in a cluster of its own.
func tryDefects(ctx context.Context, o *options, dir string) (all []hearing, err error) {
	for _, d := range o.planted {
		if ctx.Err() != nil {
			break
		}
		log.Printf("planted: %s: each node %s", d.name, d.does)
		own := *o
		own.defect = d.name
		t := hearing{defect: d}
		began := time.Now()
		c, err := conduct(ctx, &own, filepath.Join(dir, d.name), d.faults())
		t.took, t.rows, t.err = time.Since(began), c.rows, errors.Join(err, c.failed())
		all = append(all, t)
	}
	return all, ctx.Err()
}

// writeHearings writes what came of the defects, in Markdown.
func writeHearings(out io.Writer, all []hearing) {
	fmt.Fprintln(out, "| planted defect: each node … | under | requests | lost | wrong | twice | verdict | after |")
	fmt.Fprintln(out, "|---|---|--:|--:|--:|--:|---|--:|")
	for i := range all {
		t := &all[i]
		var under []string
		var requests, lost, wrong, twice int
		for _, r := range t.rows {
			under = append(under, r.fault)
			requests, lost, wrong, twice = requests+r.requests, lost+len(r.lost), wrong+len(r.wrong), twice+len(r.twice)
		}
		fmt.Fprintf(out, "| `%s`: %s | %s | %d | %d | %d | %d | %s | %.0f s |\n",
			t.name, t.does, strings.Join(under, "; "), requests, lost, wrong, twice, t.verdict(), t.took.Seconds())
	}
}

func (t *hearing) verdict() string {
	word := "acquitted"
	switch {
	case t.err != nil:
		return "NONE: " + strings.ReplaceAll(t.err.Error(), "\n", "; ")
	case t.convicted():
		word = "convicted"
	}
	if !t.right() {
		return "WRONGLY " + word
	}
	return word
}
