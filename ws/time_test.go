package ws

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
)

// raw opens a socket and answers its bare connection, for a client that breaks
// the rules.
func (r *rig) raw() (write func(string), read func() ([]byte, error)) {
	r.t.Helper()
	conn, err := r.pipes.dial()
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = conn.Close() })
	write = func(s string) {
		if _, err := conn.Write([]byte(s)); err != nil {
			r.t.Logf("write: %v", err)
		}
	}
	read = func() ([]byte, error) {
		b := make([]byte, 4096)
		n, err := conn.Read(b)
		return b[:n], err
	}
	write("GET /ws HTTP/1.1\r\nHost: gateway.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n")
	if got, err := read(); err != nil || !strings.HasPrefix(string(got), "HTTP/1.1 101") {
		r.t.Fatalf("%s, %v", got, err)
	}
	return write, read
}

// until reads until the connection ends, and answers all that came.
func until(read func() ([]byte, error)) (all string) {
	for {
		got, err := read()
		if all += string(got); err != nil {
			return all
		}
	}
}

// A client that answers pings lives until its socket is too old.
func TestPingsAndAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		c := r.dial("")
		start := time.Now()
		code, _ := c.closed()
		same(t, "close code", code, 1012)
		if age := time.Since(start); age < 27*time.Minute || age > 30*time.Minute {
			t.Errorf("it lived %v", age)
		}
	})
}

// A client that does not answer a ping is gone, after 25 s give or take a tenth
// and 10 s more.
func TestNoPong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		_, read := r.raw()
		start := time.Now()
		same(t, "all that came", until(read), string(pingFrame))
		if took := time.Since(start); took < 32500*time.Millisecond || took > 37500*time.Millisecond {
			t.Errorf("it took %v", took)
		}
		synctest.Wait()
		same(t, "closes counted", r.counted.get("refused no_pong"), 1)
	})
}

// A message that was begun has to end in time, in however many fragments and
// pongs between them it comes.
func TestSlowMessage(t *testing.T) {
	for name, bit := range map[string]string{
		"a frame that trickles": "x",
		"fragments":             "\x00\x81\x00\x00\x00\x00x", // continuation of one byte, masked with zeros
		"fragments and pongs":   "\x00\x81\x00\x00\x00\x00x\x8a\x80\x00\x00\x00\x00",
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, Options{})
				write, read := r.raw()
				sleep(5 * time.Second)
				start := time.Now()
				if bit == "x" {
					write("\x81\xfe\xff\xff\x00\x00\x00\x00") // a text frame of 65,535 bytes
				} else {
					write("\x01\x81\x00\x00\x00\x00x") // a text that is to go on
				}
				ended := make(chan string)
				go func() { ended <- until(read) }()
				for open := true; open; {
					select {
					case got := <-ended:
						if !strings.Contains(got, "\x11\x38"+closeSlowFrame.reason) {
							t.Errorf("got %q", got)
						}
						open = false
					case <-time.After(time.Second):
						go write(bit)
					}
				}
				if took := time.Since(start); took < 30*time.Second || took > 36*time.Second {
					t.Errorf("it took %v", took)
				}
			})
		})
	}
}

// A client that does not read what it is sent is closed with 4413, and nobody
// else waits for it; if it reads on soon, it sees why.
func TestSlowClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{SendQueue: 512 << 10})
		bystander, slow := r.greeted(), r.dial("")
		start := time.Now()
		for i := range 5 {
			slow.say(fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"large"}`, i))
			bystander.ask(fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"echo"}`, i))
		}
		same(t, "time that the bystander waited", time.Since(start), 0)
		sleep(slowAfter + time.Second)
		code, _ := slow.closed()
		same(t, "close code", code, 4413)
		synctest.Wait()
		same(t, "closes counted", r.counted.get("refused slow_client"), 1)
		bystander.ask(`{"jsonrpc":"2.0","id":9,"method":"echo"}`)
	})
}

