package web

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"parley/routing"
)

// Each error word has its status, wherever it comes from, and says when to try
// again where that may help.
func TestEveryWordHasItsStatus(t *testing.T) {
	g := newGateway(t, nil)
	for word, want := range map[routing.Word]struct {
		status int
		after  string
	}{
		routing.ParseError: {400, ""}, routing.InvalidRequest: {400, ""}, routing.InvalidParams: {400, ""}, routing.Unauthorized: {401, ""},
		routing.Forbidden: {403, ""}, routing.UnknownService: {404, ""}, routing.UnknownRequest: {404, ""}, routing.DuplicateID: {409, ""},
		routing.TooLarge: {413, ""}, routing.RateLimited: {429, "1"}, routing.Cancelled: {499, ""}, routing.Internal: {500, ""},
		routing.Overloaded: {503, "1"}, routing.Unavailable: {503, "2"}, routing.SessionGone: {503, "1"}, routing.NoResponders: {503, "5"},
		routing.Timeout: {504, ""}, "unheard_of": {500, ""},
	} {
		g.topic.fail = &routing.Error{Word: word, Message: "told so", Outcome: routing.NotSent, Retry: true, Cause: errors.New("a secret address")}
		w := g.do("POST", "/services/echo", nil)
		p := problemOf(t, w)
		if w.Code != want.status || p.Code != word || w.Header().Get("Retry-After") != want.after {
			t.Errorf("%s: status %d, code %s, retry-after %q", word, w.Code, p.Code, w.Header().Get("Retry-After"))
		}
		if p.Detail != "told so" || p.Outcome != routing.NotSent || !p.Retry || p.Request != g.topic.last().ID {
			t.Errorf("%s: %s", word, w.Body)
		}
		if w.Header().Get("Parley-Request-Id") != string(p.Request) || strings.Contains(w.Body.String(), "secret") {
			t.Errorf("%s: %v %s", word, w.Header(), w.Body)
		}
	}
	g.noneOpen(t)
}

