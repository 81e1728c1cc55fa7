package ws

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
)

// Whatever a client sends instead of a proper message, it gets an error that
// says what is wrong, its socket goes on, and others notice nothing.
func TestBadMessages(t *testing.T) {
	const request = `{"jsonrpc":"2.0","id":1,"method":"echo",`
	deep := strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000)
	many := make([]string, 33)
	for i := range many {
		many[i] = fmt.Sprintf(`"x-%d":"1"`, i)
	}
	tests := []struct{ name, frame, id, word string }{
		{"nothing", ``, "null", "parse_error"},
		{"hi", `hi`, "null", "parse_error"},
		{"cut off", request + `"params":{`, "null", "parse_error"},
		{"two values", request + `"params":1} {}`, "null", "parse_error"},
		{"trailing comma", request + `"params":[1,]}`, "null", "parse_error"},
		{"NaN", request + `"params":NaN}`, "null", "parse_error"},
		{"null", `null`, "null", "invalid_request"},
		{"string", `"echo"`, "null", "invalid_request"},
		{"number", `1`, "null", "invalid_request"},
		{"empty array", `[]`, "null", "invalid_request"},
		{"empty object", `{}`, "null", "invalid_request"},
		{"nested deep", deep, "null", "invalid_request"},
		{"nested deep and not closed", deep[:10_000], "null", "invalid_request"},
		{"params nested deep", request + `"params":` + deep + `}`, "null", "invalid_request"},
		{"method twice", request + `"method":"echo"}`, "1", "invalid_request"},
		{"id twice", request + `"id":2}`, "null", "invalid_request"},
		{"id twice, once with escapes", request + `"\u0069d":2}`, "null", "invalid_request"},
		{"params twice", request + `"params":1,"params":2}`, "1", "invalid_request"},
		{"no jsonrpc", `{"id":1,"method":"echo"}`, "1", "invalid_request"},
		{"old jsonrpc", `{"jsonrpc":"1.0","id":1,"method":"echo"}`, "1", "invalid_request"},
		{"jsonrpc a number", `{"jsonrpc":2.0,"id":1,"method":"echo"}`, "1", "invalid_request"},
		{"no method", `{"jsonrpc":"2.0","id":"a"}`, `"a"`, "invalid_request"},
		{"method a number", `{"jsonrpc":"2.0","id":1,"method":1}`, "1", "invalid_request"},
		{"a response", `{"jsonrpc":"2.0","id":1,"result":1}`, "1", "invalid_request"},
		{"id null", `{"jsonrpc":"2.0","id":null,"method":"echo"}`, "null", "invalid_request"},
		{"id an object", `{"jsonrpc":"2.0","id":{},"method":"echo"}`, "null", "invalid_request"},
		{"id too long", `{"jsonrpc":"2.0","id":"` + strings.Repeat("x", 127) + `","method":"echo"}`, "null", "invalid_request"},
		{"meta an array", request + `"meta":[]}`, "1", "invalid_request"},
		{"unknown service", `{"jsonrpc":"2.0","id":1,"method":"nobody"}`, "1", "unknown_service"},
		{"empty method", `{"jsonrpc":"2.0","id":1,"method":""}`, "1", "unknown_service"},
		{"unknown control message", `{"jsonrpc":"2.0","id":1,"method":"$/nope","params":{"request":"x"}}`, "1", "unknown_service"},
		{"no base64", request + `"params":{"$bytes":"%"}}`, "1", "invalid_params"},
		{"key a number", request + `"meta":{"key":1}}`, "1", "invalid_params"},
		{"timeout negative", request + `"meta":{"timeout":-1}}`, "1", "invalid_params"},
		{"timeout zero", request + `"meta":{"timeout":0}}`, "1", "invalid_params"},
		{"timeout huge", request + `"meta":{"timeout":60001}}`, "1", "invalid_params"},
		{"timeout beyond numbers", request + `"meta":{"timeout":1e999}}`, "1", "invalid_params"},
		{"timeout a fraction", request + `"meta":{"timeout":1.5}}`, "1", "invalid_params"},
		{"timeout a string", request + `"meta":{"timeout":"1"}}`, "1", "invalid_params"},
		{"timeout twice", request + `"meta":{"timeout":1,"timeout":2}}`, "1", "invalid_params"},
		{"want a string", request + `"meta":{"want":"trace"}}`, "1", "invalid_params"},
		{"want numbers", request + `"meta":{"want":[1]}}`, "1", "invalid_params"},
		{"headers an array", request + `"meta":{"headers":[]}}`, "1", "invalid_params"},
		{"header of Parley's own", request + `"meta":{"headers":{"parley-request-id":"x"}}}`, "1", "invalid_params"},
		{"header of Parley's own, escaped", request + `"meta":{"headers":{"\u0070arley-request-id":"x"}}}`, "1", "invalid_params"},
		{"header with capitals", request + `"meta":{"headers":{"Parley-Request-Id":"x"}}}`, "1", "invalid_params"},
		{"header with a colon", request + `"meta":{"headers":{"zilla:reply-to":"x"}}}`, "1", "invalid_params"},
		{"header without a name", request + `"meta":{"headers":{"":"x"}}}`, "1", "invalid_params"},
		{"header twice", request + `"meta":{"headers":{"x-a":"x","x-a":"y"}}}`, "1", "invalid_params"},
		{"header a number", request + `"meta":{"headers":{"x-a":1}}}`, "1", "invalid_params"},
		{"headers too many", request + `"meta":{"headers":{` + strings.Join(many, ",") + `}}}`, "1", "invalid_params"},
		{"headers too large", request + `"meta":{"headers":{"x-a":"` + strings.Repeat("x", 8<<10) + `"}}}`, "1", "invalid_params"},
		{"ack from a plain client", `{"jsonrpc":"2.0","method":"$/ack","params":{"seq":1}}`, "null", "invalid_request"},
		{"cancel without an id", `{"jsonrpc":"2.0","method":"$/cancel","params":{}}`, "null", "invalid_params"},
		{"cancel without params", `{"jsonrpc":"2.0","method":"$/cancel","id":5}`, "5", "invalid_params"},
		{"cancel of no id", `{"jsonrpc":"2.0","method":"$/cancel","params":{"id":[]}}`, "null", "invalid_params"},
		{"hello with a bad token", `{"jsonrpc":"2.0","method":"$/hello","params":{"token":1}}`, "null", "invalid_params"},
		{"hello with a bad open", `{"jsonrpc":"2.0","method":"$/hello","params":{"resume":{"open":[null]}}}`, "null", "invalid_params"},
		{"hello with a bad resume", `{"jsonrpc":"2.0","method":"$/hello","params":{"resume":true}}`, "null", "invalid_params"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, Options{})
				bystander := r.greeted()
				c := r.dial("")
				got := parse(t, c.ask(test.frame))
				if got.Error == nil {
					t.Fatalf("no error but %+v", got)
				}
				same(t, "id", string(got.ID), test.id)
				same(t, "word", got.Error.Data.Code, test.word)
				same(t, "outcome", got.Error.Data.Outcome, "not_sent")
				same(t, "refusals", r.counted.get("refused "+test.word), 1)
				same(t, "requests that reached a topic", r.topics.count(), 0)
				if example := string(got.Error.Data.Example); strings.Contains("parse_error invalid_request unknown_service", test.word) {
					same(t, "answer to the example", c.ask(example), `{"jsonrpc":"2.0","id":1,"result":{"hello":"world"}}`)
				}
				same(t, "next answer", c.ask(`{"jsonrpc":"2.0","id":2,"method":"echo","params":[ 1 ]}`), `{"jsonrpc":"2.0","id":2,"result":[ 1 ]}`)
				same(t, "bystander's answer", bystander.ask(`{"jsonrpc":"2.0","id":"b","method":"echo"}`), `{"jsonrpc":"2.0","id":"b","result":null,"seq":1}`)
			})
		})
	}
}

