package web

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"parley/routing"
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

// BenchmarkStream measures parts on their way from the router to the callers, of one
// stream and of a thousand, in each form: ns/op is a part's share of the processors.
func BenchmarkStream(b *testing.B) {
	for _, streams := range []int{1, 1000} {
		for _, accept := range []string{typeEvents, typeLines} {
			b.Run(fmt.Sprintf("streams=%d/%s", streams, strings.TrimPrefix(accept[strings.Index(accept, "/"):], "/")), func(b *testing.B) {
				g := newGateway(b, nil)
				g.topic.answer = nil
				var running sync.WaitGroup
				var written counting
				for range streams {
					r := httptest.NewRequest("POST", "/services/echo", nil)
					r.Header.Set("Accept", accept)
					running.Go(func() { g.Handler().ServeHTTP(&piped{header: http.Header{}, to: &written}, r) })
				}
				g.eventually(b, "they are made", func() bool { return g.router.OpenRequests() == streams })
				var ids []routing.RequestID
				for _, q := range g.topic.written {
					ids = append(ids, q.ID)
				}
				body := []byte(`{"part":1,"of":100,"what":"about a hundred bytes, as the parts of many services are","more":"1234"}`)
				batch := make([]*routing.Reply, 0, 1000)
				b.ReportAllocs()
				for n := 0; b.Loop(); n++ {
					batch = append(batch, &routing.Reply{ID: ids[n%streams], Body: body, Place: n/streams + 1})
					if len(batch) == cap(batch) {
						g.router.Deliver(b.Context(), batch)
						batch = batch[:0]
						for n-int(written.n.Load()) > 10_000 { // or it would be a slow reader's
							time.Sleep(100 * time.Microsecond)
						}
					}
				}
				g.router.Deliver(b.Context(), batch)
				n := b.N
				for i, id := range ids {
					g.router.Deliver(b.Context(), []*routing.Reply{{ID: id, Final: true, Place: (n+streams-1-i)/streams + 1}})
				}
				running.Wait()
				if got := int(written.n.Load()); got < n {
					b.Fatalf("%d parts of %d were written", got, n)
				}
			})
		}
	}
}

// counting counts writes, one a part.
type counting struct{ n atomic.Int64 }

func (c *counting) Write(b []byte) (int, error) {
	c.n.Add(1)
	return len(b), nil
}
