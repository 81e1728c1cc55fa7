package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
)

// writeTable writes the report, in Markdown.
func writeTable(out io.Writer, rows []row) {
	fmt.Fprintln(out, "| fault | requests | replies | parts | kept, waits, pushes | lost | wrong | surfaced twice | unsure | duplicates on the wire "+
		"| waited because of it: p50 | p99 | max | longest silence | waited at its return: p50, p99, max | what clients saw |")
	fmt.Fprintln(out, "|---|--:|--:|--:|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|---|---|")
	for _, r := range rows {
		slices.Sort(r.waits)
		slices.Sort(r.returns)
		saw := words(r.words)
		if r.failed != nil {
			saw += "; FAILED: " + r.failed.Error()
		}
		fmt.Fprintf(out, "| %s | %d | %d | %d | %d, %d, %d | %d | %d | %d | %d | %d | %s | %s | %s | %s | %s | %s |\n",
			r.fault, r.requests, r.replies, r.parts, r.kept, r.byEvent, r.pushes, len(r.lost), len(r.wrong), len(r.twice), r.unsure, r.duplicates,
			waited(r.waits, 0.5), waited(r.waits, 0.99), waited(r.waits, 1), r.silence(), r.returned(), saw)
	}
	fmt.Fprint(out, "\nUnsure: the client was neither told accepted nor given a reply, and was told that nobody knows, though a service had "+
		"answered, or none ever got the request. Waited: of each session on the nodes concerned, the longest that a request waited for its outcome which was "+
		"open at the fault or made in the 15 s after it, but before a killed node is started again, counted from the fault at the earliest; what no service ever got is not counted. Silence: the longest that "+
		"all these sessions together got nothing. At its return: the same of all sessions from when killed nodes are started again, and so get partitions back, until the next fault. Times in ms.\n")
}

// words lists outcomes, the most frequent first.
func words(count map[string]int) string {
	names := slices.SortedFunc(maps.Keys(count), func(a, b string) int { return count[b] - count[a] })
	for i, name := range names {
		names[i] = fmt.Sprintf("%s %d", name, count[name])
	}
	return strings.Join(names, ", ")
}

// waited is a quantile of sorted waits, blank where none was measured.
func waited(waits []time.Duration, q float64) string {
	if len(waits) == 0 {
		return ""
	}
	return ms(quantile(waits, q))
}

// returned is how long was waited when what a fault had ended was started again.
func (r *row) returned() string {
	if len(r.returns) == 0 {
		return ""
	}
	return fmt.Sprintf("%s, %s, %s", waited(r.returns, 0.5), waited(r.returns, 0.99), waited(r.returns, 1))
}

func (r *row) silence() string {
	if len(r.waits) == 0 {
		return ""
	}
	return ms(r.silent)
}

func ms(d time.Duration) string { return fmt.Sprint(d.Milliseconds()) }

// line is an event for people.
func (e *event) line() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%9.3f s  %-9s", e.At.Seconds(), e.Kind)
	for _, field := range []struct {
		name string
		of   any
		show bool
	}{
		{"request", e.Request, e.Request != ""},
		{"session", e.Session, e.Session != ""},
		{"node", e.Node, e.Node != ""},
		{"timeout", e.Timeout, e.Timeout > 0},
		{"word", e.Word, e.Word != ""},
		{"outcome", e.Certainty, e.Certainty != ""},
		{"part", e.Part, e.Kind == part || e.Kind == arrived},
		{"parts", len(e.Parts), len(e.Parts) > 0},
		{"key", e.Key, e.Key != ""},
		{"number", e.Number, e.Number > 0},
		{"record", e.Record, e.Record != ""},
		{"missed", e.Missed, e.Missed != 0},
		{"owner", fmt.Sprintf("%d/%d", e.Owner.Client, e.Owner.N), e.Owner != call{}},
	} {
		if field.show {
			fmt.Fprintf(&b, "  %s %v", field.name, field.of)
		}
	}
	return b.String()
}
