package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/coder/websocket"

	"parley/ws/client"
)

const (
	thinAckAfter = 250 * time.Millisecond
	thinAckEvery = 32
	thinAsk      = 2 * time.Second // between pings
	thinPatience = 5 * time.Second // without a word the socket is taken for dead
	thinDeaf     = 8 * time.Second // how long a client that never reads does not
)

// serve reads a socket until it is lost, and acknowledges what comes.
func (t *thin) serve(s *thinSocket) {
	ctx, cancel := context.WithCancel(t.life)
	defer cancel()
	r := &thinReader{t: t, s: s, heard: time.Now(), deaf: t.how == neverReads && !t.deaf}
	t.deaf = r.deaf
	var ticking sync.WaitGroup
	ticking.Go(func() { r.tick(ctx) })
	why := r.read(ctx)
	cancel()
	s.conn.CloseNow()
	ticking.Wait()
	t.mu.Lock()
	t.socket = nil
	t.mu.Unlock()
	t.witness.see(client.Event{Kind: client.EventClose, Code: int(websocket.CloseStatus(why)), Reason: why.Error()})
}

// thinReader is what is known of a socket that is being read.
type thinReader struct {
	t    *thin
	s    *thinSocket
	deaf bool // at first

	mu    sync.Mutex
	heard time.Time
	seq   int // of the newest message
	acked int
	leave bool // the node has asked us to
}

// read takes messages until the socket ends, and tells why it did.
func (r *thinReader) read(ctx context.Context) error {
	if r.deaf {
		select {
		case <-ctx.Done():
		case <-time.After(thinDeaf):
		}
	}
	for {
		_, text, err := r.s.conn.Read(ctx)
		if err != nil {
			return err
		}
		r.take(text)
	}
}

func (r *thinReader) take(text []byte) {
	r.t.witness.see(client.Event{Kind: client.EventReceived, Frame: text})
	var m struct {
		ID     int    `json:"id"`
		Method string `json:"method"`
		Seq    int    `json:"seq"`
		Params struct {
			ID, N int
			Data  json.RawMessage
		} `json:"params"`
		Result json.RawMessage `json:"result"`
		Error  *struct {
			Message string
			Data    struct{ Code, Outcome string }
		} `json:"error"`
	}
	json.Unmarshal(text, &m)
	r.mu.Lock()
	r.heard = time.Now()
	r.seq = max(r.seq, m.Seq)
	r.leave = r.leave || m.Method == "$/goaway"
	due := r.seq-r.acked >= thinAckEvery
	r.mu.Unlock()
	if m.Method == "$/reply" {
		r.t.part(m.Params.ID, client.Part{N: m.Params.N, Data: m.Params.Data})
	}
	if m.ID > 0 {
		var failed *client.Error
		if m.Error != nil {
			failed = &client.Error{Code: m.Error.Data.Code, Message: m.Error.Message, Outcome: client.Outcome(m.Error.Data.Outcome)}
		}
		r.t.finish(m.ID, client.Reply{Result: m.Result}, failed)
	}
	if due {
		r.ack()
	}
}

// part hands a part to its caller, unless it has that already.
func (t *thin) part(id int, p client.Part) {
	t.mu.Lock()
	c := t.calls[id]
	t.mu.Unlock()
	if c != nil && c.onPart != nil && p.N >= c.next {
		c.next = p.N + 1
		c.onPart(p)
	}
}

// finish ends a call, unless it has ended: then this is a duplicate.
func (t *thin) finish(id int, reply client.Reply, err *client.Error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if c := t.calls[id]; c != nil {
		c.reply, c.err = reply, err
		close(c.answered)
		delete(t.calls, id)
	}
}

func (r *thinReader) ack() {
	r.mu.Lock()
	seq, due := r.seq, r.seq > r.acked
	r.acked = r.seq
	r.mu.Unlock()
	if due && r.t.how != neverAcks {
		r.t.write(r.s, fmt.Appendf(nil, `{"jsonrpc":"2.0","method":"$/ack","params":{"seq":%d}}`, seq))
	}
}

// tick acknowledges in time, asks whether the gateway is still there, and leaves
// when it is not, when it wants us to, or when that is this client's manner.
func (r *thinReader) tick(ctx context.Context) {
	acks := time.NewTicker(thinAckAfter)
	defer acks.Stop()
	asks := time.NewTicker(thinAsk)
	defer asks.Stop()
	away := make(<-chan time.Time)
	if r.t.how == alwaysLeaves {
		away = time.After(100 * time.Millisecond)
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-acks.C:
			r.ack()
			if r.silent() {
				r.s.conn.CloseNow()
				return
			}
			if r.goes() {
				r.s.conn.Close(websocket.StatusGoingAway, "") // what is on its way arrives first
				return
			}
		case <-asks.C:
			r.t.write(r.s, []byte(`{"jsonrpc":"2.0","method":"$/ping"}`))
		case <-away:
			r.s.conn.CloseNow()
			return
		}
	}
}

// silent tells whether nothing has come for too long, for one who listens.
func (r *thinReader) silent() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.t.how != neverReads && time.Since(r.heard) > thinPatience
}

// goes tells whether it is time to follow the node's wish; clients that are asked
// at the same time should not go at the same time.
func (r *thinReader) goes() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.leave && rand.IntN(8) == 0
}
