package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"parley/ws/client"
)

// peer is the gateway's end of a socket, as a script sees it.
type peer struct {
	ws    *websocket.Conn
	n     int // sockets before it
	hello string
}

func (p *peer) say(text string) {
	_ = p.ws.Write(context.Background(), websocket.MessageText, []byte(text))
}

// hear answers the next message, "" at the end.
func (p *peer) hear() string {
	_, text, err := p.ws.Read(context.Background())
	if err != nil {
		return ""
	}
	return string(text)
}

func (p *peer) welcome(session string, resumed bool) {
	p.say(fmt.Sprintf(`{"jsonrpc":"2.0","method":"$/welcome","params":{"session":%q,"secret":"s","resumed":%v,"node":"a","limits":{"frame":1000,"resume":120000}}}`, session, resumed))
}

// linger reads until the client has gone.
func (p *peer) linger() {
	for p.hear() != "" {
	}
}

// scripted is a gateway that does to each socket what a script says, once the
// client has said hello.
func scripted(t testing.TB, n *network, host string, script func(*peer)) {
	var mu sync.Mutex
	count := 0
	n.serve(t, host, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"parley.v1"}})
		if err != nil {
			return
		}
		defer func() { _ = ws.CloseNow() }()
		mu.Lock()
		p := &peer{ws: ws, n: count}
		count++
		mu.Unlock()
		if p.hello = p.hear(); p.hello != "" {
			script(p)
		}
	}))
}

// Each close code has its consequence.
func TestCloseCodes(t *testing.T) {
	for _, tt := range []struct {
		code       int
		stops      bool
		least      time.Duration
		resumes    bool
		open, next string // how a call ends that was open, and one that comes after
	}{
		{code: 1000, stops: true, open: "session_gone unknown", next: "session_gone not_sent"},
		{code: 1003, stops: true, open: "session_gone unknown", next: "session_gone not_sent"},
		{code: 1007, stops: true, open: "session_gone unknown", next: "session_gone not_sent"},
		{code: 1009, stops: true, open: "session_gone unknown", next: "session_gone not_sent"},
		{code: 4400, stops: true, open: "session_gone unknown", next: "session_gone not_sent"},
		{code: 4403, stops: true, open: "session_gone unknown", next: "session_gone not_sent"},
		{code: 4409, stops: true, open: "session_gone unknown", next: "session_gone not_sent"},
		{code: 4401, stops: true, open: "unauthorized unknown", next: "session_gone not_sent"}, // there is no token
		{code: 1001, resumes: true, open: "1", next: "2"},
		{code: 1006, resumes: true, open: "1", next: "2"},
		{code: 1011, resumes: true, open: "1", next: "2"},
		{code: 1012, resumes: true, open: "1", next: "2"},
		{code: 4408, resumes: true, open: "1", next: "2"},
		{code: 4413, resumes: true, open: "1", next: "2"},
		{code: 1013, resumes: true, least: 10 * time.Second, open: "1", next: "2"},
		{code: 4429, resumes: true, least: 10 * time.Second, open: "1", next: "2"},
		{code: 4410, open: "session_gone unknown", next: "2"},
	} {
		t.Run(fmt.Sprint(tt.code), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork()
				var back time.Time
				scripted(t, n, "a", func(p *peer) {
					resumes := strings.Contains(p.hello, `"resume":{"session":"S","secret":"s","open":[1]}`)
					p.welcome("S", resumes)
					if p.n == 0 {
						p.hear() // the call
						if tt.code == 1006 {
							_ = p.ws.CloseNow()
						} else {
							_ = p.ws.Close(websocket.StatusCode(tt.code), "because")
						}
						return
					}
					back = time.Now()
					same(t, "resumes", resumes, tt.resumes)
					if resumes {
						p.say(`{"jsonrpc":"2.0","id":1,"result":1,"seq":1}`)
					}
					for text := p.hear(); text != ""; text = p.hear() {
						if strings.Contains(text, `"id":2`) {
							p.say(`{"jsonrpc":"2.0","id":2,"result":2,"seq":2}`)
						}
					}
				})
				c := dial(t, n.options("a"))
				began := time.Now()
				same(t, "open call", fate(c.Call(t.Context(), "x", nil, client.CallOptions{})), tt.open)
				if tt.stops {
					<-c.Done()
				}
				same(t, "next call", fate(c.Call(t.Context(), "x", nil, client.CallOptions{})), tt.next)
				if after := back.Sub(began); !tt.stops && (after < tt.least || after > tt.least+500*time.Millisecond) {
					t.Errorf("came back after %s", after)
				}
				var closed *client.CloseError
				same(t, "is told why", errors.As(c.Err(), &closed), tt.stops)
				if tt.stops {
					same(t, "is told why", *closed, client.CloseError{Code: tt.code, Reason: "because"})
				}
			})
		})
	}
}

