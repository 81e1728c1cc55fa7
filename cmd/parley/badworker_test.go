package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// The HTTP service behind a worker hangs, dies, answers 500, is not there, or answers when
// it is too late. Its callers are told so, by word and in time; who asks it something else
// meanwhile has its answer, and so has the next one.
func TestWorkersServiceIsBad(t *testing.T) {
	c := newCluster(t, map[string]string{"shop": "murmur2"})
	c.extra = "  shop: {topic: " + c.topic("shop") + ", timeout: 2s}\n"
	c.services = nil
	over, late := make(chan struct{}), make(chan struct{}, 4)
	var toldLate sync.WaitGroup // who asked for what comes too late, until they were told so
	toldLate.Add(4)
	shop := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		switch r.URL.Path {
		case "/hang":
			<-r.Context().Done()
		case "/late":
			toldLate.Wait()
			fmt.Fprint(w, "too late")
			late <- struct{}{}
		case "/die":
			panic(http.ErrAbortHandler)
		case "/die-halfway":
			w.Header().Set("Content-Length", "1000")
			fmt.Fprint(w, "half")
			panic(http.ErrAbortHandler)
		case "/500":
			http.Error(w, "no shelf left", http.StatusInternalServerError)
		default:
			fmt.Fprintf(w, "%s", body)
		}
	}))
	t.Cleanup(shop.Close)
	_, stop := c.work(shop.URL)
	nodes := []*process{c.start("a"), c.start("b")}
	at := func(i int, path string) string { return nodes[i%2].url + "/services/shop" + path }

	var asking, standing sync.WaitGroup
	standing.Go(func() {
		for n := 0; ; n++ {
			select {
			case <-over:
				return
			default:
			}
			if status, body, _ := putTo(t, at(n, "/good"), fmt.Sprint(n)); status != 200 || body != fmt.Sprint(n) {
				t.Errorf("a bystander got %d %s", status, body)
				return
			}
		}
	})
	for i, bad := range []struct {
		path, says string
		status     int
	}{
		{"/hang", `"code":"timeout","outcome":"unknown"`, 504},
		{"/late", `"code":"timeout","outcome":"unknown"`, 504},
		{"/die", `"bad_gateway"`, 502},
		{"/die-halfway", `"bad_gateway"`, 502},
		{"/500", "no shelf left", 500},
	} {
		for n := range 4 {
			asking.Go(func() {
				began := time.Now()
				status, body, _ := putTo(t, at(i+n, bad.path), "x")
				if took := time.Since(began); status != bad.status || !strings.Contains(body, bad.says) || took > 10*time.Second {
					t.Errorf("%s: got %d %s after %v, want %d", bad.path, status, body, took, bad.status)
				}
				if bad.path == "/late" {
					toldLate.Done()
				}
			})
		}
	}
	asking.Wait()
	<-late
	if status, body, _ := putTo(t, at(0, "/good"), "after it"); status != 200 || body != "after it" {
		t.Errorf("after an answer that was too late: got %d %s", status, body)
	}
	close(over)
	standing.Wait()
	stop()
	c.work("http://127.0.0.1:1") // where nobody is
	if status, body, _ := putTo(t, at(1, "/gone"), "x"); status != 503 && status != 504 {
		t.Errorf("nobody there: got %d %s", status, body)
	}
	if open := c.metric("parley_open_requests"); open != 0 {
		t.Errorf("%v requests are still open", open)
	}
}
