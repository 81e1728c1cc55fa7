package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// traffic is a light, steady load through both doors of all nodes. It keeps
// what became of every request, and can tell the requests apart in their topic.
type traffic struct {
	c        *cluster
	services []string
	sockets  []*socket
	http     *http.Client
	stopping chan struct{}
	running  sync.WaitGroup // lanes and calls

	mu    sync.Mutex
	begun int
	done  []outcome
}

// outcome is what a client learned of one request.
type outcome struct {
	door, service, token string
	word, certainty      string // "ok", or the error's
	wrong                string // what is wrong with the answer, in words
	begun, ended         time.Time
}

func (o outcome) String() string {
	return fmt.Sprintf("%s %s %s: %s %s %s after %v", o.door, o.service, o.token, o.word, o.certainty, o.wrong, o.ended.Sub(o.begun).Round(time.Millisecond))
}

// doorNames are the ways in: the plain socket, the one of parley.v1, and HTTP.
var doorNames = []string{"plain", "v1", "http"}

// newTraffic opens the sockets, one of each door on each node.
func newTraffic(c *cluster, services ...string) *traffic {
	c.t.Helper()
	w := &traffic{c: c, services: services, stopping: make(chan struct{}), http: &http.Client{Transport: &http.Transport{}}}
	for _, p := range c.nodes {
		for _, v1 := range []bool{false, true} {
			s, err := dial(c.t.Context(), p, v1)
			if err != nil {
				c.t.Fatal(err)
			}
			c.t.Cleanup(func() { s.conn.CloseNow() })
			w.sockets = append(w.sockets, s)
		}
	}
	return w
}

// start begins with the load: so often a request through each door of each node.
func (w *traffic) start(every time.Duration) *traffic {
	for i, p := range w.c.nodes {
		w.running.Go(func() { w.lane("plain", every, w.socketCall(w.sockets[2*i])) })
		w.running.Go(func() { w.lane("v1", every, w.socketCall(w.sockets[2*i+1])) })
		w.running.Go(func() { w.lane("http", every, w.httpCall(p)) })
	}
	return w
}

// lane begins a request at every tick, whether or not earlier ones have ended.
func (w *traffic) lane(door string, every time.Duration, call func(service, token string) outcome) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-w.stopping:
			return
		case <-tick.C:
			w.running.Go(func() { w.once(door, w.services[n%len(w.services)], call) })
		}
	}
}

func (w *traffic) once(door, service string, call func(service, token string) outcome) outcome {
	w.mu.Lock()
	w.begun++
	token := fmt.Sprintf(`{"token":"%p-%d"}`, w, w.begun)
	w.mu.Unlock()
	begun := time.Now()
	o := call(service, token)
	o.door, o.service, o.token, o.begun, o.ended = door, service, token, begun, time.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.done = append(w.done, o)
	return o
}

// through makes one request through each door of a node, all at a time, and
// answers what became of them.
func (w *traffic) through(node int, service string) []outcome {
	all := make([]outcome, len(doorNames))
	var calls sync.WaitGroup
	for i, call := range []func(string, string) outcome{
		w.socketCall(w.sockets[2*node]), w.socketCall(w.sockets[2*node+1]), w.httpCall(w.c.nodes[node]),
	} {
		calls.Go(func() { all[i] = w.once(doorNames[i], service, call) })
	}
	calls.Wait()
	return all
}

// callLimit is when a client of the load gives up: later than any service does.
const callLimit = 5 * time.Minute

func (w *traffic) socketCall(s *socket) func(service, token string) outcome {
	return func(service, token string) (o outcome) {
		ctx, cancel := context.WithTimeout(context.Background(), callLimit)
		defer cancel()
		frame, err := s.call(ctx, service, []byte(token))
		if err != nil {
			return outcome{wrong: err.Error()}
		}
		var m struct {
			Result json.RawMessage `json:"result"`
			Error  *struct {
				Data struct{ Code, Outcome string } `json:"data"`
			} `json:"error"`
		}
		if err := json.Unmarshal(frame, &m); err != nil {
			return outcome{wrong: err.Error()}
		}
		if m.Error != nil {
			return outcome{word: m.Error.Data.Code, certainty: m.Error.Data.Outcome}
		}
		return answered(string(m.Result), token)
	}
}

func (w *traffic) httpCall(p *process) func(service, token string) outcome {
	return func(service, token string) outcome {
		ctx, cancel := context.WithTimeout(context.Background(), callLimit)
		defer cancel()
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url+"/services/"+service, strings.NewReader(token))
		if err != nil {
			return outcome{wrong: err.Error()}
		}
		response, err := w.http.Do(request)
		if err != nil {
			return outcome{wrong: err.Error()}
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		if err != nil {
			return outcome{wrong: err.Error()}
		}
		if response.StatusCode == http.StatusOK {
			return answered(string(body), token)
		}
		o := outcome{}
		var problem struct {
			Status        int
			Code, Outcome string
		}
		if err := json.Unmarshal(body, &problem); err != nil || problem.Status != response.StatusCode {
			o.wrong = fmt.Sprintf("status %d with %s", response.StatusCode, tail(string(body), 200))
		}
		o.word, o.certainty = problem.Code, problem.Outcome
		if o.word == "unavailable" && (response.StatusCode != http.StatusServiceUnavailable || response.Header.Get("Retry-After") == "") {
			o.wrong = fmt.Sprintf("unavailable is status %d, Retry-After %q", response.StatusCode, response.Header.Get("Retry-After"))
		}
		return o
	}
}

