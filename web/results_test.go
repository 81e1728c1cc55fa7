package web

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"parley/routing"
)

// keeping makes a gateway that keeps results, in memory.
func keeping(t testing.TB) *gateway {
	return newGateway(t, nil)
}

// respondAsync asks for an answer later, and answers where it will be.
func (g *gateway) respondAsync(t *testing.T, body string, headers ...string) (location string) {
	t.Helper()
	w := g.do("POST", "/services/echo", strings.NewReader(body), append(headers, "Prefer: respond-async")...)
	if w.Code != http.StatusAccepted || w.Header().Get("Retry-After") == "" || w.Header().Get("Preference-Applied") != "respond-async" {
		t.Fatalf("%d %v %s", w.Code, w.Header(), w.Body)
	}
	return w.Header().Get("Location")
}

// A caller asks for an answer later, finds it pending, waits for it, and gets what it
// would have got at once: status, headers and bytes. It may ask as often as it likes.
func TestRespondAsync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := keeping(t)
		g.topic.answer = nil
		at := g.respondAsync(t, "hi", "Content-Type: text/plain")
		if w := g.do("GET", at, nil); w.Code != http.StatusAccepted || w.Header().Get("Retry-After") == "" || w.Header().Get("Location") != at {
			t.Fatalf("pending: %d %v", w.Code, w.Header())
		}
		began := time.Now()
		if w := g.do("GET", at+"?wait=3", nil); w.Code != http.StatusAccepted || time.Since(began) != 3*time.Second {
			t.Fatalf("waited in vain: %d after %v", w.Code, time.Since(began))
		}
		var got *httptest.ResponseRecorder
		var waiting sync.WaitGroup
		waiting.Go(func() { got = g.do("GET", at+"?wait=30s", nil) })
		synctest.Wait()
		g.topic.reply(g.topic.last(), &routing.Reply{Final: true, Status: 201, Body: []byte("yes"), ContentType: "text/plain", Headers: []routing.Header{{Key: "x-a", Value: []byte("b")}}})
		waiting.Wait()
		for range 2 {
			if got.Code != 201 || got.Body.String() != "yes" || got.Header().Get("Content-Type") != "text/plain" || got.Header().Get("X-A") != "b" {
				t.Errorf("%d %v %s", got.Code, got.Header(), got.Body)
			}
			got = g.do("GET", at, nil)
		}
		if deadline := time.Until(g.topic.last().Deadline); deadline < 50*time.Minute {
			t.Errorf("the service has %v", deadline)
		}
		time.Sleep(time.Hour)
		if w := g.do("GET", at, nil); w.Code != http.StatusGone || problemOf(t, w).Code != routing.UnknownRequest {
			t.Errorf("expired: %d", w.Code)
		}
		if n := g.router.Waiting(); n != 0 {
			t.Errorf("%d still wait", n)
		}
	})
}

// A caller that would rather wait a little gets the answer if it comes in time.
func TestRespondAsyncAfterAWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := keeping(t)
		w := g.do("POST", "/services/echo", strings.NewReader("hi"), "Prefer: respond-async, wait=5")
		if w.Code != 200 || w.Body.String() != "hi" || w.Header().Get("Preference-Applied") != "respond-async, wait=5" {
			t.Errorf("in time: %d %v %s", w.Code, w.Header(), w.Body)
		}
		g.topic.answer = nil
		began := time.Now()
		w = g.do("POST", "/services/echo", strings.NewReader("hi"), "Prefer: respond-async", "Prefer: wait=5")
		if w.Code != http.StatusAccepted || time.Since(began) != 5*time.Second {
			t.Errorf("not in time: %d after %v", w.Code, time.Since(began))
		}
	})
}

