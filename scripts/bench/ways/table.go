package main

import (
	"fmt"
	"slices"
	"strings"
)

// table is a Markdown table of all ways: the median of the rounds, and their range.
func table(ways []*way) string {
	var b strings.Builder
	b.WriteString("| what | a second | p50 ms | p99 ms | CPU µs of the gateway, each |\n|---|--:|--:|--:|--:|\n")
	for _, w := range ways {
		fmt.Fprintf(&b, "| %s | %s %ss | %s | %s | %s |\n", w.name,
			spread(w.rounds, "%.0f", func(m *measured) float64 { return float64(m.count) / m.elapsed.Seconds() }), w.each,
			spread(w.rounds, "%.2f", func(m *measured) float64 { return float64(m.took.Quantile(0.5)) / 1e6 }),
			spread(w.rounds, "%.1f", func(m *measured) float64 { return float64(m.took.Quantile(0.99)) / 1e6 }),
			spread(w.rounds, "%.1f", func(m *measured) float64 { return float64(m.cpu) / 1e3 / float64(max(m.count, 1)) }))
	}
	return b.String()
}

func spread(rounds []*measured, format string, of func(*measured) float64) string {
	var values []float64
	for _, m := range rounds {
		values = append(values, of(m))
	}
	slices.Sort(values)
	middle := fmt.Sprintf(format, values[len(values)/2])
	if len(values) == 1 {
		return middle
	}
	return fmt.Sprintf("%s ("+format+" to "+format+")", middle, values[0], values[len(values)-1])
}
