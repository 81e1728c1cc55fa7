package ws

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"parley/routing"
)

var seeds = []string{
	`{"jsonrpc":"2.0","id":1,"method":"orders","params":{"a":[1,"x",null]},"meta":{"key":"k","timeout":5000,"headers":{"x-a":"b"},"want":["trace","headers"]}}`,
	`{"jsonrpc":"2.0","method":"$/hello","params":{"token":"t","resume":{"session":"s","secret":"x","open":[1,"2"]},"accepted":true}}`,
	`{"jsonrpc":"2.0","method":"$/credit","params":{"id":1,"n":16}}`, `{"params":{"resume":{"streams":[{"id":7,"next":5,"credit":27}]}},"meta":{"credit":8}}`,
	`[{"jsonrpc":"2.0","id":"a","method":"x"},1,[]]`, `{"jsonrpc":"2.0","method":"$/ack","params":{"seq":6}}`,
	`hi`, `null`, `[]`, `{}`, ``, `{"\u0069d":1,"id":"\ud800"}`, `{"params": {"a":1,"a":2} ,"x":{}}`, `{"params":{"$bytes":"aGk="}}`,
	strings.Repeat("[", 70) + strings.Repeat("]", 70), `{"a":"\"[[["}`, "{\"a\":\"\xff\"}", "\ufeff{}", `{"a":1e999}`, `1 2`,
}

// FuzzDecode: no frame makes the decoder panic, and what it takes for a message
// is JSON to the standard library too, with the same members.
func FuzzDecode(f *testing.F) {
	for _, seed := range seeds {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		if !utf8.Valid(frame) || nestsDeeper(frame, maxDepth) {
			return
		}
		before := bytes.Clone(frame)
		p := parsers.Get().(*parser)
		defer p.release()
		m, e := p.decode(frame)
		if !bytes.Equal(frame, before) {
			t.Fatalf("the frame was changed: %q to %q", before, frame)
		}
		if valid := json.Valid(frame); valid != (e == nil || e.Word != routing.ParseError) {
			t.Fatalf("%q: JSON %v, but %v", frame, valid, e)
		}
		if e != nil {
			return
		}
		var want struct {
			ID     json.RawMessage `json:"id"`
			Method string          `json:"method"`
			Params json.RawMessage `json:"params"`
			Meta   json.RawMessage `json:"meta"`
		}
		// The standard library takes ID for id: leave such frames out.
		var names map[string]json.RawMessage
		if json.Unmarshal(frame, &names) != nil || json.Unmarshal(frame, &want) != nil || foldedTwice(names) {
			return
		}
		if string(m.id) != string(want.ID) || string(m.method) != want.Method || string(m.params) != string(want.Params) || string(m.meta) != string(want.Meta) {
			t.Fatalf("%q: got %q %q %q %q", frame, m.id, m.method, m.params, m.meta)
		}
		readAllOf(t, p, &m)
	})
}

// foldedTwice tells whether some names differ from those of a message in case only.
func foldedTwice(names map[string]json.RawMessage) bool {
	for name := range names {
		for _, ours := range []string{"jsonrpc", "id", "method", "params", "meta"} {
			if name != ours && strings.EqualFold(name, ours) {
				return true
			}
		}
	}
	return false
}

// readAllOf reads everything that a message can mean.
func readAllOf(t *testing.T, p *parser, m *message) {
	body, _, e := p.body(m.params)
	if e == nil && m.params != nil && !bytes.Contains(m.params, []byte("$bytes")) && !bytes.Equal(body, m.params) {
		t.Fatalf("params %q became %q", m.params, body)
	}
	var call routing.Call
	if e := p.meta(m.meta, &call, &routing.Service{}, func(string) bool { return false }); e == nil {
		for _, h := range call.Headers {
			if !isToken(h.Key) {
				t.Fatalf("header %q", h.Key)
			}
		}
		if call.Timeout < 0 || call.Timeout > maxTimeout {
			t.Fatalf("timeout %v", call.Timeout)
		}
	}
	_, _ = p.hello(m.params, 8)
	_, _ = p.only(m.params, "seq")
	if id, n, e := p.credit(m.params); e == nil && (id == "" || n < 1) {
		t.Fatalf("%q is credit for %q: %d", m.params, id, n)
	}
}

