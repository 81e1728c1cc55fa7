package client_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"parley/ws/client"
)

// A token has expired: the client asks for another one, and goes on.
func TestToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		var hellos []string
		scripted(t, n, "a", func(p *peer) {
			hellos = append(hellos, p.hello)
			p.welcome("S", p.n > 0)
			if p.n == 0 {
				_ = p.ws.Close(4401, "expired")
			}
			p.linger()
		})
		o := n.options("a")
		asked := 0
		o.Token = func(context.Context) (string, error) {
			if asked++; asked == 2 {
				return "", errors.New("the issuer is away")
			}
			return fmt.Sprint("t", asked), nil
		}
		c := dial(t, o)
		time.Sleep(5 * time.Second)
		same(t, "state", c.State(), client.Open)
		same(t, "tokens", asked, 3)
		same(t, "first", strings.Contains(hellos[0], `"token":"t1"`), true)
		same(t, "then", strings.Contains(hellos[1], `"token":"t3","resume":{"session":"S"`), true)
	})
}

// The first token is refused: Dial has another one made, once and for all nodes.
func TestDialToken(t *testing.T) {
	for _, tt := range []struct {
		good, tokens, tried int
		fails               string
	}{
		{good: 1, tokens: 1, tried: 1},
		{good: 2, tokens: 2, tried: 2},
		{good: 3, tokens: 2, tried: 2, fails: "ws://a/ws: the gateway refuses the token: it is not signed"},
	} {
		t.Run(fmt.Sprint(tt.good), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, tried := newNetwork(), 0
				for _, name := range []string{"a", "b"} {
					scripted(t, n, name, func(p *peer) {
						if tried++; !strings.Contains(p.hello, fmt.Sprintf(`"token":"t%d"`, tt.good)) {
							_ = p.ws.Close(4401, "it is not signed")
							return
						}
						p.welcome("S", false)
						p.linger()
					})
				}
				o, asked := n.options("a", "b"), 0
				o.Token = func(context.Context) (string, error) { asked++; return fmt.Sprint("t", asked), nil }
				c, err := client.Dial(t.Context(), o)
				if err == nil {
					defer closeNow(t, c)
				}
				var closed *client.CloseError
				if tt.fails == "" && err != nil || tt.fails != "" && (!errors.As(err, &closed) || err.Error() != tt.fails) {
					t.Errorf("got %v", err)
				}
				same(t, "tokens", asked, tt.tokens)
				same(t, "sockets", tried, tt.tried)
			})
		})
	}
}

// A token has expired, and the one that is made then is refused too: the client ends, and
// says why.
func TestTokenRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		scripted(t, n, "a", func(p *peer) {
			if p.n == 0 {
				p.welcome("S", false)
				p.hear()
			}
			_ = p.ws.Close(4401, "the token has expired")
		})
		o, asked := n.options("a"), 0
		o.Token = func(context.Context) (string, error) { asked++; return "t", nil }
		c := dial(t, o)
		_, err := c.Call(t.Context(), "orders", nil, client.CallOptions{})
		var failed *client.Error
		if !errors.As(err, &failed) || failed.Code != "unauthorized" || failed.Message != "the gateway refuses the token: the token has expired" {
			t.Errorf("got %v", err)
		}
		<-c.Done()
		same(t, "tokens", asked, 2)
	})
}
