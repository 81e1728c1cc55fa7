package web

import (
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"parley/routing"
)

// board is a view that a test writes.
type board struct {
	mu      sync.Mutex
	events  map[string]*routing.Event
	waits   map[string]map[int]func()
	made    int
	offset  int64
	watched int
	err     *routing.Error
}

func (b *board) Latest(key string) (*routing.Event, *routing.Error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.events[key], b.err
}

func (b *board) Watch(key string, changed func()) (func(), *routing.Error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.made++
	n := b.made
	if b.waits[key] == nil {
		b.waits[key] = make(map[int]func())
	}
	b.waits[key][n] = changed
	b.watched++
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		if _, waits := b.waits[key][n]; waits {
			delete(b.waits[key], n)
			b.watched--
		}
	}, nil
}

func (b *board) put(key, body string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.offset++
	b.events[key] = &routing.Event{
		Key: key, Body: []byte(body), ContentType: "application/json", Stamp: time.Unix(0, 0),
		At: routing.RecordAt{Partition: 2, Offset: b.offset},
	}
	for _, changed := range b.waits[key] {
		changed()
		b.watched--
	}
	delete(b.waits, key)
}

func newBoard() *board {
	return &board{events: make(map[string]*routing.Event), waits: make(map[string]map[int]func())}
}

func withBoard(t testing.TB) (*gateway, *board) {
	b := newBoard()
	return newGateway(t, nil, &routing.Service{Name: "states", View: b, Timeout: time.Minute, MaxTimeout: time.Minute}), b
}

// A key's newest event is answered with its tag; who has it gets 304, whom
// nothing is known of 404, who names no key or wants to write is told what is possible.
func TestViewOverHTTP(t *testing.T) {
	g, b := withBoard(t)
	b.put("a/b c", `{"n":1}`)
	w := g.do("GET", "/services/states/a%2Fb%20c", nil)
	tag := w.Header().Get("ETag")
	if w.Code != 200 || w.Body.String() != `{"n":1}` || w.Header().Get("Content-Type") != "application/json" || tag != `"2-1"` || w.Header().Get("Cache-Control") != "no-cache" {
		t.Errorf("got %d %s %v", w.Code, w.Body, w.Header())
	}
	for _, has := range []string{tag, `"x", W/"2-1"`, "*"} {
		if w := g.do("GET", "/services/states/a%2Fb%20c", nil, "If-None-Match: "+has); w.Code != 304 || w.Body.Len() > 0 {
			t.Errorf("If-None-Match %s: got %d %s", has, w.Code, w.Body)
		}
	}
	if w := g.do("GET", "/services/states/other", nil); w.Code != 404 || problemOf(t, w).Service.Code != "not_found" {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
	if w := g.do("GET", "/services/states/", nil); w.Code != 400 {
		t.Errorf("no key: got %d", w.Code)
	}
	if w := g.do("POST", "/services/states/a", nil); w.Code != 405 || w.Header().Get("Allow") != viewMethods {
		t.Errorf("POST: got %d %v", w.Code, w.Header())
	}
	b.err = &routing.Error{Word: routing.Unavailable, Message: "still being read", Outcome: routing.NotSent}
	if w := g.do("GET", "/services/states/a", nil); w.Code != 503 || w.Header().Get("Retry-After") == "" {
		t.Errorf("unread: got %d", w.Code)
	}
	if b.watched != 0 {
		t.Errorf("%d still watch", b.watched)
	}
}

// Who waits for what is not there yet, or for a change, gets it when it comes, and
// at the end of its patience what there is; a server that drains keeps nobody.
func TestViewWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, b := withBoard(t)
		began := time.Now()
		ask := func(headers ...string) <-chan *httptest.ResponseRecorder {
			answer := make(chan *httptest.ResponseRecorder, 1)
			go func() { answer <- g.do("GET", "/services/states/k", nil, headers...) }()
			synctest.Wait()
			return answer
		}
		first := ask("Prefer: wait=5")
		time.Sleep(time.Second)
		b.put("k", "1")
		w := <-first
		if w.Code != 200 || w.Body.String() != "1" || w.Header().Get("Preference-Applied") != "wait=5" || time.Since(began) != time.Second {
			t.Errorf("got %d %s %v after %v", w.Code, w.Body, w.Header(), time.Since(began))
		}
		tag := "If-None-Match: " + w.Header().Get("ETag")
		second, third := ask("Prefer: wait=5", tag), ask("Prefer: wait=2", tag)
		if w := <-third; w.Code != http.StatusNotModified || time.Since(began) != 3*time.Second {
			t.Errorf("got %d after %v", w.Code, time.Since(began))
		}
		b.put("k", "2")
		if w := <-second; w.Code != 200 || w.Body.String() != "2" {
			t.Errorf("got %d %s", w.Code, w.Body)
		}
		last := ask("Prefer: wait=60", `If-None-Match: "2-2"`)
		never := make(chan *httptest.ResponseRecorder, 1)
		go func() { never <- g.do("GET", "/services/states/never", nil, "Prefer: wait=60") }()
		synctest.Wait()
		if err := g.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		if w := <-last; w.Code != http.StatusNotModified || time.Since(began) != 3*time.Second {
			t.Errorf("draining: got %d after %v", w.Code, time.Since(began))
		}
		if w := <-never; w.Code != 503 || !problemOf(t, w).Retry || time.Since(began) != 3*time.Second {
			t.Errorf("draining, nothing there: got %d %s after %v", w.Code, w.Body, time.Since(began))
		}
		if b.watched != 0 {
			t.Errorf("%d still watch", b.watched)
		}
	})
}
