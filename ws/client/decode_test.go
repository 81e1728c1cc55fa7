package client

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"
)

// Whatever comes from a gateway, it is read or refused.
func FuzzMessage(f *testing.F) {
	for _, seed := range []string{
		`{"jsonrpc":"2.0","id":1,"result":{"a":[1]},"seq":4,"meta":{}}`,
		`{"jsonrpc":"2.0","id":1,"error":{"code":-32001,"message":"m","data":{"code":"timeout","outcome":"unknown","retry":false}},"seq":5}`,
		`{"method":"$/reply","params":{"id":1,"n":0,"data":{}},"seq":6}`,
		`{"method":"$/accepted","params":{"id":1,"request":"r"}}`,
		`{"method":"$/welcome","params":{"session":"S","secret":"s","resumed":true,"node":"a","limits":{"frame":1,"open":2,"resume":3}}}`,
		`{"method":"$/goaway","params":{"reconnect":[0,8000],"deadline":20000}}`,
		`{"method":"$/push","params":{"topic":"t","key":"k","event":"t/0/1","missed":2,"data":{}},"seq":7}`,
		`{"result":{"$bytes":"AP8="}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		p := newParser()
		defer p.release()
		kept := bytes.Clone(frame)
		m, err := p.message(frame)
		if err == nil && !valid(frame) {
			t.Error("bad JSON was taken")
		}
		_, _ = p.about(m.params)
		_, _ = p.welcome(m.params)
		_, _ = p.push(m.params)
		if from, to := p.goaway(m.params); from < 0 || to < from {
			t.Errorf("from %s to %s", from, to)
		}
		if p.failure(m.err) == nil {
			t.Error("no error")
		}
		_, _ = FromBytes(m.result)
		if !bytes.Equal(frame, kept) {
			t.Error("the frame was changed")
		}
	})
}

// What is sent is JSON, and within it params are as they were given.
func FuzzRequest(f *testing.F) {
	f.Add("orders", []byte(`{"a":[1,"b"]}`), "key", "h", "v", 5)
	f.Add("\xff", []byte("[[[["), "", "\"", "\x00", -1)
	f.Fuzz(func(t *testing.T, service string, params []byte, key, header, value string, ms int) {
		o := CallOptions{Key: key, Headers: map[string]string{header: value}, Timeout: time.Duration(ms) * time.Millisecond}
		frame, e := appendRequest(nil, 7, service, params, &o)
		if e != nil {
			return
		}
		var got struct {
			ID     int
			Method string
			Params json.RawMessage
			Meta   struct{ Key string }
		}
		if err := json.Unmarshal(frame, &got); err != nil {
			t.Fatalf("%v: %s", err, frame)
		}
		if got.ID != 7 || got.Method != service || got.Meta.Key != key {
			t.Errorf("got %+v", got)
		}
		if len(params) > 0 && !bytes.Contains(frame, params) {
			t.Error("params were changed")
		}
	})
}

// A mask that is applied twice is none, at all lengths and alignments.
func TestMask(t *testing.T) {
	for n := range 300 {
		payload := bytes.Repeat([]byte("parley"), 50)[:n]
		frame := appendMasked([]byte("x"), opText, payload, 0x12345678)
		header := 1 + 2 + 4
		if n >= 126 {
			header += 2
		}
		got := bytes.Clone(frame[header:])
		for i := range got {
			got[i] ^= [4]byte{0x78, 0x56, 0x34, 0x12}[i%4]
		}
		if !bytes.Equal(got, payload) {
			t.Fatalf("%d bytes: got %q", n, got)
		}
	}
}

// Delays that make no sense do not overflow.
func TestGoawayRange(t *testing.T) {
	p := newParser()
	defer p.release()
	for _, tt := range []struct {
		params   string
		from, to time.Duration
	}{
		{`{"reconnect":[0,8000]}`, 0, 8 * time.Second},
		{`{"reconnect":[ 1.5 , 2e1 ]}`, 1500 * time.Microsecond, 20 * time.Millisecond},
		{`{"reconnect":[9,8]}`, 9 * time.Millisecond, 9 * time.Millisecond},
		{`{"reconnect":[-5,1e300]}`, 0, time.Hour},
		{`{"reconnect":7}`, 7 * time.Millisecond, 7 * time.Millisecond},
		{`{}`, 0, 0},
	} {
		if from, to := p.goaway([]byte(tt.params)); from != tt.from || to != tt.to {
			t.Errorf("%s: from %s to %s", tt.params, from, to)
		}
	}
}

// What each call costs in allocations before it waits, and each reply until it is
// handed over: the frame's buffer, and nothing.
func TestAllocations(t *testing.T) {
	o := CallOptions{Key: "c-1", Timeout: time.Second}
	params := []byte(`{"customer":"c-1"}`)
	if n := testing.AllocsPerRun(100, func() {
		if _, e := appendRequest(make([]byte, 0, frameRoom+len(params)), 7, "orders", params, &o); e != nil {
			t.Fatal(e)
		}
	}); n > 1 {
		t.Errorf("a request costs %v allocations", n)
	}
	frame := []byte(`{"jsonrpc":"2.0","id":1,"result":{"order":"o-17"},"seq":4,"meta":{}}`)
	p := newParser()
	defer p.release()
	if n := testing.AllocsPerRun(100, func() {
		if m, err := p.message(frame); err != nil || m.seq != 4 {
			t.Fatal(m, err)
		}
	}); n > 0 {
		t.Errorf("a reply costs %v allocations", n)
	}
}
