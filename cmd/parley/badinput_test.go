package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

const (
	deepest = 10_000 // levels of nesting
	fiveMB  = 5 << 20
)

var deep = strings.Repeat("[", deepest) + strings.Repeat("]", deepest)

// talker is a client that says what it likes.
type talker struct {
	t    *testing.T
	conn *websocket.Conn
}

// answer is a message for a client, as far as tests look at it.
type answer struct {
	ID     json.RawMessage `json:"id"`
	Result json.RawMessage `json:"result"`
	Error  *struct {
		Code int `json:"code"`
		Data struct {
			Code, Outcome string
			Retry         bool
			Example       json.RawMessage
			Service       struct {
				Code, Message string
				Status        int
				Body          json.RawMessage
			}
		} `json:"data"`
	} `json:"error"`
	Meta struct {
		ContentType string
		Headers     map[string]json.RawMessage
	} `json:"meta"`
}

func (a answer) String() string {
	if a.Error != nil {
		return fmt.Sprintf("%s %d %s %s", a.ID, a.Error.Code, a.Error.Data.Code, a.Error.Data.Outcome)
	}
	return fmt.Sprintf("%s %s", a.ID, a.Result)
}

// talk opens a socket; under parley.v1 it has said hello.
func (p *process) talk(t *testing.T, door string) *talker {
	t.Helper()
	opts := &websocket.DialOptions{}
	if door == "v1" {
		opts.Subprotocols = []string{"parley.v1"}
	}
	conn, _, err := websocket.Dial(t.Context(), strings.Replace(p.url, "http", "ws", 1)+"/ws", opts)
	if err != nil {
		t.Fatal(err)
	}
	conn.SetReadLimit(16 << 20)
	c := &talker{t, conn}
	t.Cleanup(func() { conn.CloseNow() })
	if door == "v1" {
		c.say(`{"jsonrpc":"2.0","method":"$/hello","params":{}}`)
		c.hear()
	}
	return c
}

func (c *talker) say(frame string) {
	c.t.Helper()
	if err := c.conn.Write(c.t.Context(), websocket.MessageText, []byte(frame)); err != nil {
		c.t.Fatal(err)
	}
}

func (c *talker) hear() (a answer) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), 30*time.Second)
	defer cancel()
	_, frame, err := c.conn.Read(ctx)
	if err != nil {
		c.t.Fatalf("nothing is heard: %v", err)
	}
	if err := json.Unmarshal(frame, &a); err != nil {
		c.t.Fatalf("%v in %s", err, tail(string(frame), 300))
	}
	return a
}

func (c *talker) ask(frame string) answer { c.t.Helper(); c.say(frame); return c.hear() }

// wants compares what a client got with what it must get.
func (c *talker) wants(got answer, want string) {
	c.t.Helper()
	if got.String() != want {
		c.t.Errorf("got %s, want %s", tail(got.String(), 300), want)
	}
}

// closed says something that ends the socket, and wants the close code, also
// when the client is still in the midst of writing.
func (c *talker) closed(kind websocket.MessageType, frame []byte, want websocket.StatusCode) {
	c.t.Helper()
	written := make(chan struct{})
	go func() { defer close(written); c.conn.Write(context.Background(), kind, frame) }()
	ctx, cancel := context.WithTimeout(c.t.Context(), 30*time.Second)
	defer cancel()
	for {
		_, _, err := c.conn.Read(ctx)
		if err == nil {
			continue // answers to what was said before
		}
		if code := websocket.CloseStatus(err); code != want {
			c.t.Errorf("the socket ends with %v, want %v", err, want)
		}
		break
	}
	c.conn.CloseNow()
	<-written
}

const call = `{"jsonrpc":"2.0","id":1,"method":"same",`

