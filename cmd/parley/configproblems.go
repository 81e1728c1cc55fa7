package main

import (
	"fmt"
	"strings"
)

// problem is one mistake in a configuration.
type problem struct {
	from string // where it was written: file:line, a variable, a flag; "" for a default
	key  string // dotted; "" where no key is concerned
	says string // the value, what is wrong with it and what is allowed
}

func (p problem) String() string {
	text := p.says
	if p.key != "" && p.key != p.from {
		text = p.key + ": " + text
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
	var b strings.Builder
	b.WriteString("the configuration has a mistake:")
	if len(ps) > 1 {
		b.Reset()
		fmt.Fprintf(&b, "the configuration has %d mistakes:", len(ps))
	}
	for _, p := range ps {
		b.WriteString("\n  " + p.String())
	}
	return b.String()
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