// Errors are collected as they would have been answered, and streams as arrays.
func TestCollectErrorsAndStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := keeping(t)
		g.topic.answer = always(routing.Reply{Status: 409, Err: &routing.ServiceError{Code: "sold", Message: "out"}})
		at := g.respondAsync(t, "")
		synctest.Wait()
		w := g.do("GET", at, nil)
		if p := problemOf(t, w); w.Code != 409 || p.Code != routing.FromService || p.Service.Code != "sold" {
			t.Errorf("error: %d %s", w.Code, w.Body)
		}
		g.topic.answer = func(*routing.Request) []*routing.Reply {
			return []*routing.Reply{{Body: []byte("1")}, {Body: []byte("2")}, {Final: true}}
		}
		if w := g.do("GET", g.respondAsync(t, "")+"?wait=1", nil); w.Code != 200 || w.Body.String() != "[1,2]" {
			t.Errorf("stream: %d %s", w.Code, w.Body)
		}
	})
}

// A request is cancelled while it is pending, which every later look tells; one that
// was answered is not.
func TestCancelResult(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := keeping(t)
		answered := g.respondAsync(t, "hi")
		synctest.Wait()
		g.topic.answer = nil
		at := g.respondAsync(t, "hi")
		for range 2 {
			if w := g.do("DELETE", at, nil); w.Code != http.StatusNoContent {
				t.Errorf("cancel: %d", w.Code)
			}
		}
		g.topic.reply(g.topic.last(), &routing.Reply{Final: true})
		synctest.Wait()
		if w := g.do("GET", at, nil); w.Code != 499 || problemOf(t, w).Code != routing.Cancelled {
			t.Errorf("after: %d", w.Code)
		}
		if w := g.do("DELETE", answered, nil); w.Code != http.StatusConflict {
			t.Errorf("answered: %d", w.Code)
		}
		if w := g.do("DELETE", at+"Z", nil); w.Code != http.StatusGone {
			t.Errorf("unknown: %d", w.Code)
		}
	})
}

// What is asked for wrongly is told so.
func TestBadResults(t *testing.T) {
	g := keeping(t)
	for _, c := range []struct {
		method, path, header string
		want                 int
	}{
		{"GET", "/requests/nonsense", "", 404},
		{"DELETE", "/requests/nonsense", "", 404},
		{"GET", "/requests/" + strings.Repeat("a", 22) + ".1abc", "", 410},
		{"GET", "/requests/" + strings.Repeat("a", 22) + ".1abc?wait=soon", "", 400},
		{"GET", "/requests/" + strings.Repeat("a", 22) + ".1abc?wait=-1s", "", 400},
		{"PUT", "/requests/" + strings.Repeat("a", 22) + ".1abc", "", 405},
		{"POST", "/services/echo", "Idempotency-Key: ", 400},
		{"POST", "/services/echo", "Idempotency-Key: \"\"", 400},
		{"POST", "/services/echo", "Idempotency-Key: a\tb", 400},
		{"POST", "/services/echo", "Idempotency-Key: " + strings.Repeat("a", 257), 400},
		{"POST", "/services/nobody", "Idempotency-Key: a", 404},
	} {
		w := g.do(c.method, c.path, nil, c.header)
		if w.Code != c.want {
			t.Errorf("%s %s %q: %d, want %d", c.method, c.path, c.header, w.Code, c.want)
		}
		problemOf(t, w)
	}
	if g.topic.last() != nil {
		t.Error("something was sent")
	}
}

