package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/coder/websocket"

	"parley/ws/client"
)

// thin is a client of parley.v1 that shares no code with the bundled one, and
// that can be told to misbehave. It resumes its session at any node, drops what it
// has been told before, and neither waits long nor thinks much.
type thin struct {
	witness *witness
	urls    []string
	how     manner
	life    context.Context
	end     context.CancelFunc
	ended   chan struct{}
	random  *rand.Rand // run's
	deaf    bool       // run's: it did not read its last socket at first

	mu      sync.Mutex
	session string
	secret  string
	socket  *thinSocket // nil while there is none
	calls   map[int]*thinCall
	last    int // id of the newest call
}

// thinCall is a request without an outcome.
type thinCall struct {
	id       int
	text     []byte
	sent     bool // it may have left: ask about it instead of sending it again
	answered chan struct{}
	onPart   func(client.Part) // the reader's, as is next: number of the first part that has not come
	next     int
	reply    client.Reply
	err      *client.Error
}

// thinSocket is one socket of a thin client.
type thinSocket struct {
	conn *websocket.Conn
	node string
}

// dialThin connects to the first URL, and to any of them later.
func dialThin(ctx context.Context, w *witness, urls []string, how manner) (*thin, error) {
	t := &thin{
		witness: w, urls: urls, how: how, ended: make(chan struct{}), calls: make(map[int]*thinCall),
		random: rand.New(rand.NewPCG(uint64(w.client), 1)),
	}
	t.life, t.end = context.WithCancel(context.Background())
	s, err := t.connect(ctx, urls[0])
	if err != nil {
		t.end()
		return nil, err
	}
	go t.run(s)
	return t, nil
}

// run keeps the client connected until Close.
func (t *thin) run(s *thinSocket) {
	defer close(t.ended)
	for losses := 0; ; losses++ {
		began := time.Now()
		if s != nil {
			t.serve(s)
			if time.Since(began) > steady {
				losses = 0
			}
		}
		pause := time.Duration(t.random.Float64() * float64(min(500*time.Millisecond<<min(losses, 5), 4*time.Second)))
		select {
		case <-t.life.Done():
			return
		case <-time.After(pause):
		}
		s, _ = t.connect(t.life, t.urls[t.random.IntN(len(t.urls))])
	}
}

// connect opens a socket and says hello; when it returns, the gateway has said
// welcome, and calls that have not left yet have been sent.
func (t *thin) connect(ctx context.Context, url string) (*thinSocket, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, url, &websocket.DialOptions{Subprotocols: []string{"parley.v1"}})
	if err != nil {
		return nil, err
	}
	conn.SetReadLimit(1 << 22)
	s := &thinSocket{conn: conn}
	if err := t.greet(ctx, s); err != nil {
		conn.CloseNow()
		return nil, err
	}
	return s, nil
}

func (t *thin) greet(ctx context.Context, s *thinSocket) error {
	if err := s.conn.Write(ctx, websocket.MessageText, t.hello()); err != nil {
		return err
	}
	_, text, err := s.conn.Read(ctx)
	if err != nil {
		return err
	}
	var m struct {
		Method string `json:"method"`
		Params struct {
			Session, Secret, Node string
			Resumed               bool
		} `json:"params"`
	}
	if err := json.Unmarshal(text, &m); err != nil || m.Method != "$/welcome" {
		return fmt.Errorf("not a welcome: %s (%v)", text, err)
	}
	s.node = m.Params.Node
	t.witness.see(client.Event{Kind: client.EventWelcome, Session: m.Params.Session, Node: s.node, Resumed: m.Params.Resumed})
	t.mu.Lock()
	t.session, t.secret, t.socket = m.Params.Session, m.Params.Secret, s
	var unsent []*thinCall
	for _, c := range t.calls {
		if !c.sent {
			c.sent = true
			unsent = append(unsent, c)
		}
	}
	t.mu.Unlock()
	for _, c := range unsent {
		t.write(s, c.text)
	}
	return nil
}

// hello opens a session, or resumes the one that there is.
func (t *thin) hello() []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.session == "" {
		return []byte(`{"jsonrpc":"2.0","method":"$/hello","params":{"accepted":true}}`)
	}
	open := []int{}
	for id, c := range t.calls {
		if c.sent {
			open = append(open, id)
		}
	}
	ids, _ := json.Marshal(open)
	return fmt.Appendf(nil, `{"jsonrpc":"2.0","method":"$/hello","params":{"accepted":true,"resume":{"session":%q,"secret":%q,"open":%s}}}`, t.session, t.secret, ids)
}

// write sends a frame. When it fails, so does the reader, which deals with it.
func (t *thin) write(s *thinSocket, text []byte) {
	t.witness.see(client.Event{Kind: client.EventSent, Frame: text})
	ctx, cancel := context.WithTimeout(t.life, 5*time.Second)
	defer cancel()
	s.conn.Write(ctx, websocket.MessageText, text)
}

// Call is client.Client's, without its options but for Timeout and OnPart, which the
// reader calls.
func (t *thin) Call(ctx context.Context, service string, params []byte, o client.CallOptions) (client.Reply, error) {
	c := &thinCall{answered: make(chan struct{}), onPart: o.OnPart}
	t.mu.Lock()
	t.last++
	c.id = t.last
	c.text = fmt.Appendf(nil, `{"jsonrpc":"2.0","id":%d,"method":%q,"params":%s,"meta":{"timeout":%d}}`, c.id, service, params, o.Timeout.Milliseconds())
	t.calls[c.id] = c
	s := t.socket
	c.sent = s != nil
	t.mu.Unlock()
	if s != nil {
		t.write(s, c.text)
	}
	select {
	case <-c.answered:
	case <-ctx.Done():
		return client.Reply{}, ctx.Err()
	}
	if c.err != nil {
		return client.Reply{}, c.err
	}
	return c.reply, nil
}

// Close ends the session with a goodbye, if there is somebody to say it to.
func (t *thin) Close(ctx context.Context) error {
	t.mu.Lock()
	s := t.socket
	t.mu.Unlock()
	if s != nil {
		t.write(s, []byte(`{"jsonrpc":"2.0","method":"$/bye"}`))
		s.conn.Close(websocket.StatusNormalClosure, "")
	}
	t.end()
	select {
	case <-t.ended:
		return nil
	case <-ctx.Done():
		return errors.New("the client does not end")
	}
}
