package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"parley/cmd/parley/bench"
)

// base is what the others are compared with.
const base = "raw"

// loadOf names a load: runs of one load are comparable.
func loadOf(l *bench.Result) string {
	if l.Rate > 0 {
		return fmt.Sprintf("%g/s", l.Rate)
	}
	return fmt.Sprintf("closed, %d", l.Outstanding)
}

// rounds are the results of one load, by what was measured.
type rounds map[string][]*bench.Result

func (r *report) markdown() string {
	var loads []string // in the order of measuring
	byLoad := make(map[string]rounds)
	for _, l := range r.loads {
		name := loadOf(l)
		if byLoad[name] == nil {
			byLoad[name] = make(rounds)
			loads = append(loads, name)
		}
		byLoad[name][l.Name] = append(byLoad[name][l.Name], l)
	}
	var b strings.Builder
	if len(loads) > 0 {
		b.WriteString("| load | measured | p50 ms | p90 ms | p99 ms | max ms | answers/s | sent late, p99 ms | processors busy elsewhere | CPU µs a request |\n|---|---|---|---|---|---|---|---|---|---|\n")
	}
	for _, load := range loads {
		byLoad[load].rows(&b, load)
	}
	r.idleTable(&b)
	for _, f := range r.failures() {
		fmt.Fprintf(&b, "\n**Failed** %s\n", f)
	}
	return b.String()
}

// rows writes the rows of one load: the base, then the others, each followed
// by its ratio to the base.
func (rs rounds) rows(b *strings.Builder, load string) {
	names := slices.SortedFunc(maps.Keys(rs), func(x, y string) int {
		if (x == base) != (y == base) {
			return map[bool]int{true: -1, false: 1}[x == base]
		}
		return strings.Compare(x, y)
	})
	for _, name := range names {
		fmt.Fprintf(b, "| %s | %s |", load, name)
		for i, c := range columns {
			fmt.Fprintf(b, " %s |", spread(rs.values(name, i), c.format))
		}
		fmt.Fprintf(b, " %s |\n", rs.cpu(name))
		if name != base && len(rs[base]) > 0 {
			rs.ratios(b, load, name)
		}
	}
}

// columns are the values that have a ratio worth telling.
var columns = []struct {
	format string
	of     func(*bench.Result) float64
	ratio  bool
}{
	{"%.2f", func(l *bench.Result) float64 { return l.Latency.P50 }, true},
	{"%.2f", func(l *bench.Result) float64 { return l.Latency.P90 }, true},
	{"%.2f", func(l *bench.Result) float64 { return l.Latency.P99 }, true},
	{"%.1f", func(l *bench.Result) float64 { return l.Latency.Max }, true},
	{"%.0f", func(l *bench.Result) float64 { return l.PerSecond }, true},
	{"%.2f", func(l *bench.Result) float64 { return l.Lag.P99 }, false},
	{"%.1f", func(l *bench.Result) float64 { return l.Others }, false},
}

func (rs rounds) values(name string, column int) (values []float64) {
	for _, l := range rs[name] {
		values = append(values, columns[column].of(l))
	}
	return values
}

// ratios compares round by round, because rounds are neighbours in time.
func (rs rounds) ratios(b *strings.Builder, load, name string) {
	fmt.Fprintf(b, "| %s | **%s / %s** |", load, name, base)
	for i, c := range columns {
		var ratios []float64
		theirs := rs.values(base, i)
		for round, value := range rs.values(name, i) {
			if round < len(theirs) && theirs[round] > 0 {
				ratios = append(ratios, value/theirs[round])
			}
		}
		text := ""
		if c.ratio {
			text = spread(ratios, "%.2f")
		}
		fmt.Fprintf(b, " %s |", text)
	}
	b.WriteString(" |\n")
}

// cpu lists what each process spent on a request, the median of the rounds.
func (rs rounds) cpu(name string) string {
	byProcess := make(map[string][]float64)
	for _, l := range rs[name] {
		for process, us := range l.CPU {
			byProcess[process] = append(byProcess[process], us)
		}
	}
	var parts []string
	for _, process := range slices.Sorted(maps.Keys(byProcess)) {
		if us := median(byProcess[process]); us >= 0.1 {
			parts = append(parts, fmt.Sprintf("%s %.1f", process, us))
		}
	}
	return strings.Join(parts, ", ")
}

func (r *report) idleTable(b *strings.Builder) {
	if len(r.idles) == 0 {
		return
	}
	b.WriteString("\n| idle sessions | server | resident KB a session | heap and stacks in use, KB a session |\n|---|---|---|---|\n")
	for _, i := range r.idles {
		fmt.Fprintf(b, "| %d | %s | %.1f | %.1f |\n", i.Sessions, i.Name, i.RSS/1000, i.Go/1000)
	}
}

// spread is the median and, of several values, the range.
func spread(values []float64, format string) string {
	if len(values) == 0 {
		return ""
	}
	text := fmt.Sprintf(format, median(values))
	if len(values) == 1 {
		return text
	}
	return text + fmt.Sprintf(" ("+format+" to "+format+")", slices.Min(values), slices.Max(values))
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
}
