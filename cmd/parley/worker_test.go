package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// A person names services and URLs in pairs, as short flags, between any others.
func TestForwardFlags(t *testing.T) {
	for _, c := range []struct{ args, want, fails string }{
		{"--service a --forward http://x --log.level debug --service=b.c --forward=http://y", "--services.a.forward http://x --log.level debug --services.b.c.forward http://y", ""},
		{"--config f", "--config f", ""},
		{"--forward http://x", "", "--forward needs a --service NAME before it"},
		{"--service a", "", "--service a needs a --forward URL behind it"},
		{"--service a --service b --forward http://x", "", "--service a needs a --forward URL behind it"},
		{"--service --forward http://x", "", "--service has no value"},
		{"--service a --forward", "", "--forward has no value"},
	} {
		got, err := forwardFlags(strings.Fields(c.args))
		if err != nil && err.Error() != c.fails || err == nil && (c.fails != "" || !slices.Equal(got, strings.Fields(c.want))) {
			t.Errorf("%s: got %v, %v", c.args, got, err)
		}
	}
}

// work runs `parley worker` on the cluster's service shop until the test ends or end
// is called; stop waits for that too.
func (c *cluster) work(url string) (end, stop func()) {
	c.t.Helper()
	cfg, err := loadConfig("worker", []string{
		"--kafka.brokers", c.kafka, "--services.shop.topic", c.topic("shop"), "--services.shop.forward", url, "--worker.group", c.prefix, "--shutdown", "5s",
	}, nil, io.Discard)
	if err != nil {
		c.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := work(ctx, cfg, slog.New(slog.DiscardHandler)); err != nil {
			c.t.Errorf("the worker ends: %v", err)
		}
	})
	stop = sync.OnceFunc(func() { cancel(); running.Wait() })
	c.t.Cleanup(stop)
	return cancel, stop
}

// An HTTP service that knows nothing of Kafka stands behind three nodes. Its answers
// come back as they are, streams in parts; who hangs up ends its request there; and a
// worker that stops finishes what it has begun, while another goes on.
func TestWorker(t *testing.T) {
	c := newCluster(t, map[string]string{"shop": "murmur2"})
	c.extra = "  shop: {topic: " + c.topic("shop") + ", cancel: true}\n"
	c.services = nil
	begun, left, stopping := make(chan string, 10), make(chan struct{}, 1), make(chan struct{})
	shop := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		switch r.URL.Path {
		case "/api/hang":
			begun <- "hang"
			<-r.Context().Done()
			left <- struct{}{}
		case "/api/slow":
			begun <- "slow"
			<-stopping
			fmt.Fprint(w, "at last")
		case "/api/events":
			w.Header().Set("Content-Type", "application/x-ndjson")
			for n := range 3 {
				fmt.Fprintf(w, "{\"n\":%d}\n", n)
				_ = http.NewResponseController(w).Flush()
			}
		default:
			w.Header().Set("ETag", `"1"`)
			w.WriteHeader(http.StatusCreated)
			fmt.Fprintf(w, "%s %s %s", r.Method, r.URL, body)
		}
	}))
	t.Cleanup(shop.Close)
	end, stop := c.work(shop.URL + "/api")
	nodes := []*process{c.start("a"), c.start("b"), c.start("c")}
	var asking sync.WaitGroup
	for i := range 60 {
		asking.Go(func() {
			path := fmt.Sprintf("/order/%d?x=%d", i, i)
			status, body, header := putTo(t, nodes[i%3].url+"/services/shop"+path, fmt.Sprint(i))
			if want := fmt.Sprintf("PUT /api%s %d", path, i); status != http.StatusCreated || body != want || header.Get("ETag") != `"1"` {
				t.Errorf("got %d %s %v, want %s", status, body, header, want)
			}
		})
	}
	asking.Wait()
	if _, body, _ := putTo(t, nodes[0].url+"/services/shop/events", ""); !strings.HasPrefix(body, `[{"n":0},{"n":1},{"n":2}`) {
		t.Errorf("a stream: got %s", body)
	}

	ctx, hangUp := context.WithCancel(t.Context())
	asking.Go(func() {
		q, _ := http.NewRequestWithContext(ctx, http.MethodGet, nodes[1].url+"/services/shop/hang", nil)
		if response, err := http.DefaultClient.Do(q); err == nil {
			response.Body.Close()
			t.Errorf("got %s", response.Status)
		}
	})
	<-begun
	hangUp()
	asking.Wait()
	select {
	case <-left:
	case <-time.After(20 * time.Second):
		t.Error("the HTTP service was not told that its caller has left")
	}
	if n := c.metric(`parley_cancels_total{result="sent"}`); n != 1 {
		t.Errorf("%v cancels were sent, want 1", n)
	}

	asking.Go(func() {
		if _, body, _ := putTo(t, nodes[2].url+"/services/shop/slow", ""); body != "at last" {
			t.Errorf("while the worker stops: got %s", body)
		}
	})
	<-begun
	end()
	close(stopping)
	stop()
	c.work(shop.URL + "/api")
	asking.Wait()
	if _, body, _ := putTo(t, nodes[2].url+"/services/shop/again", ""); body != "PUT /api/again " {
		t.Errorf("the next worker: got %s", body)
	}
}

func putTo(t *testing.T, url, body string) (status int, got string, header http.Header) {
	q, err := http.NewRequestWithContext(t.Context(), http.MethodPut, url, strings.NewReader(body))
	if err != nil {
		t.Error(err)
		return 0, "", nil
	}
	response, err := http.DefaultClient.Do(q)
	if err != nil {
		t.Error(err)
		return 0, "", nil
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Error(err)
	}
	return response.StatusCode, string(text), response.Header
}
