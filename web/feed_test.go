package web

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"parley/routing"
)

// subscriber reads the response of events.
type subscriber struct {
	t     *testing.T
	g     *gateway
	from  *io.PipeReader
	leave context.CancelFunc
	done  <-chan bool
}

// subscribe asks for events in a synctest bubble; headers are "name: value".
func (g *gateway) subscribe(t *testing.T, target string, headers ...string) *subscriber {
	ctx, cancel := context.WithCancel(t.Context())
	r, _ := http.NewRequestWithContext(ctx, "GET", target, nil)
	for _, line := range headers {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Add(name, value)
	}
	t.Cleanup(cancel)
	from, done := g.slowly(r)
	return &subscriber{t, g, from, cancel, done}
}

// hear reads what must come.
func (s *subscriber) hear(want string) {
	s.t.Helper()
	got := make([]byte, len(want))
	if n, err := io.ReadFull(s.from, got); err != nil || string(got) != want {
		s.t.Fatalf("%v: got %q, want %q", err, got[:n], want)
	}
}

// push has an event consumed, and pushed to each who subscribed to its key.
func (g *gateway) push(t *testing.T, offset int64, key, body string) {
	at := routing.RecordAt{Topic: "orders.events", Partition: 2, Offset: offset}
	all, err := g.table.Subscribers(t.Context(), []routing.Feed{{Topic: at.Topic, Key: key}})
	if err != nil {
		t.Fatal(err)
	}
	for _, session := range all[0] {
		g.router.Deliver(t.Context(), []*routing.Reply{{
			ID: routing.PushID(session, at), Final: true, Body: []byte(body), From: at, Receipt: g.topic,
			Headers: []routing.Header{{Key: routing.PushKey, Value: []byte(key)}},
		}})
	}
}

// Events leave as they happen, and silence is broken now and then. A client that leaves
// frees everything; one that comes back is told that it may have missed something.
func TestFeed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t, nil)
		s := g.subscribe(t, "/events/orders.events?key=o-1")
		s.hear(":\n\n")
		g.push(t, 7, "o-1", "{\"state\":\n\"CREATED\"}")
		g.push(t, 8, "o-2", "0")
		g.push(t, 9, "o-1", "no JSON")
		s.hear("id: orders.events/2/7\ndata: {\"state\": \"CREATED\"}\n\nid: orders.events/2/9\ndata: {\"$bytes\":\"bm8gSlNPTg==\"}\n\n")
		began := time.Now()
		if s.hear(":\n\n"); time.Since(began) != 15*time.Second {
			t.Errorf("silent for %v", time.Since(began))
		}
		synctest.Wait()
		if n := g.topic.settledCount(); n != 2 {
			t.Errorf("%d of 2 events are settled", n)
		}
		s.leave()
		<-s.done
		if g.push(t, 10, "o-1", "0"); g.router.Sessions() != 0 || g.topic.settledCount() != 2 {
			t.Errorf("%d sessions are left, %d events went to them", g.router.Sessions(), g.topic.settledCount()-2)
		}
		s = g.subscribe(t, "/events/orders.events?key=o-1", "Last-Event-ID: orders.events/2/9")
		s.hear(":\n\nevent: missed\ndata: -1\n\n")
		s.leave()
		<-s.done
	})
}

// A client that does not read costs so much and no more, and learns how much it missed.
func TestFeedUnread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t, nil)
		s := g.subscribe(t, "/events/orders.events?key=o-1")
		s.hear(":\n\n")
		for i := range int64(1100) {
			g.push(t, i, "o-1", "0")
		}
		for i := range 1000 {
			s.hear("id: orders.events/2/" + strconv.Itoa(i) + "\ndata: 0\n\n")
		}
		synctest.Wait()
		g.push(t, 2000, "o-1", strings.Repeat("1", 1000))
		s.hear("event: missed\ndata: 100\n\nid: orders.events/2/2000\ndata: " + strings.Repeat("1", 1000) + "\n\n")
		for i := range int64(20) {
			g.push(t, 3000+i, "o-1", strings.Repeat("1", 100_000))
		}
		for i := range 11 {
			s.hear("id: orders.events/2/" + strconv.Itoa(3000+i) + "\ndata: " + strings.Repeat("1", 100_000) + "\n\n")
		}
		synctest.Wait()
		g.push(t, 4000, "o-1", "0")
		s.hear("event: missed\ndata: 9\n\nid: orders.events/2/4000\ndata: 0\n\n")
		s.leave()
		<-s.done
	})
}

// What cannot be subscribed to is refused by name.
func TestFeedRefused(t *testing.T) {
	g := newGateway(t, nil)
	for target, code := range map[string]routing.Word{
		"/events/parley.replies?key=x":                           routing.Forbidden,
		"/events/orders.events":                                  routing.InvalidParams,
		"/events/orders.events?key=":                             routing.InvalidParams,
		"/events/orders.events?key=" + strings.Repeat("x", 5000): routing.InvalidParams,
	} {
		if p := problemOf(t, g.do("GET", target, nil)); p.Code != code {
			t.Errorf("%s: %+v", target, p)
		}
	}
	if g.router.Sessions() != 0 {
		t.Errorf("%d sessions are left", g.router.Sessions())
	}
}

// A node that drains sends its subscribers elsewhere, not all at once, and takes no more.
func TestFeedDrains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t, nil)
		s := g.subscribe(t, "/events/orders.events?key=o-1")
		s.hear(":\n\n")
		ended := make(chan error)
		go func() { ended <- g.Shutdown(t.Context()) }()
		s.hear("retry: ")
		rest, _ := io.ReadAll(s.from)
		if ms, err := strconv.Atoi(strings.TrimSpace(string(rest))); err != nil || ms < 0 || ms >= 8000 {
			t.Errorf("comes back after %q", rest)
		}
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if p := problemOf(t, g.do("GET", "/events/orders.events?key=o-1", nil)); p.Code != routing.Unavailable {
			t.Errorf("then %+v", p)
		}
	})
}
