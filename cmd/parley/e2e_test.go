package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// socket is a client that checks itself: every request must get its own
// answer, once.
type socket struct {
	conn *websocket.Conn
	v1   bool
	next int

	mu      sync.Mutex
	waiting map[string]chan json.RawMessage // by id, as JSON text
	strange []string                        // messages that nobody waited for
	err     error
}

// dial opens a socket through one of the two doors.
func dial(ctx context.Context, p *process, v1 bool) (*socket, error) {
	opts := &websocket.DialOptions{}
	if v1 {
		opts.Subprotocols = []string{"parley.v1"}
	}
	conn, _, err := websocket.Dial(ctx, strings.Replace(p.url, "http", "ws", 1)+"/ws", opts)
	if err != nil {
		return nil, err
	}
	conn.SetReadLimit(16 << 20)
	s := &socket{conn: conn, v1: v1, waiting: make(map[string]chan json.RawMessage)}
	if v1 {
		err = conn.Write(ctx, websocket.MessageText, []byte(`{"jsonrpc":"2.0","method":"$/hello","params":{}}`))
		if err != nil {
			return nil, err
		}
		_, welcome, err := conn.Read(ctx)
		if err != nil || !bytes.Contains(welcome, []byte(`"$/welcome"`)) {
			return nil, fmt.Errorf("no welcome: %s %w", welcome, err)
		}
	}
	go s.read(ctx)
	return s, nil
}

// read hands every message to whoever waits for its id.
func (s *socket) read(ctx context.Context) {
	for {
		_, frame, err := s.conn.Read(ctx)
		if err != nil {
			s.mu.Lock()
			s.err = err
			for _, c := range s.waiting {
				close(c)
			}
			s.waiting = nil
			s.mu.Unlock()
			return
		}
		var m struct {
			ID  json.RawMessage `json:"id"`
			Seq int64           `json:"seq"`
		}
		if err := json.Unmarshal(frame, &m); err != nil {
			m.ID = nil
		}
		s.mu.Lock()
		c := s.waiting[string(m.ID)]
		delete(s.waiting, string(m.ID))
		if c == nil {
			s.strange = append(s.strange, tail(string(frame), 300))
		}
		s.mu.Unlock()
		if c != nil {
			c <- frame
		}
		if s.v1 && m.Seq > 0 {
			s.conn.Write(ctx, websocket.MessageText, fmt.Appendf(nil, `{"jsonrpc":"2.0","method":"$/ack","params":{"seq":%d}}`, m.Seq))
		}
	}
}

