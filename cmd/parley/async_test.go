package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/twmb/franz-go/pkg/kadm"
)

// asked is a response, read whole.
type asked struct {
	status int
	header http.Header
	body   string
}

// ask makes an HTTP request of a node: headers are "name: value".
func (p *process) ask(ctx context.Context, method, path, body string, headers ...string) (asked, error) {
	r, err := http.NewRequestWithContext(ctx, method, p.url+path, strings.NewReader(body))
	if err != nil {
		return asked{}, err
	}
	for _, line := range headers {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Add(name, value)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return asked{}, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return asked{response.StatusCode, response.Header, string(text)}, err
}

// A request is taken by a node that is then killed, while its service is down. The
// service comes up; the result is at every other node, over HTTP and on a socket, and a
// third request of the same kind that is cancelled stays so.
func TestAsyncOutlivesItsNode(t *testing.T) {
	c := newCluster(t, map[string]string{"slow": "murmur2"})
	a, b, d := c.start("a"), c.start("b"), c.start("d")
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var at []string
	for n := range 20 {
		got, err := a.ask(ctx, "POST", "/services/slow", fmt.Sprint(n), "Prefer: respond-async")
		if err != nil || got.status != http.StatusAccepted {
			t.Fatalf("%d %v: %s", got.status, err, got.body)
		}
		at = append(at, got.header.Get("Location"))
	}
	a.signal(syscall.SIGKILL)
	<-a.exited
	if got, err := b.ask(ctx, "DELETE", at[19], ""); err != nil || got.status != http.StatusNoContent {
		t.Fatalf("cancel: %d %v: %s", got.status, err, got.body)
	}
	if got, err := d.ask(ctx, "GET", at[0], ""); err != nil || got.status != http.StatusAccepted {
		t.Fatalf("before: %d %v: %s", got.status, err, got.body)
	}
	c.serve("slow", byKey, transforms["digest"])
	for n, at := range at[:19] {
		got, err := []*process{b, d}[n%2].ask(ctx, "GET", at+"?wait=60s", "")
		if want := string(transforms["digest"]([]byte(fmt.Sprint(n)))); err != nil || got.status != 200 || got.body != want {
			t.Errorf("request %d: %d %v: %s", n, got.status, err, got.body)
		}
	}
	if got, err := d.ask(ctx, "GET", at[19]+"?wait=2", ""); err != nil || got.status != 499 {
		t.Errorf("cancelled: %d %v: %s", got.status, err, got.body)
	}
	attach(t, ctx, d, strings.TrimPrefix(at[7], "/requests/"), string(transforms["digest"]([]byte("7"))))
	if got := c.metric(`parley_kept_requests_total{event="answered"}`); got < 19 {
		t.Errorf("%v answered", got)
	}
}

// attach collects a request on a socket.
func attach(t *testing.T, ctx context.Context, p *process, request, want string) {
	t.Helper()
	conn, _, err := websocket.Dial(ctx, strings.Replace(p.url, "http", "ws", 1)+"/ws", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	frame := fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"$/attach","params":{"request":%q}}`, request)
	if err := conn.Write(ctx, websocket.MessageText, []byte(frame)); err != nil {
		t.Fatal(err)
	}
	_, answer, err := conn.Read(ctx)
	var got struct{ Result json.RawMessage }
	if err != nil || json.Unmarshal(answer, &got) != nil || string(got.Result) != want {
		t.Errorf("attach: %v: %s", err, answer)
	}
}

// Two nodes are asked for the same thing under the same key at the same moment,
// thousands of times: there is one record of each in the topic, and both callers get
// its answer. Meanwhile another asks for something else under the key, and is refused.
func TestOneKeyTwoNodes(t *testing.T) {
	const keys, callers = 2000, 16
	c := newCluster(t, map[string]string{"once": "murmur2"})
	a, b := c.start("a"), c.start("b")
	c.serve("once", byKey, transforms["digest"])
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	next := make(chan int)
	var working sync.WaitGroup
	for range callers {
		working.Go(func() {
			for key := range next {
				c.sameKey(ctx, a, b, key)
			}
		})
	}
	for key := range keys {
		next <- key
	}
	close(next)
	working.Wait()
	ends, err := kadm.NewClient(c.client).ListEndOffsets(ctx, c.topic("once"))
	records := int64(0)
	ends.Each(func(o kadm.ListedOffset) { records += o.Offset })
	if err != nil || records != keys {
		t.Errorf("%d records of %d keys: %v", records, keys, err)
	}
	if made, joined := c.metric(`parley_kept_requests_total{event="made"}`), c.metric(`parley_kept_requests_total{event="joined"}`); made != keys || joined < keys {
		t.Errorf("%v made, %v joined", made, joined)
	}
}

// sameKey asks two nodes at once, and one of them for something else.
func (c *cluster) sameKey(ctx context.Context, a, b *process, key int) {
	header, body := fmt.Sprintf("Idempotency-Key: k-%d", key), fmt.Sprint(key)
	var got [2]asked
	var errs [2]error
	var both sync.WaitGroup
	for i, p := range []*process{a, b} {
		both.Go(func() {
			// What was certainly not sent may be asked for again.
			for tries := 0; tries < 50; tries++ {
				got[i], errs[i] = p.ask(ctx, "POST", "/services/once", body, header)
				if got[i].status != http.StatusServiceUnavailable || !strings.Contains(got[i].body, `"outcome":"not_sent"`) {
					return
				}
				time.Sleep(100 * time.Millisecond) // as a client does: nothing tells it when to ask again
			}
		})
	}
	both.Wait()
	want := string(transforms["digest"]([]byte(body)))
	for i := range got {
		if errs[i] != nil || got[i].status != 200 || got[i].body != want {
			c.t.Errorf("key %d: %d %v: %s", key, got[i].status, errs[i], got[i].body)
			return
		}
	}
	if x, y := got[0].header.Get("Parley-Request-Id"), got[1].header.Get("Parley-Request-Id"); x != y || x == "" {
		c.t.Errorf("key %d made %q and %q", key, x, y)
	}
	if key%10 == 0 {
		if got, err := a.ask(ctx, "POST", "/services/once", body+"!", header); err != nil || got.status != 422 {
			c.t.Errorf("key %d, another body: %d %v: %s", key, got.status, err, got.body)
		}
	}
}
