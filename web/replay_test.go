package web

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"parley/routing"
)

// parts answers the newest request from one number up to before another; the last one
// is final.
func (g *gateway) parts(t *testing.T, numbers []int, last int) {
	t.Helper()
	id := g.topic.last().ID
	for _, n := range numbers {
		g.router.Deliver(t.Context(), []*routing.Reply{{
			ID: id, Place: n + 1, Final: n == last, Body: fmt.Append(nil, n), Consumed: time.Now(), From: routing.RecordAt{Topic: "replies", Offset: int64(n)},
		}})
	}
	synctest.Wait()
}

func eventsOf(id string, from, last int) string {
	var all strings.Builder
	for n := from; n < last; n++ {
		fmt.Fprintf(&all, "event: part\nid: %s/%d\ndata: %d\n\n", id, n, n)
	}
	fmt.Fprintf(&all, "event: result\nid: %s/end\ndata: %d\n\n", id, last)
	return all.String()
}

// A request whose answer is collected is collected as a stream, too: from its start, or
// from behind what the caller has, as often as it likes; each part once and in order.
func TestReplay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := keeping(t)
		g.topic.answer = nil
		at := g.respondAsync(t, "1")
		id := strings.TrimPrefix(at, "/requests/")
		g.parts(t, []int{0, 2, 1}, 4)
		stream := func(last string) string {
			headers := []string{"Accept: text/event-stream"}
			if last != "" {
				headers = append(headers, "Last-Event-ID: "+last)
			}
			var got string
			done := make(chan bool)
			go func() {
				w := g.do("GET", at, nil, headers...)
				got = fmt.Sprint(w.Code, " ", w.Body)
				close(done)
			}()
			synctest.Wait()
			g.parts(t, []int{3, 4}, 4)
			<-done
			return got
		}
		for last, want := range map[string]string{
			"": "200 " + eventsOf(id, 0, 4), id + "/1": "200 " + eventsOf(id, 2, 4), id + "/3": "200 " + eventsOf(id, 4, 4), id + "/end": "204 ",
		} {
			if got := stream(last); got != want {
				t.Errorf("from %q: %q\nwant %q", last, got, want)
			}
		}
		if w := g.do("GET", "/services/echo", nil, "Accept: text/event-stream", "Last-Event-ID: "+id+"/2"); w.Body.String() != eventsOf(id, 3, 4) {
			t.Errorf("by the service's address: %d %q", w.Code, w.Body)
		}
		for _, bad := range []string{id, "/1", id + "/x", id + "x/1"} {
			if p := problemOf(t, g.do("GET", at, nil, "Accept: text/event-stream", "Last-Event-ID: "+bad)); p.Status != 400 {
				t.Errorf("%q: %+v", bad, p)
			}
		}
		if w := g.do("GET", at, nil, "Accept: application/x-ndjson"); w.Body.String() != "0\n1\n2\n3\n4\n" {
			t.Errorf("as lines: %q", w.Body)
		}
		time.Sleep(2 * time.Hour)
		if p := problemOf(t, g.do("GET", at, nil, "Accept: text/event-stream")); p.Status != 410 {
			t.Errorf("when its time is over: %+v", p)
		}
	})
}

// Under an idempotency key a stream is one request, whoever is cut off: who comes
// again, with or without having seen anything, gets the rest.
func TestStreamUnderAKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := keeping(t)
		g.topic.answer = nil
		first := func() *http.Request {
			r, _ := http.NewRequest("POST", "/services/echo", strings.NewReader("1"))
			r.Header.Set("Accept", "text/event-stream")
			r.Header.Set("Idempotency-Key", "k")
			return r
		}
		from, done := g.slowly(first())
		synctest.Wait()
		id := string(g.topic.last().ID)
		g.parts(t, []int{0}, 2)
		part := make([]byte, len(eventsOf(id, 0, 1)))
		n, _ := from.Read(part)
		if got := string(part[:n]); !strings.HasPrefix(eventsOf(id, 0, 2), got) || n == 0 {
			t.Errorf("first: %q", got)
		}
		from.Close() // the caller is cut off
		synctest.Wait()
		g.parts(t, []int{1, 2}, 2)
		<-done
		var all bytes.Buffer
		g.Handler().ServeHTTP(&piped{header: http.Header{}, to: &all}, first())
		if all.String() != eventsOf(id, 0, 2) || len(g.topic.written) != 1 {
			t.Errorf("again: %q, %d requests", all.String(), len(g.topic.written))
		}
	})
}

// A part that is missing at the end is told, and so is an outcome that is no reply.
func TestReplayEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := keeping(t)
		g.topic.answer = nil
		at := g.respondAsync(t, "1")
		g.parts(t, []int{0, 2}, 2)
		w := g.do("GET", at, nil, "Accept: text/event-stream")
		if !strings.Contains(w.Body.String(), "event: error\n") || !strings.Contains(w.Body.String(), "part 1 of the service's answer is missing") {
			t.Errorf("a gap: %d %q", w.Code, w.Body)
		}
		at = g.respondAsync(t, "2")
		g.do("DELETE", at, nil)
		if p := problemOf(t, g.do("GET", at, nil, "Accept: text/event-stream")); p.Code != routing.Cancelled {
			t.Errorf("cancelled: %+v", p)
		}
	})
}

// Whatever a caller says that it has seen last, it is read.
func FuzzNextPart(f *testing.F) {
	f.Add("s.1/3", "s.1")
	f.Add("s.1/end", "s.1")
	f.Fuzz(func(t *testing.T, last, id string) {
		next, e := nextPart(last, routing.RequestID(id))
		if e == nil && next > 0 && last != fmt.Sprintf("%s/%d", id, next-1) && !strings.HasSuffix(last, fmt.Sprint(next-1)) {
			t.Fatalf("%q is followed by %d", last, next)
		}
	})
}
