package main

import (
	"fmt"
	"strconv"
	"strings"
)

// problem is one mistake in a configuration.
type problem struct {
	from string // where it was written: file:line, a variable, a flag; "" for a default
	key  string // dotted; "" where no key is concerned, or one that does not exist
	says string // the value, what is wrong with it and what is allowed
}

func (p problem) String() string {
	text := p.says
	if p.key != "" && "--"+p.key != p.from {
		text = short(p.key) + ": " + text
	}
	if p.from != "" {
		text = p.from + ": " + text
	}
	return text
}

// problems is an error that tells all mistakes at once, one a line, in the
// order in which they were found: first what cannot be read, by source, then
// what is not allowed, by section.
type problems []problem

func (ps problems) Error() string {
	var lines []string
	for i, p := range ps {
		if i == maxProblems {
			lines = append(lines, fmt.Sprintf("and %d more", len(ps)-i))
			break
		}
		lines = append(lines, p.String())
	}
	return strings.Join(lines, "\n")
}

// Nobody reads more than this many mistakes, or more than so much of a text.
const maxProblems, maxShown = 200, 100

// short is a text that somebody wrote, fit to be shown on a line.
func short(text string) string {
	if q := quoted(text); q != `"`+text+`"` {
		return q
	}
	return text
}

// quoted is short in quotes.
func quoted(text string) string {
	if len(text) > maxShown {
		text = text[:maxShown] + "…"
	}
	return strconv.Quote(text)
}

func (ps *problems) add(from, key, format string, args ...any) {
	*ps = append(*ps, problem{from, key, fmt.Sprintf(format, args...)})
}

// errOrNil answers an error if there are problems.
func (ps problems) errOrNil() error {
	if len(ps) == 0 {
		return nil
	}
	return ps
}
