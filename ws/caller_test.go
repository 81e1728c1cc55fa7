package ws

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"parley/routing"
)

// staff are who the tokens of these tests stand for: name/seconds, of which the token is
// good until the name's session is so old.
type staff struct{ required bool }

func (s staff) Authenticate(_ context.Context, token string) (*routing.Caller, *routing.Error) {
	name, life, _ := strings.Cut(token, "/")
	lives, err := time.ParseDuration(life)
	switch {
	case token == "" && !s.required:
		return nil, nil
	case token == "away":
		return nil, &routing.Error{Word: routing.Unavailable, Message: "tokens cannot be verified", Outcome: routing.NotSent}
	case err != nil:
		return nil, &routing.Error{Word: routing.Unauthorized, Message: "the token is bad" + strings.Repeat("!", 200), Outcome: routing.NotSent}
	}
	return &routing.Caller{Subject: name, Until: time.Now().Add(lives)}, nil
}

// subprotocolToken is a token as an element of Sec-WebSocket-Protocol.
func subprotocolToken(token string) string {
	return tokenProtocol + base64.RawURLEncoding.EncodeToString([]byte(token))
}

// why reads to the end and answers how the gateway ended the socket.
func (c *client) why() websocket.CloseError {
	for {
		if _, _, err := c.ws.Read(context.Background()); err != nil {
			var closed websocket.CloseError
			errors.As(err, &closed)
			return closed
		}
	}
}

// Every way to show a token with the handshake does, at both doors; the answer never has
// the token in it.
func TestTokenOfTheHandshake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{Auth: staff{true}, Cookie: "session"})
		for name, header := range map[string]http.Header{
			"header":      {"Authorization": {"bearer ann/1h"}},
			"cookie":      {"Cookie": {"session=ann/1h"}},
			"subprotocol": {},
		} {
			for _, door := range []string{"", "parley.v1"} {
				offered := door
				if name == "subprotocol" {
					offered = strings.Trim(door+","+subprotocolToken("ann/1h"), ",")
				}
				c, err := r.tryDial(offered, header)
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				same(t, name+": subprotocol", c.ws.Subprotocol(), door)
				if door != "" {
					c.ask(`{"jsonrpc":"2.0","method":"$/hello"}`)
				}
				c.ask(`{"jsonrpc":"2.0","id":1,"method":"echo"}`)
				same(t, name+": subject", r.topics.last().Subject, "ann")
			}
		}
	})
}

// Whose token is missing or bad is let in, to be told why by the close frame; a node that
// cannot tell says so.
func TestRefusedToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{Auth: staff{true}})
		for name, c := range map[string]struct {
			header, hello string
			code          int
			says          string
		}{
			"no token at the plain door":  {"", "", 4401, "bad"},
			"a bad one at the plain door": {"Bearer x", "", 4401, "bad"},
			"a bad one, before the hello": {"Bearer x", `{}`, 4401, "bad"},
			"none in the hello":           {"", `{}`, 4401, "bad"},
			"a bad one in the hello":      {"", `{"token":"x"}`, 4401, "bad"},
			"the hello's weighs more":     {"Bearer ann/1h", `{"token":"x"}`, 4401, "bad"},
			"keys are away":               {"", `{"token":"away"}`, 1013, "verified"},
		} {
			door, header := "", http.Header{}
			if c.header != "" {
				header.Set("Authorization", c.header)
			}
			if c.hello != "" {
				door = "parley.v1"
			}
			conn, err := r.tryDial(door, header)
			if err != nil {
				t.Fatal(err)
			}
			if c.hello != "" && c.header != "Bearer x" {
				conn.say(`{"jsonrpc":"2.0","method":"$/hello","params":` + c.hello + `}`)
			}
			got := conn.why()
			if int(got.Code) != c.code || !strings.Contains(got.Reason, c.says) {
				t.Errorf("%s: %d %s", name, got.Code, got.Reason)
			}
		}
		synctest.Wait()
		same(t, "refused", r.counted.get("refused unauthorized"), 6)
		same(t, "refused", r.counted.get("refused unavailable"), 1)
	})
}

