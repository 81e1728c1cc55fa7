package client_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"parley/ws/client"
)

// A gateway takes calls and says nothing, as one that has died on a machine that cannot
// say so: after half a second the client asks, and writes no more calls that would be lost.
// They go by the next socket, and only the first ones are in doubt.
func TestCallsWaitWhileInDoubt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		var lost []string
		dead, doubted := make(chan struct{}), make(chan string, 1)
		scripted(t, n, "a", func(p *peer) {
			p.welcome("S", p.n > 0)
			if p.n == 0 {
				for text := p.hear(); text != ""; text = p.hear() {
					lost = append(lost, text)
				}
				close(dead)
				return
			}
			doubted <- p.hello
			for id := range 5 {
				p.say(fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"error":{"code":-32013,"message":"","data":{"code":"unknown_request","outcome":"unknown"}}}`, id+1))
			}
			for id := 6; id <= 50; id++ {
				same(t, "call", p.hear(), fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"x"}`, id))
				p.say(fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"result":%d}`, id, id))
			}
			p.linger()
		})
		o := n.options("a")
		o.Waiting = 45
		c := dial(t, o)
		began := time.Now()
		var calls []going
		for range 50 { // over five seconds
			calls = append(calls, start(t.Context(), c, "x", "", client.CallOptions{}))
			time.Sleep(100 * time.Millisecond)
		}
		same(t, "one too many", fate(c.Call(t.Context(), "x", nil, client.CallOptions{Timeout: time.Second})), "overloaded not_sent")
		<-dead
		same(t, "left after", time.Since(began), 10*time.Second+500*time.Millisecond)
		same(t, "written", len(lost), 6)
		same(t, "then", lost[5], `{"jsonrpc":"2.0","method":"$/ping"}`)
		same(t, "in doubt", strings.Contains(<-doubted, `"open":[1,2,3,4,5]}`), true)
		for i, call := range calls {
			want := "unknown_request unknown"
			if i >= 5 {
				want = fmt.Sprint(i + 1)
			}
			same(t, "outcome", <-call, want)
		}
	})
}

// A service is slow, and its gateway is there: the client asks now and then, calls wait for
// the answer to that and no longer, and the socket stays.
func TestSlowServiceIsNoDoubt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const trip = 50 * time.Millisecond
		n := newNetwork()
		began := time.Now()
		heard := make(chan string, 10)
		scripted(t, n, "a", func(p *peer) {
			same(t, "sockets before", p.n, 0)
			p.welcome("S", false)
			for text := p.hear(); text != ""; text = p.hear() {
				if strings.Contains(text, "$/ping") {
					time.Sleep(trip)
					p.say(`{"jsonrpc":"2.0","method":"$/pong"}`)
				}
				heard <- text[strings.LastIndex(text, `"method"`):] + fmt.Sprint(" ", time.Since(began))
			}
		})
		c := dial(t, n.options("a"))
		call := func(service string) { start(t.Context(), c, service, "", client.CallOptions{}) }
		call("first")
		time.Sleep(500*time.Millisecond + trip/2)
		call("second") // while nobody knows
		time.Sleep(5 * time.Second)
		call("third")
		time.Sleep(20 * time.Second)
		same(t, "state", c.State(), client.Open)
		for _, want := range []string{
			`"method":"first"} 0s`, `"method":"$/ping"} 550ms`, `"method":"second"} 550ms`,
			`"method":"$/ping"} 1.1s`, `"method":"third"} 5.525s`, `"method":"$/ping"} 6.075s`,
		} {
			same(t, "heard", <-heard, want)
		}
		same(t, "more", len(heard), 0)
	})
}
