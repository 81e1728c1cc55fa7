package web

import (
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"parley/routing"
)

// A caller waits until the newest event of a key is as it wants it: one that is not there
// yet, then is another. A condition that the service does not have is refused by name; one
// that is not met in time is a timeout, which may be asked again.
func TestViewUntil(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBoard()
		done := func(e *routing.Event) bool { return strings.Contains(string(e.Body), "DONE") }
		g := newGateway(t, nil, &routing.Service{
			Name: "states", View: b, Timeout: 20 * time.Second, MaxTimeout: time.Minute, Until: map[string]routing.Condition{"done": {Holds: done}},
		})
		began := time.Now()
		ask := func(target string, headers ...string) <-chan *httptest.ResponseRecorder {
			answer := make(chan *httptest.ResponseRecorder, 1)
			go func() { answer <- g.do("GET", "/services/states/"+target, nil, headers...) }()
			synctest.Wait()
			return answer
		}
		for _, target := range []string{"k?until=gone", "k?until=", "k?until=done&until=done", "k?until=%zz"} {
			w := <-ask(target)
			if p := problemOf(t, w); p.Code != routing.InvalidParams || w.Code != 400 {
				t.Errorf("%s: got %+v", target, p)
			}
		}
		first, short, patient := ask("k?until=done", "Prefer: wait=5"), ask("k?until=done", "Prefer: wait=2"), ask("k?until=done")
		time.Sleep(time.Second)
		b.put("k", "NEW")
		synctest.Wait()
		if w := <-short; w.Code != 504 || !problemOf(t, w).Retry || time.Since(began) != 2*time.Second {
			t.Errorf("short: got %d %s after %v", w.Code, w.Body, time.Since(began))
		}
		b.put("k", "DONE")
		for _, answer := range []<-chan *httptest.ResponseRecorder{first, patient, ask("k?until=done")} {
			if w := <-answer; w.Code != 200 || w.Body.String() != "DONE" || time.Since(began) != 2*time.Second {
				t.Errorf("got %d %s after %v", w.Code, w.Body, time.Since(began))
			}
		}
		if w := <-ask("k?until=done", "Prefer: wait=1", `If-None-Match: "2-2"`); w.Code != 304 {
			t.Errorf("who has it: got %d %s", w.Code, w.Body)
		}
		began = time.Now()
		if w := <-ask("nothing?until=done"); w.Code != 404 || time.Since(began) != 20*time.Second {
			t.Errorf("got %d after %v", w.Code, time.Since(began))
		}
		b.put("k", "NEW")
		last := ask("k?until=done")
		if err := g.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		if w := <-last; w.Code != 503 {
			t.Errorf("draining: got %d %s", w.Code, w.Body)
		}
		if b.watched != 0 {
			t.Errorf("%d still watch", b.watched)
		}
	})
}