// What is no text of a reasonable size ends the socket with the code that says
// so, even when the client is still in the midst of sending, and nobody else's.
func TestBadFrames(t *testing.T) {
	five := strings.Repeat("x", 5<<20)
	tests := []struct {
		name, frame string
		kind        websocket.MessageType
		code        websocket.StatusCode
		word        string
	}{
		{"binary", "{}", websocket.MessageBinary, 1003, "binary"},
		{"binary, large", five, websocket.MessageBinary, 1003, "binary"},
		{"no UTF-8", "\"\xff\"", websocket.MessageText, 1007, "not_utf8"},
		{"5 MB", five, websocket.MessageText, 1009, "frame_too_big"},
		{"one byte too many", five[:1<<20+1], websocket.MessageText, 1009, "frame_too_big"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, Options{})
				bystander := r.greeted()
				c := r.dial("")
				// The close frame comes while the client writes: as with a browser, it is
				// to be read nevertheless.
				written := make(chan error, 1)
				go func() { written <- c.ws.Write(context.Background(), test.kind, []byte(test.frame)) }()
				code, _ := c.closed()
				same(t, "close code", code, test.code)
				<-written
				synctest.Wait()
				same(t, "closes counted", r.counted.get("refused "+test.word), 1)
				same(t, "sockets left", r.server.Sockets(), 1)
				same(t, "bystander's answer", bystander.ask(`{"jsonrpc":"2.0","id":"b","method":"echo"}`), `{"jsonrpc":"2.0","id":"b","result":null,"seq":1}`)
			})
		})
	}
}

// A frame of exactly the limit is no problem.
func TestLargestFrame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		const head, tail = `{"jsonrpc":"2.0","id":1,"method":"echo","params":"`, `"}`
		payload := strings.Repeat("x", 1<<20-len(head)-len(tail))
		same(t, "answer's payload", string(parse(t, r.dial("").ask(head+payload+tail)).Result), `"`+payload+`"`)
	})
}

// Ten bad messages are forgiven, and again a minute later; the eleventh within
// a minute is answered, and the last.
func TestElevenBadMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{Ping: time.Hour})
		c := r.dial("")
		for range maxBad {
			c.ask(`hi`)
		}
		sleep(badWithin)
		for range maxBad {
			c.ask(`hi`)
		}
		sleep(badWithin / 2)
		c.say(`{"jsonrpc":"2.0","id":1,"method":"nobody"}`)
		code, answers := c.closed()
		same(t, "close code", code, 4400)
		same(t, "answers before the close", answers, 1)
	})
}

// A batch of nonsense is eleven bad messages at once.
func TestBadBatchCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newRig(t, Options{}).dial("")
		c.say("[" + strings.Repeat("1,", 49) + "1]")
		code, _ := c.closed()
		same(t, "close code", code, 4400)
	})
}
