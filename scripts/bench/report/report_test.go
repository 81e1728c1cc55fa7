package main

import (
	"strings"
	"testing"
)

// Two rounds, measured in different orders, become medians, ranges and
// round-by-round ratios; a run that lost something is told.
func TestReport(t *testing.T) {
	var r report
	for line := range strings.Lines(`
{"name":"raw","rate":1000,"lanes":1,"sent":8,"answered":8,"latency":{"p50":1,"p99":2,"max":4},"cpu_us":{"load":3}}
{"name":"parley","rate":1000,"lanes":50,"sent":8,"answered":8,"latency":{"p50":1.2,"p99":3,"max":4}}
{"name":"parley","rate":1000,"lanes":50,"sent":8,"answered":8,"latency":{"p50":2.2,"p99":3,"max":4}}
{"name":"raw","rate":1000,"lanes":1,"sent":8,"answered":8,"latency":{"p50":2,"p99":2,"max":4},"cpu_us":{"load":5}}
{"name":"raw","outstanding":500,"lanes":1,"sent":8,"answered":7,"missing":1,"per_second":100}
{"name":"parley","idle_sessions":5000,"rss_per_session":12345}
`) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		if err := r.add([]byte(line)); err != nil {
			t.Fatal(err)
		}
	}
	text := r.markdown()
	for _, want := range []string{
		"| 1000/s | raw | 1.50 (1.00 to 2.00) |",
		"load 4.0 |",
		"| 1000/s | **parley / raw** | 1.15 (1.10 to 1.20) |",
		"| closed, 500 | raw |",
		"**Failed** raw, closed, 500: 7 of 8 answered",
		"| 5000 | parley | 12.3 |",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}