// One that never reads again is gone some seconds later.
func TestStuckClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{SendQueue: 512 << 10})
		stuck := r.dial("")
		for i := range 5 {
			stuck.say(fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"large"}`, i))
		}
		sleep(slowAfter + closeWait + 100*time.Millisecond)
		synctest.Wait()
		same(t, "sockets", r.server.Sockets(), 0)
	})
}

// A client that does not read a single message is noticed by the pings.
func TestStuckWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		r.dial("").say(`{"jsonrpc":"2.0","id":1,"method":"echo"}`)
		sleep(70 * time.Second)
		synctest.Wait()
		same(t, "sockets", r.server.Sockets(), 0)
		same(t, "closes counted", r.counted.get("refused write_timeout"), 1)
	})
}

// A burst of large answers is no slow client; one beyond all bounds is.
func TestBurst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{SendQueue: 512 << 10})
		c := r.dial("")
		for i := range 20 { // 4 MB
			c.say(fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"large"}`, i))
		}
		sleep(slowAfter / 2)
		for i := range 20 {
			same(t, "id", string(parse(t, c.hear()).ID), fmt.Sprint(i))
		}
		sleep(slowAfter * 2)
		c.ask(`{"jsonrpc":"2.0","id":1,"method":"echo"}`)

		for i := range 50 { // 10 MB, where 8 MB are the limit
			if c.ws.Write(context.Background(), websocket.MessageText, fmt.Appendf(nil, `{"jsonrpc":"2.0","id":%d,"method":"large"}`, i)) != nil {
				break
			}
		}
		code, _ := c.closed()
		same(t, "close code", code, 4413)
	})
}

// A client that pings without reading the pongs does not stop the reader, and
// not the node.
func TestPingFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{SendQueue: 64 << 10})
		write, read := r.raw()
		for range 500 {
			write("\x89\x80\x00\x00\x00\x00")
		}
		sleep(slowAfter + time.Millisecond)
		if got := until(read); !strings.HasSuffix(got, "\x11\x3d"+closeSlow.reason) {
			t.Errorf("got %d bytes", len(got))
		}
	})
}

// A client that vanishes leaves nothing behind: the rig sees to that. One that can
// resume leaves its session, for as long as that may take.
func TestClientLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		lost, polite := r.dial(""), r.greeted()
		for _, c := range []*client{lost, polite} {
			c.say(`{"jsonrpc":"2.0","id":1,"method":"silent"}`)
		}
		synctest.Wait()
		same(t, "open requests", r.router.OpenRequests(), 2)
		_ = lost.ws.CloseNow()
		if err := polite.ws.Close(websocket.StatusNormalClosure, "enough"); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		same(t, "sockets", r.server.Sockets(), 0)
		same(t, "sessions that may be resumed", r.router.Sessions(), 1)
		same(t, "open requests", r.router.OpenRequests(), 1)
		same(t, "closes counted", len(r.counted.n), 0)
		time.Sleep(2*time.Minute + time.Second)
		synctest.Wait()
		same(t, "open requests at last", r.router.OpenRequests()+r.router.Sessions(), 0)
	})
}

// What breaks the WebSocket protocol itself ends the socket with 1002.
func TestProtocolError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		write, read := r.raw()
		write("\xf1\x80\x00\x00\x00\x00") // reserved bits
		if got := until(read); !strings.HasPrefix(got, "\x88") || !strings.Contains(got, "\x03\xea") {
			t.Errorf("got %q", got)
		}
	})
}

// What is no handshake gets an HTTP answer that says so.
func TestNoHandshake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		conn, err := r.pipes.dial()
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		go conn.Write([]byte("GET /ws HTTP/1.1\r\nHost: gateway.example\r\nConnection: close\r\n\r\n"))
		b := make([]byte, 4096)
		n, _ := conn.Read(b)
		same(t, "status", strings.HasPrefix(string(b[:n]), fmt.Sprintf("HTTP/1.1 %d", http.StatusUpgradeRequired)), true)
	})
}

// A node wakes from a long sleep with calls in its sockets. It deals with none before it
// knows whether it still is a node. Where it is not, the sockets close without a word about
// them, so that their clients send them again elsewhere.
func TestSleeperReadsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		stays := r.greeted()
		r.table.fenced.Store(true)
		stays.say(`{"jsonrpc":"2.0","id":1,"method":"echo","params":1}`)
		time.Sleep(time.Second)
		r.table.fenced.Store(false)
		same(t, "it still is one", stays.hear(), `{"jsonrpc":"2.0","id":1,"result":1,"seq":1}`)

		goes := r.greeted()
		r.table.fenced.Store(true)
		goes.say(`{"jsonrpc":"2.0","id":1,"method":"echo","params":1}`)
		synctest.Wait()
		r.router.Removed()
		r.table.fenced.Store(false)
		code, messages := goes.closed()
		same(t, "it is none", fmt.Sprint(code, messages, len(r.topics.seen)), fmt.Sprint(websocket.StatusServiceRestart, 0, 1))
	})
}