// Messages are acknowledged 250 ms after the first, or 32 at once, and never
// before they have been handed over.
func TestAcknowledgement(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		began := time.Now()
		acks := make(chan string, 10)
		scripted(t, n, "a", func(p *peer) {
			p.welcome("S", false)
			p.hear() // the call
			say := func(from, to int) {
				for seq := from; seq <= to; seq++ {
					p.say(fmt.Sprintf(`{"jsonrpc":"2.0","method":"$/reply","params":{"id":1,"n":%d,"data":0},"seq":%d}`, seq-1, seq))
				}
			}
			ack := func() { acks <- fmt.Sprint(p.hear(), " ", time.Since(began)) }
			say(1, 3)
			ack()
			say(4, 35)
			ack()
			say(36, 36)
			ack()
			p.say(`{"jsonrpc":"2.0","id":1,"result":0,"seq":37}`)
			ack()
			p.linger()
		})
		c := dial(t, n.options("a"))
		parts := 0
		_, err := c.Call(t.Context(), "x", nil, client.CallOptions{OnPart: func(client.Part) { parts++ }})
		same(t, "err", err, nil)
		same(t, "parts", parts, 36)
		for _, want := range []string{"3 250ms", "35 250ms", "36 500ms", "37 750ms"} {
			seq, at, _ := strings.Cut(want, " ")
			same(t, "acknowledged", <-acks, `{"jsonrpc":"2.0","method":"$/ack","params":{"seq":`+seq+`}} `+at)
		}
	})
}

// A gateway goes silent without a word, as behind a firewall that forgets: the
// client asks, waits, and leaves.
func TestSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		heard := make(chan string, 1)
		scripted(t, n, "a", func(p *peer) {
			p.welcome("S", p.n > 0)
			heard <- p.hear()
			if p.n == 0 {
				p.hear() // and no pong
				return
			}
			p.say(`{"jsonrpc":"2.0","method":"$/pong"}`)
			p.linger()
		})
		c := dial(t, n.options("a"))
		began := time.Now()
		same(t, "asked", <-heard, `{"jsonrpc":"2.0","method":"$/ping"}`)
		same(t, "after", time.Since(began), 30*time.Second)
		time.Sleep(10*time.Second - 1)
		same(t, "state", c.State(), client.Open)
		time.Sleep(time.Second)
		same(t, "state", c.State(), client.Open)
		<-heard
		time.Sleep(20 * time.Second)
		same(t, "stays where it is answered", c.State(), client.Open)
	})
}

// A gateway that takes the socket and then says nothing is not waited for.
func TestNoWelcome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		scripted(t, n, "a", func(p *peer) { p.linger() })
		scripted(t, n, "b", func(p *peer) { p.welcome("S", false); p.linger() })
		began := time.Now()
		c := dial(t, n.options("a", "b"))
		same(t, "after", time.Since(began), 10*time.Second)
		same(t, "session", c.Session(), "S")
	})
}

// Dial fails with what each node has said.
func TestDialFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		scripted(t, n, "a", func(p *peer) { _ = p.ws.Close(4403, "not you") })
		n.serve(t, "b", http.NotFoundHandler())
		scripted(t, n, "c", func(p *peer) {
			p.say(`{"jsonrpc":"2.0","id":null,"error":{"code":-32602,"message":"no","data":{"code":"invalid_params","outcome":"not_sent"}}}`)
			p.linger()
		})
		n.serve(t, "d", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if ws, err := websocket.Accept(w, r, nil); err == nil { // it knows no subprotocol
				_ = ws.CloseNow()
			}
		}))
		_, err := client.Dial(t.Context(), n.options("a", "b", "c", "d", "e"))
		for _, want := range []string{
			"ws://a/ws: the gateway closed the socket: 4403 not you", "ws://b/ws: ", "404",
			"ws://c/ws: invalid_params (not_sent): no", "ws://d/ws: this is no Parley gateway", "ws://e/ws: ", "no such host",
		} {
			if !strings.Contains(fmt.Sprint(err), want) {
				t.Errorf("no %q in %v", want, err)
			}
		}
		for _, urls := range [][]string{nil, {"a.example"}, {"://"}} {
			if _, err := client.Dial(t.Context(), client.Options{URLs: urls}); err == nil {
				t.Errorf("%q is taken", urls)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		scripted(t, n, "f", func(p *peer) { p.linger() })
		_, err = client.Dial(ctx, n.options("f"))
		same(t, "impatient", errors.Is(err, context.DeadlineExceeded), true)
	})
}