// badFrames are answered with an error, each in its own words, and the socket
// goes on.
var badFrames = []struct{ name, frame, want string }{
	{"not JSON", `{"jsonrpc":"2.0","id":1,`, "null -32700 parse_error not_sent"},
	{"hi", `hi`, "null -32700 parse_error not_sent"},
	{"nothing", ``, "null -32700 parse_error not_sent"},
	{"null", `null`, "null -32600 invalid_request not_sent"},
	{"an empty array", `[]`, "null -32600 invalid_request not_sent"},
	{"nested deep", deep, "null -32600 invalid_request not_sent"},
	{"nested deep and left open", deep[:deepest], "null -32600 invalid_request not_sent"},
	{"params nested deep", call + `"params":` + deep + `}`, "null -32600 invalid_request not_sent"},
	{"method twice", call + `"method":"same"}`, "1 -32600 invalid_request not_sent"},
	{"id twice", call + `"id":2}`, "null -32600 invalid_request not_sent"},
	{"id twice, once escaped", call + `"\u0069d":2}`, "null -32600 invalid_request not_sent"},
	{"params twice", call + `"params":1,"params":2}`, "1 -32600 invalid_request not_sent"},
	{"id an object", `{"jsonrpc":"2.0","id":{},"method":"same"}`, "null -32600 invalid_request not_sent"},
	{"id null", `{"jsonrpc":"2.0","id":null,"method":"same"}`, "null -32600 invalid_request not_sent"},
	{"method a number", `{"jsonrpc":"2.0","id":1,"method":1}`, "1 -32600 invalid_request not_sent"},
	{"jsonrpc a number", `{"jsonrpc":2.0,"id":1,"method":"same"}`, "1 -32600 invalid_request not_sent"},
	{"meta an array", call + `"meta":[]}`, "1 -32600 invalid_request not_sent"},
	{"key a number", call + `"meta":{"key":1}}`, "1 -32602 invalid_params not_sent"},
	{"headers an array", call + `"meta":{"headers":[]}}`, "1 -32602 invalid_params not_sent"},
	{"a header that is a number", call + `"meta":{"headers":{"x-a":1}}}`, "1 -32602 invalid_params not_sent"},
	{"unknown service", `{"jsonrpc":"2.0","id":1,"method":"nobody"}`, "1 -32601 unknown_service not_sent"},
	{"unknown control message", `{"jsonrpc":"2.0","id":1,"method":"$/frobnicate"}`, "1 -32601 unknown_service not_sent"},
	{"timeout negative", call + `"meta":{"timeout":-1}}`, "1 -32602 invalid_params not_sent"},
	{"timeout huge", call + `"meta":{"timeout":99999999999999999999}}`, "1 -32602 invalid_params not_sent"},
	{"timeout beyond numbers", call + `"meta":{"timeout":1e999}}`, "1 -32602 invalid_params not_sent"},
	{"timeout a string", call + `"meta":{"timeout":"1"}}`, "1 -32602 invalid_params not_sent"},
	{"Parley's request id", call + `"meta":{"headers":{"parley-request-id":"x"}}}`, "1 -32602 invalid_params not_sent"},
	{"Parley's reply topic, escaped", call + `"meta":{"headers":{"\u0070arley-reply-topic":"x"}}}`, "1 -32602 invalid_params not_sent"},
	{"Parley's name in capitals", call + `"meta":{"headers":{"Parley-Subject":"x"}}}`, "1 -32602 invalid_params not_sent"},
	{"another dialect's name", call + `"meta":{"headers":{"kafka_replytopic":"x"}}}`, "1 -32602 invalid_params not_sent"},
}

// Whatever a client sends over a socket, through either door, it is told what is
// wrong with it; a bystander is served as before, and nothing is left behind.
func TestBadFrames(t *testing.T) {
	c, hand := badNode(t)
	p := c.nodes[0]
	c.watched(func() {
		for _, door := range []string{"plain", "v1"} {
			for _, bad := range badFrames {
				t.Run(door+"/"+bad.name, func(t *testing.T) {
					s := p.talk(t, door)
					s.wants(s.ask(bad.frame), bad.want)
					s.wants(s.ask(call+`"params":[ 1 ]}`), "1 [ 1 ]")
					s.conn.Close(websocket.StatusNormalClosure, "")
				})
			}
			t.Run(door+"/an id in use", func(t *testing.T) { idInUse(p.talk(t, door), hand) })
			t.Run(door+"/a binary frame", func(t *testing.T) {
				p.talk(t, door).closed(websocket.MessageBinary, []byte(call+`"params":1}`), 1003)
			})
			t.Run(door+"/no UTF-8", func(t *testing.T) {
				p.talk(t, door).closed(websocket.MessageText, []byte(call+"\"params\":\"\xff\"}"), 1007)
			})
			t.Run(door+"/5 MB", func(t *testing.T) {
				p.talk(t, door).closed(websocket.MessageText, bytes.Repeat([]byte("x"), fiveMB), 1009)
			})
			t.Run(door+"/eleven bad messages", func(t *testing.T) {
				s := p.talk(t, door)
				for range 10 {
					s.wants(s.ask(`hi`), "null -32700 parse_error not_sent")
				}
				s.closed(websocket.MessageText, []byte(`hi`), 4400)
			})
		}
		t.Run("v1/no hello", func(t *testing.T) {
			s := p.talk(t, "plain")
			opts := &websocket.DialOptions{Subprotocols: []string{"parley.v1"}}
			conn, _, err := websocket.Dial(t.Context(), strings.Replace(p.url, "http", "ws", 1)+"/ws", opts)
			if err != nil {
				t.Fatal(err)
			}
			s.conn.CloseNow()
			(&talker{t, conn}).closed(websocket.MessageText, []byte(call+`"params":1}`), 4400)
		})
	})
	hand.none()
}

// idInUse uses the id of an open request again: the same message is taken for
// the one that is open, another one is refused, and the open one goes on.
func idInUse(s *talker, hand *byHand) {
	s.t.Helper()
	const open = `{"jsonrpc":"2.0","id":"i","method":"hand","params":1}`
	s.say(open)
	request := hand.next()
	s.say(open)
	s.wants(s.ask(`{"jsonrpc":"2.0","id":"i","method":"hand","params":2}`), `"i" -32009 duplicate_id not_sent`)
	s.wants(s.ask(`{"jsonrpc":"2.0","id":"i","method":"same","params":1}`), `"i" -32009 duplicate_id not_sent`)
	hand.reply(answerTo(request, `"once"`))
	s.wants(s.hear(), `"i" "once"`)
	s.wants(s.ask(`{"jsonrpc":"2.0","id":"i","method":"same","params":3}`), `"i" 3`)
}