func answered(got, want string) outcome {
	if got != want {
		return outcome{word: "ok", wrong: "the answer is " + tail(got, 200)}
	}
	return outcome{word: "ok"}
}

// count is how many requests have ended so that is holds.
func (w *traffic) count(is func(outcome) bool) (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, o := range w.done {
		if is(o) {
			n++
		}
	}
	return n
}

// await waits until so many requests have ended through each door so that is
// holds.
func (w *traffic) await(what string, n int, is func(outcome) bool) {
	w.c.t.Helper()
	w.c.nodes[0].await(w.c.t, "done with enough requests that are "+what, func() bool {
		for _, door := range doorNames {
			if w.count(func(o outcome) bool { return o.door == door && is(o) }) < n {
				return false
			}
		}
		return true
	})
}

func isOK(o outcome) bool          { return o.word == "ok" && o.wrong == "" }
func isUnavailable(o outcome) bool { return o.word == "unavailable" }

// end stops the load, waits for all outcomes, and checks what holds whatever
// happened: each request has one, an answer is the right one, an error is
// unavailable, and no socket was closed.
func (w *traffic) end() []outcome {
	t := w.c.t
	t.Helper()
	close(w.stopping)
	w.running.Wait()
	words := make(map[string]int)
	for _, o := range w.done {
		words[strings.TrimSpace(o.word+" "+o.certainty)]++
		if o.wrong != "" || o.word != "ok" && o.word != "unavailable" {
			t.Errorf("%v", o)
		}
	}
	for _, s := range w.sockets {
		s.mu.Lock()
		if len(s.strange) > 0 {
			t.Errorf("a socket got %d messages that it did not wait for, such as %s", len(s.strange), s.strange[0])
		}
		if s.err != nil {
			t.Errorf("a socket was closed: %v", s.err)
		}
		s.mu.Unlock()
	}
	if len(w.done) != w.begun {
		t.Errorf("%d requests were begun and %d ended", w.begun, len(w.done))
	}
	t.Logf("%d requests: %v", w.begun, words)
	w.http.CloseIdleConnections()
	return w.done
}

// honest compares what clients were told with what stands in the topics: a
// request that was not sent is not there, one that was answered is, and none
// is twice.
func (w *traffic) honest() {
	t := w.c.t
	t.Helper()
	there := make(map[string]int)
	for _, service := range w.services {
		for _, r := range w.c.records(w.c.topic(service)) {
			there[string(r.Value)]++
		}
	}
	for _, o := range w.done {
		n := there[o.token]
		if n > 1 || o.certainty == "not_sent" && n != 0 || o.word == "ok" && n != 1 {
			t.Errorf("%v; but it is %d times in its topic", o, n)
		}
	}
}

// records reads a topic from its start to its end.
func (c *cluster) records(topic string) (all []*kgo.Record) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), 30*time.Second)
	defer cancel()
	ends, err := kadm.NewClient(c.client).ListEndOffsets(ctx, topic)
	if err != nil || ends.Error() != nil {
		c.t.Fatalf("ends of %s: %v, %v", topic, err, ends.Error())
	}
	want := int64(0)
	ends.Each(func(o kadm.ListedOffset) { want += o.Offset })
	client, err := kgo.NewClient(kgo.SeedBrokers(c.kafka), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		c.t.Fatal(err)
	}
	defer client.Close()
	for int64(len(all)) < want && ctx.Err() == nil {
		all = append(all, client.PollFetches(ctx).Records()...)
	}
	if int64(len(all)) < want {
		c.t.Fatalf("%d of the %d records of %s can be read", len(all), want, topic)
	}
	return all
}

// awaitUnready waits until a node says that it is not ready, and names these
// checks as those that fail.
func (p *process) awaitUnready(t *testing.T, want ...string) {
	t.Helper()
	p.await(t, "unready for want of "+strings.Join(want, " and "), func() bool {
		client := http.Client{Timeout: 5 * time.Second}
		response, err := client.Get(p.url + "/readyz")
		if err != nil {
			return false
		}
		defer response.Body.Close()
		var ready struct {
			Ready  bool
			Checks []struct {
				Name, Error string
				OK          bool
			}
		}
		if err := json.NewDecoder(response.Body).Decode(&ready); err != nil {
			t.Fatalf("/readyz: %v", err)
		}
		var failing []string
		for _, check := range ready.Checks {
			if !check.OK && check.Error != "" {
				failing = append(failing, check.Name)
			}
		}
		return response.StatusCode == http.StatusServiceUnavailable && !ready.Ready && strings.Join(failing, " ") == strings.Join(want, " ")
	})
}

// awaitReady waits until all nodes are ready. They need not be started again
// for that.
func (c *cluster) awaitReady() {
	c.t.Helper()
	for _, p := range c.nodes {
		p.await(c.t, "ready", func() bool { return p.status("/readyz") == http.StatusOK })
	}
}
