package web

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"parley/routing"
)

// Streams end when their caller's token does: one that waits for parts in an error, one
// of events by itself.
func TestStreamsExpire(t *testing.T) {
	g := newStaffed(t, staff{required: true, lasts: 200 * time.Millisecond}, nil)
	g.topic.answer = nil // nobody answers
	url, client := g.listen(t)
	for _, path := range []string{"/services/echo", "/events/orders.events?key=k"} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer ann")
		r.Header.Set("Accept", "text/event-stream")
		answer, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_, err = io.Copy(io.Discard, answer.Body) // it ends
		answer.Body.Close()
		if err != nil || path == "/services/echo" && answer.StatusCode != 401 {
			t.Errorf("%s: %v, %v", path, answer.Status, err)
		}
	}
	g.noneOpen(t)
}

// Whoever waits when its token expires is told so, as it would be when it asked: a parked
// call, one that is kept, one that asks for its answer, one that waits for a view. What is
// kept goes on, and is there for another token.
func TestWaitsExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t, func(o *Options) { o.Auth = staff{required: true, lasts: 2 * time.Second} }, &routing.Service{
			Name: "states", View: newBoard(), Timeout: 20 * time.Second, MaxTimeout: time.Minute,
		})
		g.topic.answer = nil
		expires := func(method, target string, headers ...string) *httptest.ResponseRecorder {
			t.Helper()
			began := time.Now()
			w := g.do(method, target, nil, append(headers, "Authorization: Bearer ann")...)
			if p := problemOf(t, w); w.Code != 401 || p.Code != routing.Unauthorized || p.Outcome != routing.Unknown || time.Since(began) != 2*time.Second {
				t.Errorf("%s %s: got %d %s after %v", method, target, w.Code, w.Body, time.Since(began))
			}
			if why := w.Header().Get("Www-Authenticate"); !strings.Contains(why, `error="invalid_token"`) {
				t.Errorf("%s %s: challenged with %q", method, target, why)
			}
			return w
		}
		expires("GET", "/services/states/k", "Prefer: wait=10")
		expires("GET", "/services/echo")
		g.noneOpen(t)
		at := expires("POST", "/services/echo", "Idempotency-Key: one").Header().Get("Location")
		for _, headers := range [][]string{{"Idempotency-Key: one"}, {"Idempotency-Key: one", "Prefer: respond-async, wait=10"}} {
			if again := expires("POST", "/services/echo", headers...).Header().Get("Location"); again != at || at == "" {
				t.Errorf("it is at %q, then at %q", at, again)
			}
		}
		expires("GET", at+"?wait=10")
		expires("GET", at, "Accept: application/x-ndjson")
		g.topic.reply(g.topic.last(), &routing.Reply{Final: true, Body: []byte("yes")})
		synctest.Wait()
		if w := g.do("GET", at, nil, "Authorization: Bearer ann"); w.Code != 200 || w.Body.String() != "yes" {
			t.Errorf("then %d %s", w.Code, w.Body)
		}
	})
}

// A stream of a kept request that has begun ends in an error when its caller's token
// expires, which is not its request's end: with another token it goes on.
func TestKeptStreamExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t, func(o *Options) { o.Auth = staff{required: true, lasts: 2 * time.Second} })
		g.topic.answer = nil
		headers := []string{"Authorization: Bearer ann", "Accept: text/event-stream", "Idempotency-Key: one"}
		answer := make(chan *httptest.ResponseRecorder)
		go func() { answer <- g.do("POST", "/services/echo", nil, headers...) }()
		synctest.Wait()
		id := string(g.topic.last().ID)
		g.parts(t, []int{0}, 1)
		w := <-answer
		got, _, _ := strings.Cut(w.Body.String(), "{")
		if want := "event: part\nid: " + id + "/0\ndata: 0\n\nevent: error\ndata: "; w.Code != 200 || got != want {
			t.Fatalf("got %d %q, want %q", w.Code, got, want)
		}
		g.parts(t, []int{1}, 1)
		w = g.do("GET", "/requests/"+id, nil, headers[0], headers[1], "Last-Event-ID: "+id+"/0")
		if want := eventsOf(id, 1, 1); w.Body.String() != want {
			t.Errorf("then %d %q, want %q", w.Code, w.Body, want)
		}
	})
}