// A client says goodbye and waits for the answer, but not for ever.
func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		scripted(t, n, "a", func(p *peer) {
			p.welcome("S", false)
			call := p.hear()
			same(t, "call", call, `{"jsonrpc":"2.0","id":1,"method":"x"}`)
			same(t, "goodbye", p.hear(), `{"jsonrpc":"2.0","method":"$/bye"}`)
			time.Sleep(time.Second)
			_ = p.ws.Close(1000, "bye")
		})
		c, err := client.Dial(t.Context(), n.options("a"))
		if err != nil {
			t.Fatal(err)
		}
		call := start(t.Context(), c, "x", "", client.CallOptions{})
		synctest.Wait()
		began := time.Now()
		same(t, "close", c.Close(t.Context()), nil)
		same(t, "after", time.Since(began), time.Second)
		same(t, "open call", <-call, "cancelled unknown")
		same(t, "state", c.State(), client.Closed)
		same(t, "err", c.Err(), nil)
		same(t, "later call", fate(c.Call(t.Context(), "x", nil, client.CallOptions{})), "session_gone not_sent")
		same(t, "again", c.Close(t.Context()), nil)

		scripted(t, n, "b", func(p *peer) { p.welcome("S", false); p.linger() })
		c, _ = client.Dial(t.Context(), n.options("b"))
		began = time.Now()
		same(t, "close", c.Close(t.Context()), nil)
		same(t, "without an answer", time.Since(began), 2*time.Second)

		c, _ = client.Dial(t.Context(), n.options("b"))
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		same(t, "close", c.Close(ctx), context.DeadlineExceeded)
	})
}

// What makes no sense is passed over.
func TestNonsense(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		scripted(t, n, "a", func(p *peer) {
			p.welcome("S", false)
			p.welcome("T", false)
			p.hear()
			for _, text := range []string{
				``, `[]`, `{`, `null`, `{"id":9,"result":1}`, `{"id":"1","result":1}`, `{"id":1.0,"result":1}`, `{"id":null,"error":7}`,
				`{"method":7}`, `{"method":"$/reply"}`, `{"method":"$/reply","params":{"id":1,"n":-1,"data":1}}`, `{"method":"$/accepted","params":[]}`,
				`{"method":"$/goaway"}`, `{"method":"$/new","params":{},"seq":1}`, `{"seq":-1}`, "\xff",
			} {
				if text != `{"method":"$/goaway"}` {
					p.say(text)
				}
			}
			_ = p.ws.Write(context.Background(), websocket.MessageBinary, []byte("binary"))
			p.say(`{"id":1,"result":{"a":1,"a":"\ud800"},"unknown":0,"seq":2}`)
			p.linger()
		})
		c := dial(t, n.options("a"))
		same(t, "outcome", fate(c.Call(t.Context(), "x", nil, client.CallOptions{})), `{"a":1,"a":"\ud800"}`)
		same(t, "session", c.Session(), "S")
	})
}

// All that a client says is JSON that means what was meant.
func TestRequestFrame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		frames := make(chan string, 1)
		scripted(t, n, "a", func(p *peer) { p.welcome("S", false); frames <- p.hear(); p.linger() })
		c := dial(t, n.options("a"))
		ctx, cancel := context.WithCancel(t.Context())
		call := start(ctx, c, "a\"\n", `{ "b":[1,2]}`, client.CallOptions{
			Key: "ключ\"", Timeout: 1500 * time.Microsecond, Headers: map[string]string{"h": "v\\"}, Want: []string{"trace", "headers"},
		})
		var got struct {
			ID     int
			Method string
			Params json.RawMessage
			Meta   struct {
				Key     string
				Timeout int
				Headers map[string]string
				Want    []string
			}
		}
		if err := json.Unmarshal([]byte(<-frames), &got); err != nil {
			t.Error(err)
		}
		same(t, "frame", fmt.Sprintf("%d %q %s %q %d %v %v", got.ID, got.Method, got.Params, got.Meta.Key, got.Meta.Timeout, got.Meta.Headers, got.Meta.Want),
			`1 "a\"\n" { "b":[1,2]} "ключ\"" 1 map[h:v\] [trace headers]`)
		cancel()
		<-call
		same(t, "not UTF-8", fate(c.Call(t.Context(), "x", nil, client.CallOptions{Key: "\xff"})), "invalid_params not_sent")
	})
}