// Whose token is good, but lets it use nothing here, is told to stop, at both doors and
// however the token is shown; who may use one thing, or might once it has shown a token,
// goes on.
func TestForbiddenCaller(t *testing.T) {
	topics := newTopics()
	clerks := routing.NewRule(func(c *routing.Caller) bool { return c != nil && c.Subject == "clerk" })
	services := topics.services()
	for _, s := range services {
		s.Allow = clerks
	}
	followers := routing.NewRule(func(c *routing.Caller) bool { return c != nil && c.Subject == "reader" })
	router := routing.New(routing.Options{
		Services: services, Producer: topics, Table: &oneNode{}, Feeds: []string{"e"}, FeedRules: map[string]*routing.Rule{"e": followers},
	})
	server := New(Options{Router: router, Auth: staff{}})
	defer server.Shutdown(context.Background())
	web := httptest.NewServer(server)
	defer web.Close()
	for _, c := range []struct{ name, shown, hello string }{
		{"plain", "eve/1h", ""}, {"in the handshake", "eve/1h", `{}`}, {"in the hello", "", `{"token":"eve/1h"}`},
	} {
		var offered []string
		if c.hello != "" {
			offered = append(offered, "parley.v1")
		}
		if c.shown != "" {
			offered = append(offered, subprotocolToken(c.shown))
		}
		conn := dialTCP(t, web, offered...)
		if c.hello != "" && c.shown == "" {
			conn.say(`{"jsonrpc":"2.0","method":"$/hello","params":` + c.hello + `}`)
		}
		same(t, c.name, conn.why().Code, 4403)
	}
	for _, who := range []string{"clerk/1h", "reader/1h"} {
		dialTCP(t, web, subprotocolToken(who)).ask(`{"jsonrpc":"2.0","method":"$/ping"}`)
	}
	dialTCP(t, web).ask(`{"jsonrpc":"2.0","method":"$/ping"}`)
}

// A token expires while its socket lives: the socket is closed 4401, the session waits,
// and goes on for a new token of the same subject, with the answer that came meanwhile.
// Another subject that shows the session's secret gets a new one.
func TestTokenExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{Auth: staff{true}})
		start := time.Now()
		c, w := r.hello(`{"token":"ann/20s"}`)
		c.say(`{"jsonrpc":"2.0","id":1,"method":"silent"}`)
		got := c.why()
		same(t, "code", got.Code, 4401)
		same(t, "after", time.Since(start), 20*time.Second)
		synctest.Wait()
		same(t, "counted", r.counted.get("refused token_expired"), 1)
		q := r.topics.last()
		r.router.Deliver(context.Background(), []*routing.Reply{{ID: q.ID, Final: true, Body: []byte(`"late"`), Consumed: time.Now(), Receipt: r.topics}})

		resume := strings.TrimSuffix(w.resume("1"), "}")
		_, eve := r.hello(resume + `,"token":"eve/1h"}`)
		same(t, "resumed by another", eve.Resumed, false)
		c, ann := r.hello(resume + `,"token":"ann/10m"}`)
		same(t, "resumed", ann, welcomed{w.Session, w.Secret, true})
		same(t, "what came", c.hear(), `{"jsonrpc":"2.0","id":1,"result":"late","seq":1}`)
		same(t, "then", c.why().Code, 4401)
	})
}

// A socket that grows too old before its token does is asked to move, as ever.
func TestAgeBeforeExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{Auth: staff{true}, MaxAge: time.Minute})
		c, _ := r.hello(`{"token":"ann/1h"}`)
		code, heard := c.closed()
		same(t, "code", code, 1012)
		same(t, "goaway", heard, 1)
	})
}

// Who may not call a service is told, and not told of it; who has not said who it is, is
// told that.
func TestForbidden(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{Auth: staff{}})
		r.router.Service("plain").Allow = routing.NewRule(func(c *routing.Caller) bool { return c.Name() == "ann" })
		for token, word := range map[string]string{`{"token":"ann/1h"}`: "", `{"token":"eve/1h"}`: "forbidden", `{}`: "unauthorized"} {
			c, _ := r.hello(token)
			m := parse(t, c.ask(`{"jsonrpc":"2.0","id":1,"method":"plain"}`))
			if word == "" {
				same(t, token, m.Error == nil, true)
			} else {
				same(t, token, m.Error.Data.Code+" "+m.Error.Data.Outcome, word+" not_sent")
			}
			text := c.ask(`{"jsonrpc":"2.0","id":2,"method":"rpc.discover"}`)
			same(t, token+": discovered", strings.Contains(text, `"name":"plain"`), word == "")
			same(t, token+": discovered", strings.Contains(text, `"name":"echo"`), true)
		}
	})
}
