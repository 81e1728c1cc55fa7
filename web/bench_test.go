package web

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// A parked call whose answer is there at once: what the HTTP edge itself costs,
// without a network.
func BenchmarkParkedCall(b *testing.B) {
	g := newGateway(b, func(o *Options) { o.Observer = NewMetrics(Gauges{}) })
	g.topic.settled = nil
	body := strings.Repeat("x", 100)
	b.ReportAllocs()
	for b.Loop() {
		r := &http.Request{
			Method: "POST", URL: target, Host: "a", ContentLength: 100, Body: io.NopCloser(strings.NewReader(body)),
			Header: http.Header{"Content-Type": {"application/json"}, "Accept": {"*/*"}, "User-Agent": {"bench"}},
		}
		w := discard{make(http.Header)}
		g.Handler().ServeHTTP(w, r)
		g.topic.written, g.topic.settled = g.topic.written[:0], g.topic.settled[:0]
	}
}

var target = httptest.NewRequest("POST", "/services/echo", nil).URL

// discard is a response that nobody reads.
type discard struct{ h http.Header }

func (d discard) Header() http.Header              { return d.h }
func (d discard) Write(b []byte) (int, error)      { return len(b), nil }
func (d discard) WriteHeader(int)                  {}
func (d discard) FlushError() error                { return nil }
func (d discard) SetReadDeadline(time.Time) error  { return nil }
func (d discard) SetWriteDeadline(time.Time) error { return nil }