// call makes a request and waits for its outcome: the frame that carries it.
func (s *socket) call(ctx context.Context, service string, params []byte) (json.RawMessage, error) {
	c := make(chan json.RawMessage, 1)
	s.mu.Lock()
	s.next++
	id := fmt.Sprint(s.next)
	if s.next%2 == 0 {
		id = fmt.Sprintf(`"é-%d"`, s.next)
	}
	if s.waiting == nil {
		s.mu.Unlock()
		return nil, s.err
	}
	s.waiting[id] = c
	s.mu.Unlock()
	frame := fmt.Appendf(nil, `{"jsonrpc":"2.0","id":%s,"method":%q`, id, service)
	if params != nil {
		frame = append(append(frame, `,"params":`...), params...)
	}
	if err := s.conn.Write(ctx, websocket.MessageText, append(frame, '}')); err != nil {
		return nil, err
	}
	select {
	case got, ok := <-c:
		if !ok {
			return nil, errors.New("socket closed")
		}
		return got, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// payload draws what a client may send: sizes from nothing to a megabyte, JSON
// of any script or any bytes. raw is what the service must see, params how the
// frame spells it.
func payload(r *rand.Rand) (raw, params []byte) {
	size := r.IntN(1000)
	switch r.IntN(100) {
	case 0:
		size = r.IntN(1 << 20)
	case 1, 2, 3, 4, 5, 6, 7, 8, 9:
		size = r.IntN(1 << 16)
	case 10, 11:
		return nil, nil // absent: an empty body
	}
	raw = make([]byte, size)
	for i := range raw {
		raw[i] = byte(r.Uint32())
	}
	if r.IntN(2) == 0 {
		return raw, fmt.Appendf(nil, `{"$bytes":%q}`, base64.StdEncoding.EncodeToString(raw))
	}
	text := []rune("aé\"\\/ 漢字🙂\u2028\t\u0000<&>")
	var b strings.Builder
	for b.Len() < size {
		b.WriteRune(text[r.IntN(len(text))])
	}
	quoted, _ := json.Marshal(b.String())
	// White space and the order of members must survive too.
	raw = fmt.Appendf(nil, "{ \"b\": %s,\t\"a\" : %d.50e0 , \"a\":[ ] }", quoted, r.IntN(1000))
	return raw, raw
}

// body is the payload of a response, as the service wrote it.
func body(frame json.RawMessage) ([]byte, error) {
	var m struct {
		Result json.RawMessage `json:"result"`
		Error  json.RawMessage `json:"error"`
	}
	if err := json.Unmarshal(frame, &m); err != nil {
		return nil, err
	}
	if m.Error != nil {
		return nil, fmt.Errorf("error outcome: %s", m.Error)
	}
	var b struct {
		Bytes *string `json:"$bytes"`
	}
	if string(m.Result) == "null" {
		return nil, nil
	}
	if json.Unmarshal(m.Result, &b) == nil && b.Bytes != nil {
		return base64.StdEncoding.DecodeString(*b.Bytes)
	}
	return m.Result, nil
}

// crowd is the load of the end-to-end tests: sockets on all nodes that make
// requests of all services and check every answer.
type crowd struct {
	sockets, requests int
	nodes             []*process
	done              atomic.Int64
}

func (w *crowd) run(t *testing.T, services []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	var running sync.WaitGroup
	for i := range w.sockets {
		s, err := dial(ctx, w.nodes[i%len(w.nodes)], i%2 == 0)
		if err != nil {
			t.Fatal(err)
		}
		defer s.conn.CloseNow()
		running.Go(func() {
			r := rand.New(rand.NewPCG(uint64(i), 1))
			var calls sync.WaitGroup
			slots := make(chan struct{}, 4) // several open at once, so that answers come in any order
			for n := range w.requests / w.sockets {
				service := services[n%len(services)]
				raw, params := payload(r)
				slots <- struct{}{}
				calls.Go(func() {
					defer func() { <-slots }()
					w.check(t, ctx, s, service, raw, params)
				})
			}
			calls.Wait()
			s.mu.Lock()
			defer s.mu.Unlock()
			if len(s.strange) > 0 {
				t.Errorf("socket %d got %d messages that it did not wait for, such as %s", i, len(s.strange), s.strange[0])
			}
		})
	}
	running.Wait()
}

func (w *crowd) check(t *testing.T, ctx context.Context, s *socket, service string, raw, params []byte) {
	frame, err := s.call(ctx, service, params)
	if err != nil {
		t.Errorf("%s: %v", service, err)
		return
	}
	got, err := body(frame)
	if err != nil {
		t.Errorf("%s with %d bytes: %v", service, len(raw), err)
		return
	}
	if want := transforms[service](raw); !bytes.Equal(got, want) {
		t.Errorf("%s with %d bytes: got %q, want %q", service, len(raw), tail(string(got), 200), tail(string(want), 200))
	}
	w.done.Add(1)
}

// Ten thousand requests from two hundred sockets on three nodes, to services
// that answer by key and by partition: each gets its own answer, byte for byte,
// once; and since all replies come home, none is relayed.
func TestEveryRequestGetsItsAnswer(t *testing.T) {
	c := newCluster(t, map[string]string{"same": "murmur2", "reverse": "murmur2", "digest": "any"})
	c.serve("same", byKey, transforms["same"])
	c.serve("reverse", byPartition, transforms["reverse"])
	c.serve("digest", byPartition, transforms["digest"])
	for _, name := range []string{"a", "b", "c"} {
		c.start(name)
	}
	c.settled(12)
	w := crowd{sockets: 200, requests: 10_000, nodes: c.nodes}
	w.run(t, []string{"same", "reverse", "digest"})
	t.Logf("%d requests answered; home %v, relayed %v", w.done.Load(), c.metric(`parley_replies_total{path="home"}`), c.metric(`parley_replies_total{path="relay"}`))
	if relayed := c.metric(`parley_replies_total{path="relay"}`); relayed != 0 {
		t.Errorf("%v replies were relayed, want 0", relayed)
	}
	c.clean()
}

// The same with services that answer to random partitions, while a fourth node
// joins and another leaves: two of three replies travel by relay, and none is lost.
func TestAnswersFromAnywhereWhileNodesComeAndGo(t *testing.T) {
	c := newCluster(t, map[string]string{"same": "any", "reverse": "any", "digest": "any"})
	for name, transform := range transforms {
		c.serve(name, atRandom, transform)
	}
	for _, name := range []string{"a", "b", "c"} {
		c.start(name)
	}
	c.settled(12)
	steady := crowd{sockets: 60, requests: 1_500, nodes: c.nodes}
	steady.run(t, []string{"same", "reverse", "digest"})
	home, relayed := c.metric(`parley_replies_total{path="home"}`), c.metric(`parley_replies_total{path="relay"}`)
	if share := relayed / (home + relayed); share < 0.57 || share > 0.77 {
		t.Errorf("share of relayed replies is %.3f, want about 2/3", share)
	}

	leaving := c.start("d") // has no clients of its own
	moving := crowd{sockets: 60, requests: 3_000, nodes: c.nodes[:3]}
	ended := make(chan struct{})
	go func() { defer close(ended); moving.run(t, []string{"same", "reverse", "digest"}) }()
	c.nodes[0].await(t, "half way", func() bool { return moving.done.Load() > 1000 })
	c.start("e")
	leaving.signal(syscall.SIGTERM)
	<-leaving.exited
	<-ended
	if code := leaving.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("the node that left exited with %d", code)
	}
	c.clean()
}

// settled waits until the nodes own all partitions between them.
func (c *cluster) settled(partitions float64) {
	c.t.Helper()
	c.nodes[0].await(c.t, "one of a settled group", func() bool {
		for _, p := range c.nodes {
			if p.metric(c.t, "parley_owned_partitions") == 0 {
				return false
			}
		}
		return c.metric("parley_owned_partitions") == partitions
	})
}

// clean checks that no request is left open and no reply was dropped, other than
// those that were consumed again because their partition moved.
func (c *cluster) clean() {
	c.t.Helper()
	dropped, again := c.metric(`parley_replies_total{path="dropped"}`), c.metric(`parley_drops_total{reason="duplicate"}`)
	if dropped > again { // of two that are kept both until one is acknowledged, neither is dropped
		c.t.Errorf("%v replies were dropped, only %v of them because they came again", dropped, again)
	}
	if open := c.metric("parley_open_requests"); open != 0 {
		c.t.Errorf("%v requests are still open", open)
	}
}
