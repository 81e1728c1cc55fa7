package client_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"parley/routing"
	"parley/ws/client"
)

// parts has the newest request of a service answered: with the replies from one number
// up to before another, of which the last is final.
func (g *node) parts(id routing.RequestID, from, to, last int) {
	for n := from; n < to; n++ {
		g.router.Deliver(g.t.Context(), []*routing.Reply{{ID: id, Place: n + 1, Final: n == last, Body: fmt.Append(nil, n)}})
	}
}

// A loop takes an answer part by part; an answer in one piece is one part, an error
// comes instead of what is left.
func TestStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		g := newNode(t, n, "a", newTable())
		o := n.options("a")
		o.Accepted = true
		c := dial(t, o)
		for _, tt := range []struct{ service, want string }{
			{"stream", `accepted, 0 1, 1 {"$bytes":"dHdv"}, 2 3!`},
			{"echo", `accepted, 0 7!`},
			{"fail", `accepted, service_error done`},
			{"nobody", `unknown_service not_sent`},
		} {
			var heard []string
			for part, err := range c.Stream(t.Context(), tt.service, []byte("7"), client.CallOptions{
				OnAccepted: func(string) { heard = append(heard, "accepted") },
			}) {
				heard = append(heard, said(part, err))
			}
			same(t, tt.service, strings.Join(heard, ", "), tt.want)
		}
		for range c.Stream(t.Context(), "stream", nil, client.CallOptions{Window: 1}) {
			break
		}
		for _, err := range c.Stream(t.Context(), "stream", []byte("{"), client.CallOptions{}) {
			same(t, "bad params", said(client.Part{}, err), "invalid_params not_sent")
		}
		synctest.Wait()
		same(t, "open", g.router.OpenRequests(), 0)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		for part, err := range c.Stream(ctx, "silent", nil, client.CallOptions{}) {
			same(t, "out of patience", said(part, err), context.DeadlineExceeded.Error())
		}
	})
}

func said(part client.Part, err error) string {
	var e *client.Error
	switch {
	case errors.As(err, &e):
		return fmt.Sprint(e.Code, " ", e.Outcome)
	case err != nil:
		return err.Error()
	case part.Final:
		return fmt.Sprintf("%d %s!", part.N, part.Data)
	}
	return fmt.Sprintf("%d %s", part.N, part.Data)
}

// A slow loop gets no more than it is ready for, over lost sockets and another node,
// and in the end has every part once.
func TestStreamOverLostSockets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		g := newNode(t, n, "a", newTable())
		c := dial(t, n.options("a"))
		const last = 60
		next := 0
		time.AfterFunc(time.Second, func() { g.parts(g.topics.last(), 0, 2, last) })
		for part, err := range c.Stream(t.Context(), "silent", nil, client.CallOptions{Window: 4}) {
			if err != nil {
				t.Fatal(err)
			}
			same(t, "part", said(part, nil), fmt.Sprintf("%d %d%s", next, next, map[bool]string{true: "!"}[next == last]))
			switch next++; {
			case next == 1:
				g.parts(g.topics.last(), 2, 40, last)
			case next%7 == 0:
				c.Drop()
			case next == 20:
				g.parts(g.topics.last(), 40, last+1, last)
			}
			time.Sleep(100 * time.Millisecond)
		}
		same(t, "parts", next, last+1)
	})
}

// The loop's pace is what the gateway is told: half a window at a time.
func TestStreamGivesCredit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		var said []string
		scripted(t, n, "a", func(p *peer) {
			p.welcome("S", p.n > 0)
			if p.n == 0 {
				said = append(said, p.hear())
			} else {
				said = append(said, p.hello)
			}
			for i := range 4 {
				p.say(fmt.Sprintf(`{"jsonrpc":"2.0","method":"$/reply","params":{"id":1,"n":%d,"data":0}}`, i+3*p.n))
			}
			if said = append(said, p.hear()); p.n == 0 {
				_ = p.ws.CloseNow()
				return
			}
			p.say(`{"jsonrpc":"2.0","id":1,"result":0}`)
			p.linger()
		})
		c := dial(t, n.options("a"))
		for _, err := range c.Stream(t.Context(), "x", nil, client.CallOptions{Window: 4}) {
			same(t, "err", err, nil)
		}
		same(t, "said", strings.Join(said, "\n"), strings.Join([]string{
			`{"jsonrpc":"2.0","id":1,"method":"x","meta":{"credit":4}}`,
			`{"jsonrpc":"2.0","method":"$/credit","params":{"id":1,"n":3}}`,
			`{"jsonrpc":"2.0","method":"$/hello","params":{"accepted":false,"resume":{"session":"S","secret":"s","open":[1],"streams":[{"id":1,"next":4,"credit":4}]}}}`,
			`{"jsonrpc":"2.0","method":"$/credit","params":{"id":1,"n":3}}`,
		}, "\n"))
	})
}