// The same key makes one request: who shows it again joins it while it is pending,
// and gets its answer afterwards, as does whoever was too impatient the first time.
func TestIdempotencyKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := keeping(t)
		g.topic.answer = nil
		post := func(body string, headers ...string) *httptest.ResponseRecorder {
			return g.do("POST", "/services/echo?a=b", strings.NewReader(body), append(headers, `Idempotency-Key: "k 1"`)...)
		}
		w := post("hi", "Prefer: wait=2")
		if p := problemOf(t, w); w.Code != 504 || !p.Retry || w.Header().Get("Location") == "" {
			t.Fatalf("impatient: %d %s", w.Code, w.Body)
		}
		var got [10]*httptest.ResponseRecorder
		var waiting sync.WaitGroup
		for i := range got {
			waiting.Go(func() { got[i] = post("hi") })
		}
		time.Sleep(time.Second)
		q := g.topic.last()
		if q.Call.IdempotencyKey != "k 1" || len(g.topic.written) != 1 {
			t.Fatalf("%d written, the last under %q", len(g.topic.written), q.Call.IdempotencyKey)
		}
		g.topic.reply(q, &routing.Reply{Final: true, Body: []byte("once")})
		waiting.Wait()
		for _, w := range append(got[:], post("hi")) {
			if w.Code != 200 || w.Body.String() != "once" || w.Header().Get("Parley-Request-Id") != string(q.ID) {
				t.Errorf("%d %s", w.Code, w.Body)
			}
		}
		if w := post("ho"); w.Code != 422 || problemOf(t, w).Code != routing.DuplicateID {
			t.Errorf("another body: %d", w.Code)
		}
		if w := g.do("PUT", "/services/echo?a=b", strings.NewReader("hi"), "Idempotency-Key: k 1"); w.Code != 422 {
			t.Errorf("another method: %d", w.Code)
		}
		if w := g.do("GET", w.Header().Get("Location"), nil); w.Body.String() != "once" {
			t.Errorf("at the location: %s", w.Body)
		}
		if len(g.topic.written) != 1 {
			t.Errorf("%d written", len(g.topic.written))
		}
	})
}

// Who waits and leaves is forgotten; a node that drains answers who only looks, lets
// calls finish, and tells those that do not to ask elsewhere.
func TestWaitersLeaveAndDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := keeping(t)
		g.topic.answer = nil
		at := g.respondAsync(t, "hi")
		ctx, cancel := context.WithCancel(t.Context())
		var waiting sync.WaitGroup
		waiting.Go(func() {
			g.Handler().ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", at+"?wait=60", nil).WithContext(ctx))
		})
		synctest.Wait()
		if n := g.router.Waiting(); n != 1 {
			t.Errorf("%d wait", n)
		}
		cancel()
		waiting.Wait()
		if n := g.router.Waiting(); n != 0 {
			t.Errorf("%d wait after it left", n)
		}
		var look, parked *httptest.ResponseRecorder
		waiting.Go(func() { look = g.do("GET", at+"?wait=60", nil) })
		waiting.Go(func() { parked = g.do("POST", "/services/echo", nil, "Idempotency-Key: k") })
		synctest.Wait()
		limit, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		began := time.Now()
		_ = g.Shutdown(limit)
		waiting.Wait()
		if look.Code != http.StatusAccepted || parked.Code != 503 || time.Since(began) != 5*time.Second {
			t.Errorf("look %d, parked %d after %v", look.Code, parked.Code, time.Since(began))
		}
	})
}

// Nobody knows whether Kafka has a request: its caller, and who asks for the same, are told
// so, and where its answer will be if there is one.
func TestKeptInDoubt(t *testing.T) {
	g := newGateway(t, nil)
	g.topic.fail = &routing.Error{Word: routing.Unavailable, Message: "told so", Outcome: routing.Unknown, Retry: true}
	var at string
	for range 2 {
		w := g.do("POST", "/services/echo", strings.NewReader("1"), "Prefer: respond-async", "Idempotency-Key: k")
		p := problemOf(t, w)
		if w.Code != 503 || p.Outcome != routing.Unknown || at != "" && w.Header().Get("Location") != at {
			t.Errorf("got %d %s %v", w.Code, w.Body, w.Header())
		}
		at = w.Header().Get("Location")
	}
	if len(g.topic.written) != 1 {
		t.Errorf("%d requests in the topic", len(g.topic.written))
	}
	g.topic.reply(g.topic.written[0], &routing.Reply{Final: true, Body: []byte("2")})
	if w := g.do("GET", at+"?wait=5", nil); w.Code != 200 || w.Body.String() != "2" {
		t.Errorf("collected: %d %s", w.Code, w.Body)
	}
	if w := g.do("POST", "/services/echo", strings.NewReader("1"), "Prefer: respond-async", "Idempotency-Key: k"); w.Code != 202 || w.Header().Get("Location") != at {
		t.Errorf("again: %d %s", w.Code, w.Body)
	}
}
