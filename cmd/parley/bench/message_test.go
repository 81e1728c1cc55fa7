package bench

import (
	"encoding/json"
	"testing"
)

// Answers are read as the gateway writes them, whatever the order of members.
func TestParse(t *testing.T) {
	for _, c := range []struct{ message, id, result, seq, method, word string }{
		{`{"jsonrpc":"2.0","id":1,"result":{"a":[1,"}"]},"seq":4}`, "1", `{"a":[1,"}"]}`, "4", "", ""},
		{` { "seq" : 4 , "result" : null , "id" : "x\"y" } `, `"x\"y"`, "null", "4", "", ""},
		{`{"jsonrpc":"2.0","id":1,"error":{"code":-32001,"message":"m","data":{"code":"timeout","outcome":"unknown"}},"seq":5}`, "1", "", "5", "", "timeout"},
		{`{"id":1,"error":{"code":-32600,"message":"m"}}`, "1", "", "", "", "-32600"},
		{`{"jsonrpc":"2.0","method":"$/welcome","params":{}}`, "", "", "", `"$/welcome"`, ""},
	} {
		f, ok := parse([]byte(c.message))
		word := ""
		if f.failure != nil {
			word = f.word()
		}
		if !ok || string(f.id) != c.id || string(f.result) != c.result || string(f.seq) != c.seq || string(f.method) != c.method || word != c.word {
			t.Errorf("%s: %q, %q", c.message, f, word)
		}
	}
}

// No message makes the scanner panic, and of valid objects it finds the members
// that encoding/json finds.
func FuzzMembers(f *testing.F) {
	for _, s := range []string{`{"id":1,"result":[{"a":"\\"}],"seq":2}`, `{}`, `{"a":}`, `{"a"`, `[1]`, `{"\u0061":1}`, `{"a":1 ,"a":2}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		got := map[string]json.RawMessage{}
		ok := members(b, func(name, value []byte) {
			var s string
			json.Unmarshal([]byte(`"`+string(name)+`"`), &s)
			got[s] = json.RawMessage(value)
		})
		parse(b)
		var want map[string]json.RawMessage
		if json.Unmarshal(b, &want) != nil || want == nil {
			return
		}
		if !ok || len(got) != len(want) {
			t.Fatalf("%q: %v, got %v", b, ok, got)
		}
		for name, value := range want {
			if string(got[name]) != string(value) {
				t.Errorf("%q: %q is %q, want %q", b, name, got[name], value)
			}
		}
	})
}

// A payload is recognised as the one it is, and as no other.
func TestPayload(t *testing.T) {
	p, err := NewPayload(MinPayload, 42)
	if err != nil {
		t.Fatal(err)
	}
	b := p.Write(nil, 3, 9)
	if len(b) != MinPayload || !json.Valid(b) || !p.Is(b, 3, 9) {
		t.Errorf("%s", b)
	}
	if p.Is(b, 3, 10) || p.Is(b, 4, 9) || p.Is(b[1:], 3, 9) {
		t.Errorf("%s is taken for another's", b)
	}
	for i := range b {
		b[i] ^= 1
		if p.Is(b, 3, 9) {
			t.Errorf("%s is taken for the right one", b)
		}
		b[i] ^= 1
	}
	if _, err := NewPayload(MinPayload-1, 42); err == nil {
		t.Error("no room for a nonce, and no error")
	}
}
