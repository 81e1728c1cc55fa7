package ws

import (
	"io"
	"net"
	"net/http/httptest"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"slices"
	"strings"
	"testing"
	"time"
)

// Sockets that have said hello and do nothing keep little stack, also those that have
// answered a ping since, where sockets are not parked.
func TestIdleSocketsKeepLittleStack(t *testing.T) {
	if raced() {
		t.Skip("the race detector's frames are larger")
	}
	r := newRig(t, Options{})
	r.server.parkAfter = 0
	web := httptest.NewServer(r.server)
	defer web.Close()
	const sockets = 200
	before := stacks()
	var all []net.Conn
	for range sockets {
		all = append(all, idleSocket(t, web.Listener.Addr().String()))
	}
	little := func(when string) {
		t.Helper()
		each, most := uint64(0), uint64(5000)
		for range 50 { // the last may be about to wait
			if each = (stacks() - before) / sockets; each <= most {
				return
			}
			time.Sleep(100 * time.Millisecond)
		}
		t.Errorf("%s: %d bytes of stack each, want at most %d", when, each, most)
	}
	little("after hello")
	for _, nc := range all {
		_, _ = io.WriteString(nc, "\x8a\x80\x00\x00\x00\x00")
	}
	little("after a pong")
	for _, nc := range all {
		_, _ = io.WriteString(nc, "\x8a\x80\x00\x00\x00\x00\x81\x83\x00\x00\x00\x00huh")
		hear(t, nc, "parse_error")
	}
	little("after a message")
}

// idleSocket opens one that has said hello, and been welcomed.
func idleSocket(t *testing.T, address string) net.Conn {
	nc, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	hello := `{"jsonrpc":"2.0","method":"$/hello"}`
	_, _ = io.WriteString(nc, "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: parley.v1\r\n\r\n"+
		"\x81"+string([]byte{0x80 | byte(len(hello))})+"\x00\x00\x00\x00"+hello)
	hear(t, nc, "$/welcome")
	return nc
}

// hear reads until some words have come.
func hear(t *testing.T, nc net.Conn, words string) {
	for heard, buf := "", make([]byte, 4096); !strings.Contains(heard, words); {
		n, err := nc.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		heard += string(buf[:n])
	}
}

// stacks is how much the stacks of goroutines take, once those that need less have it.
func stacks() uint64 {
	for range 3 {
		runtime.GC()
	}
	sample := []metrics.Sample{{Name: "/memory/classes/heap/stacks:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// raced tells whether this is a test with the race detector.
func raced() bool {
	info, _ := debug.ReadBuildInfo()
	return info != nil && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}
