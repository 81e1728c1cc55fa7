package web

import (
	"bufio"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"parley/routing"
)

// scrape reads the exposition: series with their labels, and their values.
func scrape(t *testing.T, m *Metrics) map[string]float64 {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if w.Code != http.StatusOK {
		t.Fatalf("metrics: %d %s", w.Code, w.Body)
	}
	all := make(map[string]float64)
	lines := bufio.NewScanner(w.Body)
	for lines.Scan() {
		if line := lines.Text(); !strings.HasPrefix(line, "#") {
			space := strings.LastIndexByte(line, ' ')
			value, err := strconv.ParseFloat(line[space+1:], 64)
			if err != nil {
				t.Fatalf("%q: %v", line, err)
			}
			all[line[:space]] = value
		}
	}
	return all
}

// Dashboards find every metric under the name and the labels that were promised.
func TestMetricNames(t *testing.T) {
	seven := func() int { return 7 }
	m := NewMetrics(Gauges{
		OpenRequests: seven, Sessions: seven, Sockets: seven, OwnedPartitions: seven, HeldReplies: seven, UncommittedReplies: seven,
		UncommittedAge: func() time.Duration { return 7 * time.Second },
	})
	g := newGateway(t, func(o *Options) { o.Observer = m })
	g.do("POST", "/services/echo", nil)
	g.topic.reply(g.topic.last(), &routing.Reply{Final: true}) // a duplicate
	g.topic.fail = &routing.Error{Word: routing.Overloaded, Message: "full", Outcome: routing.NotSent}
	g.do("POST", "/services/echo", nil)
	for _, stage := range []routing.Stage{routing.StageRelay, routing.StageAck, "another"} {
		m.Stage(stage, 3*time.Second)
	}
	m.Finished("echo", routing.DoorWS, routing.OK, time.Millisecond)
	m.Count(routing.Replies, string(routing.PathRelay))
	m.Count(routing.Replies, string(routing.PathHeld))
	m.Count(routing.Refusals, "forbidden")

	all := scrape(t, m)
	for series, want := range map[string]float64{
		`parley_requests_total{door="http",outcome="ok",service="echo"}`:         1,
		`parley_requests_total{door="http",outcome="overloaded",service="echo"}`: 1,
		`parley_requests_total{door="ws",outcome="ok",service="echo"}`:           1,
		`parley_request_seconds_count{door="http",service="echo"}`:               2,
		`parley_request_seconds_count{door="ws",service="echo"}`:                 1,
		`parley_request_seconds_bucket{door="ws",service="echo",le="0.0005"}`:    0,
		`parley_request_seconds_bucket{door="ws",service="echo",le="0.001"}`:     1,
		`parley_stage_seconds_count{stage="produce"}`:                            1,
		`parley_stage_seconds_count{stage="service"}`:                            1,
		`parley_stage_seconds_count{stage="relay"}`:                              1,
		`parley_stage_seconds_count{stage="push"}`:                               1,
		`parley_stage_seconds_count{stage="ack"}`:                                1,
		`parley_stage_seconds_count{stage="another"}`:                            1,
		`parley_replies_total{path="home"}`:                                      1,
		`parley_replies_total{path="relay"}`:                                     1,
		`parley_replies_total{path="held"}`:                                      1,
		`parley_replies_total{path="dropped"}`:                                   1,
		`parley_drops_total{reason="duplicate"}`:                                 1,
		`parley_drops_total{reason="late"}`:                                      0,
		`parley_drops_total{reason="unknown_request"}`:                           0,
		`parley_drops_total{reason="no_correlation"}`:                            0,
		`parley_drops_total{reason="too_large"}`:                                 0,
		`parley_refused_total{reason="overloaded"}`:                              1,
		`parley_refused_total{reason="forbidden"}`:                               1,
		`parley_open_requests`:                                                   7,
		`parley_sessions`:                                                        7,
		`parley_sockets`:                                                         7,
		`parley_owned_partitions`:                                                7,
		`parley_held_replies`:                                                    7,
		`parley_uncommitted_replies`:                                             7,
		`parley_uncommitted_age_seconds`:                                         7,
		`parley_relay_share`:                                                     0.5,
	} {
		if got, ok := all[series]; !ok || got != want {
			t.Errorf("%s = %v (there: %v), want %v", series, got, ok, want)
		}
	}
	for _, name := range []string{"go_goroutines", "process_cpu_seconds_total"} {
		if _, ok := all[name]; !ok {
			t.Errorf("%s is missing", name)
		}
	}
}

// Before anything has happened, the gauges and the known labels show 0.
func TestMetricsAtStart(t *testing.T) {
	all := scrape(t, NewMetrics(Gauges{}))
	for _, series := range []string{
		"parley_open_requests", "parley_uncommitted_age_seconds", "parley_relay_share", `parley_replies_total{path="relay"}`, `parley_drops_total{reason="late"}`,
		`parley_drops_total{reason="unread"}`, `parley_events_total{fate="pushed"}`, "parley_subscriptions", "parley_event_waits",
	} {
		if got, ok := all[series]; !ok || got != 0 {
			t.Errorf("%s = %v (there: %v)", series, got, ok)
		}
	}
}

// What the router tells on its hot path costs no allocation.
func TestObservingAllocatesNothing(t *testing.T) {
	m := NewMetrics(Gauges{})
	n := testing.AllocsPerRun(1000, func() {
		m.Finished("echo", routing.DoorHTTP, routing.OK, time.Millisecond)
		m.Finished("echo", routing.DoorWS, routing.Timeout, time.Millisecond)
		m.Stage(routing.StageProduce, time.Millisecond)
		m.Count(routing.Replies, string(routing.PathHome))
		m.Count(routing.Drops, string(routing.DropLate))
	})
	if n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// Operators find metrics, health and profiles on their own address, and clients
// find none of them but health.
func TestOperators(t *testing.T) {
	m := NewMetrics(Gauges{})
	g := newGateway(t, nil)
	operators := g.Operators(m)
	for path, want := range map[string]int{
		"/metrics": 200, "/healthz": 200, "/readyz": 200, "/debug/pprof/": 200, "/debug/pprof/goroutine": 200, "/debug/pprof/cmdline": 200,
		"/services/echo": 404, "/": 404,
	} {
		w := httptest.NewRecorder()
		operators.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		if w.Code != want {
			t.Errorf("%s for operators: %d", path, w.Code)
		}
	}
	for _, path := range []string{"/metrics", "/debug/pprof/"} {
		if w := g.do("GET", path, nil); w.Code != 404 {
			t.Errorf("%s for clients: %d", path, w.Code)
		}
	}
}

func BenchmarkObserver(b *testing.B) {
	m := NewMetrics(Gauges{})
	b.ReportAllocs()
	for b.Loop() {
		m.Finished("echo", routing.DoorHTTP, routing.OK, time.Millisecond)
		m.Stage(routing.StageProduce, time.Millisecond)
		m.Stage(routing.StageService, time.Millisecond)
		m.Count(routing.Replies, string(routing.PathHome))
	}
}
