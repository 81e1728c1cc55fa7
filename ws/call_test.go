package ws

import (
	"encoding/base64"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"parley/routing"
)

func sleep(d time.Duration) { time.Sleep(d) } // in a bubble, where it takes no time

// A request's payload reaches the service byte for byte, and so does the reply
// the client: the plain door gets nothing but the response, parley.v1 a seq too.
func TestPayloads(t *testing.T) {
	for _, params := range []string{
		`null`, `true`, `-0`, `1e400`, `""`, `"é\u0000\ud800 😀"`, `{}`, `[ ]`, ` { "a" : 1 , "a" : 2 } `, `{"$bytes":1}`,
		`{"$bytes":"aGk=","more":1}`, `[[[[[[]]]]]]`, "[1,\n\t2]",
	} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, Options{})
			plain, v1 := r.dial(""), r.greeted()
			frame := `{"jsonrpc":"2.0","id":"é","method":"echo","params":` + params + `}`
			bare := strings.TrimSpace(params)
			same(t, "plain answer", plain.ask(frame), `{"jsonrpc":"2.0","id":"é","result":`+bare+`}`)
			same(t, "payload", string(r.topics.last().Call.Body), bare)
			same(t, "content type", r.topics.last().Call.ContentType, typeJSON)
			same(t, "v1 answer", v1.ask(frame), `{"jsonrpc":"2.0","id":"é","result":`+bare+`,"seq":1}`)
		})
	}
}

// What is not JSON travels as base64, both ways.
func TestBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		c := r.dial("")
		all := make([]byte, 256)
		for i := range all {
			all[i] = byte(i)
		}
		value := `{"$bytes":"` + base64.StdEncoding.EncodeToString(all) + `"}`
		got := c.ask(`{"jsonrpc":"2.0","id":1,"method":"echo","params": ` + value + `}`)
		same(t, "answer", got, `{"jsonrpc":"2.0","id":1,"result":`+value+`,"meta":{"contentType":"application/octet-stream"}}`)
		same(t, "payload", string(r.topics.last().Call.Body), string(all))
		// Bytes that are JSON come back as JSON.
		got = c.ask(`{"jsonrpc":"2.0","id":1,"method":"echo","params":{"$bytes":"eyJhIjoxfQ=="}}`)
		same(t, "answer", got, `{"jsonrpc":"2.0","id":1,"result":{"a":1}}`)
		// Absent and empty are an empty body, which comes back as null.
		same(t, "answer", c.ask(`{"jsonrpc":"2.0","id":1,"method":"echo"}`), `{"jsonrpc":"2.0","id":1,"result":null}`)
		same(t, "answer", c.ask(`{"jsonrpc":"2.0","id":1,"method":"echo","params":{"$bytes":""}}`), `{"jsonrpc":"2.0","id":1,"result":null}`)
	})
}

// Whatever a service replies, the client gets a valid message.
func TestReplies(t *testing.T) {
	b64 := func(s string) string { return `{"$bytes":"` + base64.StdEncoding.EncodeToString([]byte(s)) + `"}` }
	for service, want := range map[string]string{
		"plain":     `"result":` + b64("hello there") + `,"meta":{"contentType":"text/plain"}}`,
		"binary":    `"result":` + b64("\x00\xff\"}") + `}`,
		"badutf8":   `"result":` + b64("{\"a\":\"\xff\"}") + `}`,
		"twice":     `"result":{ "a":1, "a":"\ud800" }}`,
		"truncated": `"result":` + b64(`{"a":`) + `}`,
		"huge":      `"error":{"code":-32006,"message":"the service's reply has 5242882 bytes; the limit is 1048576","data":{"code":"too_large","outcome":"done","retry":false}}}`,
		"fail": `"error":{"code":-32010,"message":"none left","data":{"code":"service_error","outcome":"done","retry":false,` +
			`"service":{"code":"sold_out","message":"none left","status":409,"body":{"left":0}}}}}`,
		"stream": `"result":3}`,
	} {
		synctest.Test(t, func(t *testing.T) {
			c := newRig(t, Options{}).dial("")
			same(t, service, c.ask(`{"jsonrpc":"2.0","id":1,"method":"`+service+`"}`), `{"jsonrpc":"2.0","id":1,`+want)
			same(t, "next", c.ask(`{"jsonrpc":"2.0","id":2,"method":"echo"}`), `{"jsonrpc":"2.0","id":2,"result":null}`)
		})
	}
}

// A streamed answer comes in parts under parley.v1, and all of it waits for the
// acknowledgement.
func TestStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		c := r.greeted()
		same(t, "part 0", c.ask(`{"jsonrpc":"2.0","id":1,"method":"stream"}`), `{"jsonrpc":"2.0","method":"$/reply","params":{"id":1,"n":0,"data":1},"seq":1}`)
		same(t, "part 1", c.hear(), `{"jsonrpc":"2.0","method":"$/reply","params":{"id":1,"n":1,"data":{"$bytes":"dHdv"}},"seq":2}`)
		same(t, "last", c.hear(), `{"jsonrpc":"2.0","id":1,"result":3,"seq":3}`)
		synctest.Wait()
		same(t, "receipts before the ack", r.topics.done, 0)
		c.say(`{"jsonrpc":"2.0","method":"$/ack","params":{"seq":2}}`)
		synctest.Wait()
		same(t, "receipts after the ack", r.topics.done, 2)
		same(t, "ack of what was never sent", parse(t, c.ask(`{"jsonrpc":"2.0","method":"$/ack","params":{"seq":4}}`)).Error.Data.Code, "invalid_request")
	})
}