// FuzzBatch: a batch is taken apart into what the standard library finds in it.
func FuzzBatch(f *testing.F) {
	for _, seed := range seeds {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		if !utf8.Valid(frame) || nestsDeeper(frame, maxDepth) || !isBatch(frame) {
			return
		}
		p := parsers.Get().(*parser)
		defer p.release()
		parts, e := p.elements(frame)
		var want []json.RawMessage
		err := json.Unmarshal(frame, &want)
		if (err == nil) != (e == nil || e.Word != routing.ParseError) || e == nil && len(parts) != len(want) {
			t.Fatalf("%q: %v, %v, %d parts", frame, err, e, len(parts))
		}
		for i := range parts {
			if e == nil && string(parts[i]) != string(want[i]) {
				t.Fatalf("%q: part %d is %q", frame, i, parts[i])
			}
		}
	})
}

// FuzzPayload: whatever bytes a service replies, the client's message is valid
// JSON in UTF-8, and the bytes can be had back from it.
func FuzzPayload(f *testing.F) {
	for _, seed := range seeds {
		f.Add([]byte(seed), "text/plain", "x-a")
	}
	s := &Server{}
	f.Fuzz(func(t *testing.T, body []byte, contentType, header string) {
		reply := &routing.Reply{Body: body, ContentType: contentType, Headers: []routing.Header{{Key: header, Value: body}, {Key: contentType, Value: body}}}
		reply.Err = &routing.ServiceError{Code: contentType, Message: header}
		d := routing.Delivery{ClientID: "1", Reply: reply, WantHeaders: true}
		frame := s.appendDelivery(nil, &d, true)
		var got struct{ Result json.RawMessage }
		if err := json.Unmarshal(frame, &got); err != nil || !utf8.Valid(frame) {
			t.Fatalf("%v: %q", err, frame)
		}
		d.Err = &routing.Error{Word: routing.FromService, Reply: reply}
		if frame := s.appendDelivery(nil, &d, true); !json.Valid(frame) || !utf8.Valid(frame) {
			t.Fatalf("%q", frame)
		}
		var wrapped struct {
			Bytes []byte `json:"$bytes"`
		}
		switch {
		case len(body) == 0, string(got.Result) == string(bytes.Trim(body, " \t\r\n")):
		case json.Unmarshal(got.Result, &wrapped) != nil || !bytes.Equal(wrapped.Bytes, body):
			t.Fatalf("%q became %q", body, got.Result)
		}
	})
}

// Decoding a usual request allocates only what the router keeps of it.
func TestDecodeAllocations(t *testing.T) {
	frame := []byte(`{"jsonrpc":"2.0","id":17,"method":"orders","params":{"sku":"A-1","n":3,"note":"deliver to the back door, please"}}`)
	p := parsers.Get().(*parser)
	defer p.release()
	if n := testing.AllocsPerRun(100, func() {
		if _, e := p.decode(frame); e != nil || nestsDeeper(frame, maxDepth) {
			t.Fatal(e)
		}
	}); n != 0 {
		t.Errorf("decode: %v allocations", n)
	}
	m, _ := p.decode(frame)
	if n := testing.AllocsPerRun(100, func() {
		if _, _, e := p.body(m.params); e != nil {
			t.Fatal(e)
		}
	}); n != 1 {
		t.Errorf("body: %v allocations, want the copy", n)
	}
	var call routing.Call
	meta := []byte(`{"timeout":5000,"want":["trace"]}`)
	if n := testing.AllocsPerRun(100, func() {
		if e := p.meta(meta, &call, &routing.Service{}, nil); e != nil {
			t.Fatal(e)
		}
	}); n != 0 {
		t.Errorf("meta: %v allocations", n)
	}
}

// Encoding an answer into a buffer that is large enough allocates nothing.
func TestEncodeAllocations(t *testing.T) {
	s := &Server{}
	i := &item{kind: delivery, d: routing.Delivery{ClientID: "17", Seq: 3, Reply: &routing.Reply{Body: []byte(`{"order":"O-1","total":12.5}`), Final: true}}}
	buf := make([]byte, 0, 4096)
	if n := testing.AllocsPerRun(100, func() { buf = appendFrame(buf[:0], i, true, s) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// A frame's header says how long the frame is, in the shortest form.
func TestFrameHeaders(t *testing.T) {
	for n, head := range map[int]string{
		20: "\x81\x14", 125: "\x81\x7d", 126: "\x81\x7e\x00\x7e", 65535: "\x81\x7e\xff\xff", 65536: "\x81\x7f\x00\x00\x00\x00\x00\x01\x00\x00",
	} {
		payload := strings.Repeat("x", n)
		got := string(appendFrame([]byte("before"), &item{kind: text, text: []byte(payload)}, true, nil))
		if got != "before"+head+payload {
			t.Errorf("%d bytes: header % x", n, got[6:16])
		}
	}
}