// What a caller gets wrong is refused by name before anything reaches Kafka.
func TestRefusals(t *testing.T) {
	m := NewMetrics(Gauges{})
	g := newGateway(t, func(o *Options) {
		o.Observer = m
		o.Body = 1000
		o.Reserved = func(name string) bool { return name == "x-correlation" }
		o.Forward = map[string][]string{"quick": {"parley-*", "content-encoding"}}
	})
	many := make([]string, 33)
	for i := range many {
		many[i] = "X-" + strings.Repeat("a", i+1) + ": v"
	}
	for name, c := range map[string]struct {
		method, target string
		body           io.Reader
		headers        []string
		status         int
		code           routing.Word
		detail         string
	}{
		"unknown service":        {"POST", "/services/nope", nil, nil, 404, routing.UnknownService, "no service"},
		"no service":             {"POST", "/services/", nil, nil, 404, routing.UnknownService, "no service"},
		"hostile service":        {"POST", "/services/" + strings.Repeat("x", 5000), nil, nil, 404, routing.UnknownService, ""},
		"escaped slash":          {"POST", "/services/echo%2Fa", nil, nil, 404, routing.UnknownService, ""},
		"unknown path":           {"GET", "/nope", nil, nil, 404, routing.InvalidRequest, "/nope"},
		"services alone":         {"GET", "/services", nil, nil, 404, routing.InvalidRequest, ""},
		"HEAD":                   {"HEAD", "/services/echo", nil, nil, 405, routing.InvalidRequest, "POST"},
		"made-up method":         {"BREW", "/services/echo", nil, nil, 405, routing.InvalidRequest, "POST"},
		"POST to health":         {"POST", "/healthz", nil, nil, 405, routing.InvalidRequest, "GET"},
		"dot segment":            {"GET", "/services/echo/../quick", nil, nil, 400, routing.InvalidParams, "segments"},
		"escaped dot segment":    {"GET", "/services/echo/%2e%2E/x", nil, nil, 400, routing.InvalidParams, "segments"},
		"dots behind a slash":    {"GET", "/services/echo/a%2f..%2fb", nil, nil, 400, routing.InvalidParams, "segments"},
		"too large":              {"POST", "/services/echo", strings.NewReader(strings.Repeat("x", 1001)), nil, 413, routing.TooLarge, "1000 bytes"},
		"too large, unannounced": {"POST", "/services/echo", io.MultiReader(strings.NewReader(strings.Repeat("x", 1001))), nil, 413, routing.TooLarge, "1000 bytes"},
		"half a body":            {"POST", "/services/echo", io.MultiReader(strings.NewReader("x"), broken{}), nil, 400, routing.InvalidRequest, "announced length"},
		"reserved header":        {"POST", "/services/echo", nil, []string{"X-Correlation: 1"}, 400, routing.InvalidParams, "x-correlation"},
		"Parley's header":        {"POST", "/services/quick", nil, []string{"Parley-Request-Id: 1"}, 400, routing.InvalidParams, "parley-request-id"},
		"too many headers":       {"POST", "/services/echo", nil, many, 400, routing.InvalidParams, "32"},
		"too large headers":      {"POST", "/services/echo", nil, []string{"X-A: " + strings.Repeat("x", 9000)}, 400, routing.InvalidParams, "8192"},
		"header in another code": {"POST", "/services/echo", nil, []string{"X-A: \xe4"}, 400, routing.InvalidParams, "UTF-8"},
		"type in another code":   {"POST", "/services/echo", nil, []string{"Content-Type: \xe4"}, 400, routing.InvalidParams, "UTF-8"},
		"key in another code":    {"POST", "/services/echo", nil, []string{"Parley-Key: \xe4"}, 400, routing.InvalidParams, "UTF-8"},
		"key too large":          {"POST", "/services/echo", nil, []string{"Parley-Key: " + strings.Repeat("x", 9000)}, 400, routing.InvalidParams, "8192"},
		"compressed in disguise": {"POST", "/services/echo", nil, []string{"Content-Encoding: gzip"}, 400, routing.InvalidParams, "content-encoding"},
	} {
		w := g.do(c.method, c.target, c.body, c.headers...)
		p := problemOf(t, w)
		if w.Code != c.status || p.Code != c.code || !strings.Contains(p.Detail, c.detail) || p.Outcome != routing.NotSent || p.Retry {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
		if c.status == 405 && !strings.Contains(w.Header().Get("Allow"), "GET") {
			t.Errorf("%s: Allow: %q", name, w.Header().Get("Allow"))
		}
	}
	if g.topic.last() != nil {
		t.Errorf("a refused call was produced: %+v", g.topic.last().Call)
	}
	if w := g.do("POST", "/services/quick", nil, "Content-Encoding: gzip"); w.Code != 200 {
		t.Errorf("a coding that the service learns of: %d %s", w.Code, w.Body)
	}
	if !strings.Contains(g.log.String(), "code=too_large") {
		t.Error("refusals are not in the log")
	}
	for series, want := range map[string]float64{
		`parley_requests_total{door="http",outcome="unknown_service",service="unknown"}`: 4,
		`parley_requests_total{door="http",outcome="too_large",service="echo"}`:          2,
		`parley_refused_total{reason="too_large"}`:                                       2,
	} {
		if got := scrape(t, m)[series]; got != want {
			t.Errorf("%s = %v, want %v", series, got, want)
		}
	}
}

// broken is a connection that ends within a body.
type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// A service's own error is told in its own words, under its own status where it
// is one of an error.
func TestServiceError(t *testing.T) {
	g := newGateway(t, nil)
	for _, c := range []struct {
		status, want int
		body, inside string
	}{
		{0, 500, `{"why":"<sold out>"}`, `{"why":"\u003csold out\u003e"}`},
		{409, 409, "", "null"},
		{503, 503, "plain", `{"$bytes":"cGxhaW4="}`},
		{200, 500, "[1, 2]", "[1,2]"},
		{99, 500, "1", "1"},
		{600, 500, "1", "1"},
	} {
		g.topic.answer = always(routing.Reply{
			Status: c.status, Body: []byte(c.body), ContentType: "text/x", Err: &routing.ServiceError{Code: "E1", Message: "no stock"},
			Headers: []routing.Header{{Key: "x-shelf", Value: []byte("9")}, {Key: "etag", Value: []byte("1")}},
		})
		w := g.do("POST", "/services/echo", nil)
		p := problemOf(t, w)
		if w.Code != c.want || p.Code != routing.FromService || p.Outcome != routing.Done || p.Detail != "no stock" {
			t.Errorf("status %d: %d %s", c.status, w.Code, w.Body)
		}
		if p.Service == nil || p.Service.Code != "E1" || p.Service.Message != "no stock" || p.Service.ContentType != "text/x" || string(p.Service.Body) != c.inside {
			t.Errorf("status %d: %s", c.status, w.Body)
		}
		if w.Header().Get("X-Shelf") != "9" || w.Header().Get("Etag") != "" {
			t.Errorf("status %d: headers %v", c.status, w.Header())
		}
	}
	if got := g.topic.settledCount(); got != 6 {
		t.Errorf("%d replies were settled", got)
	}
	var p problem
	if err := json.Unmarshal(g.do("HEAD", "/services/echo", nil).Body.Bytes(), &p); err != nil {
		t.Error(err)
	}
}

// A service that never answers is a 504 at the deadline: the service's own, or
// the one that the caller preferred.
func TestTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t, nil)
		g.topic.answer = nil
		for prefer, want := range map[string]time.Duration{"": time.Second, "wait=2": 2 * time.Second, "wait=100": 2 * time.Second} {
			start := time.Now()
			w := g.do("GET", "/services/quick", nil, "Prefer: "+prefer)
			p := problemOf(t, w)
			if w.Code != http.StatusGatewayTimeout || p.Code != routing.Timeout || p.Outcome != routing.Unknown || p.Request == "" {
				t.Errorf("%d %s", w.Code, w.Body)
			}
			if took := time.Since(start); took < want || took > want+20*time.Millisecond {
				t.Errorf("Prefer: %q: the answer came after %v, want %v", prefer, took, want)
			}
			if prefer != "" && w.Header().Get("Preference-Applied") != "wait=2" {
				t.Errorf("applied: %q", w.Header().Get("Preference-Applied"))
			}
		}
		if g.router.OpenRequests() != 0 {
			t.Error("requests stay open")
		}
	})
}

// A handler that panics costs its caller a 500, and nobody else anything.
func TestPanic(t *testing.T) {
	g := newGateway(t, func(o *Options) {
		o.Socket = http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("oh") })
	})
	if w := g.do("GET", "/ws", nil); problemOf(t, w).Code != routing.Internal || w.Code != 500 || strings.Contains(w.Body.String(), "oh\"") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := g.do("POST", "/services/echo", nil); w.Code != 200 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if !strings.Contains(g.log.String(), "panic=oh") {
		t.Error("the panic is not in the log")
	}
}