// To a plain client's session, written is acknowledged.
func TestPlainAcknowledgesByWriting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		r.dial("").ask(`{"jsonrpc":"2.0","id":1,"method":"stream"}`)
		synctest.Wait()
		same(t, "receipts", r.topics.done, 3)
	})
}

// meta sets the record's key, headers and deadline, and what the answer tells.
func TestMeta(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		c := r.dial("")
		got := parse(t, c.ask(`{"jsonrpc":"2.0","id":1,"method":"echo","params":1,"meta":{"key":"k\u00e9","timeout":5e3,"headers":{"x-a":"b","x-c":""},"want":["trace","headers","moons"],"more":[]}}`))
		call := r.topics.last().Call
		same(t, "key", string(call.Key), "ké")
		same(t, "timeout", call.Timeout, 5*time.Second)
		same(t, "headers", len(call.Headers), 2)
		same(t, "first header", call.Headers[0].Key+"="+string(call.Headers[0].Value), "x-a=b")
		for _, part := range []string{`"headers":{"x-a":"b","x-c":""}`, `"trace":{"request":"`, `"requestRecord":{"topic":"echo.requests","partition":1,"offset":7}`, `"path":"home"`} {
			if !strings.Contains(string(got.Meta), part) {
				t.Errorf("meta %s lacks %s", got.Meta, part)
			}
		}
		got = parse(t, c.ask(`{"jsonrpc":"2.0","id":1,"method":"odd","meta":{"want":["headers"]}}`))
		same(t, "odd headers", string(got.Meta), `{"headers":{"x-\"b":{"$bytes":"/w=="},"x-a":"new\n"}}`)
	})
}

// A request that nobody answers ends at its deadline; the service may have seen it.
func TestTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newRig(t, Options{}).dial("")
		start := time.Now()
		got := parse(t, c.ask(`{"jsonrpc":"2.0","id":1,"method":"silent","meta":{"timeout":250}}`))
		same(t, "word", got.Error.Data.Code, "timeout")
		same(t, "number", got.Error.Code, -32001)
		same(t, "outcome", got.Error.Data.Outcome, "unknown")
		if took := time.Since(start); took < 250*time.Millisecond || took > 300*time.Millisecond {
			t.Errorf("it took %v", took)
		}
	})
}

// An id in use: the same bytes are ignored, others refused, and the open request
// goes on, until it is cancelled.
func TestSentAgainAndCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		c := r.dial("")
		c.say(`{"jsonrpc":"2.0","id":1,"method":"silent"}`)
		c.say(`{"jsonrpc":"2.0","id":1,"method":"silent"}`)
		same(t, "other bytes", parse(t, c.ask(`{"jsonrpc":"2.0","id":1,"method":"silent" }`)).Error.Data.Code, "duplicate_id")
		same(t, "requests", r.topics.count(), 1)
		same(t, "another id", c.ask(`{"jsonrpc":"2.0","id":1.0,"method":"echo"}`), `{"jsonrpc":"2.0","id":1.0,"result":null}`)
		same(t, "cancel of nothing", c.ask(`{"jsonrpc":"2.0","id":"c","method":"$/cancel","params":{"id":"1"}}`), `{"jsonrpc":"2.0","id":"c","result":false}`)
		got := parse(t, c.ask(`{"jsonrpc":"2.0","id":"c","method":"$/cancel","params":{"id":1}}`))
		same(t, "outcome", string(got.ID)+" "+got.Error.Data.Code, "1 cancelled")
		same(t, "cancel", c.hear(), `{"jsonrpc":"2.0","id":"c","result":true}`)
	})
}

// More open requests than a session may have are overloaded, and safe to send again.
func TestTooManyOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newRig(t, Options{OpenRequests: 2}).dial("")
		c.say(`{"jsonrpc":"2.0","id":1,"method":"silent"}`)
		c.say(`{"jsonrpc":"2.0","id":2,"method":"silent"}`)
		got := parse(t, c.ask(`{"jsonrpc":"2.0","id":3,"method":"echo"}`)).Error.Data
		same(t, "word", got.Code, "overloaded")
		same(t, "outcome", got.Outcome, "not_sent")
		same(t, "retry", got.Retry, true)
	})
}

// A request without an id is produced, and nothing comes back, whatever is wrong with it.
func TestNotification(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		c := r.dial("")
		c.say(`{"jsonrpc":"2.0","method":"echo","params":"for nobody"}`)
		c.say(`{"jsonrpc":"2.0","method":"nobody"}`)
		c.say(`{"jsonrpc":"2.0","method":"echo","meta":{"timeout":-1}}`)
		c.say(`{"jsonrpc":"2.0","method":"rpc.discover"}`)
		c.say(`{"jsonrpc":"2.0","method":"$/unheard-of"}`)
		same(t, "first answer", c.ask(`{"jsonrpc":"2.0","id":1,"method":"echo"}`), `{"jsonrpc":"2.0","id":1,"result":null}`)
		same(t, "requests", r.topics.count(), 2)
		same(t, "first request's id", r.topics.seen[0].ID, routing.RequestID(""))
	})
}
