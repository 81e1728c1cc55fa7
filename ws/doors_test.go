package ws

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/coder/websocket"

	"parley/routing"
)

// The client of parley.v1 says hello and is told its session and its limits.
func TestHello(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{OpenRequests: 7})
		c := r.dial("parley.v1")
		same(t, "subprotocol", c.ws.Subprotocol(), "parley.v1")
		var p struct {
			Session, Secret, Node string
			Resumed               bool
			Limits                struct{ Frame, Open, Resume int }
		}
		got := parse(t, c.ask(`{"jsonrpc":"2.0","method":"$/hello","params":{"token":"t","accepted":true,"resume":{"session":"s","secret":"x","open":[1,"é"]}}}`))
		if err := json.Unmarshal(got.Params, &p); err != nil {
			t.Fatal(err)
		}
		same(t, "method", got.Method, "$/welcome")
		if len(p.Session) != 22 || len(p.Secret) != 22 || p.Resumed || p.Node != "a" {
			t.Errorf("welcome: %+v", p)
		}
		same(t, "frame", p.Limits.Frame, 1<<20)
		same(t, "open", p.Limits.Open, 7)
		same(t, "resume", p.Limits.Resume, 120_000)
		for _, id := range []string{`1`, `"é"`} { // nothing can be resumed yet
			got := parse(t, c.hear())
			same(t, "id", string(got.ID), id)
			same(t, "lost request", got.Error.Data.Code+" "+got.Error.Data.Outcome, "session_gone unknown")
		}
		c.say(`{"jsonrpc":"2.0","id":5,"method":"echo"}`)
		accepted := parse(t, c.hear())
		same(t, "accepted", accepted.Method, "$/accepted")
		if want := `{"id":5,"request":"` + p.Session + `.1`; !strings.HasPrefix(string(accepted.Params), want) {
			t.Errorf("accepted: %s, want %s…", accepted.Params, want)
		}
		same(t, "answer", c.hear(), `{"jsonrpc":"2.0","id":5,"result":null,"seq":1}`)
		same(t, "second hello", parse(t, c.ask(`{"jsonrpc":"2.0","id":6,"method":"$/hello"}`)).Error.Data.Code, "invalid_request")
	})
}

// A plain client becomes one of parley.v1 by saying hello before its first
// request, and not later, nor in a batch.
func TestPlainHello(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		c := r.dial("")
		got := c.ask(`[{"jsonrpc":"2.0","id":1,"method":"$/hello"}]`)
		same(t, "in a batch", strings.HasPrefix(got, `[{"jsonrpc":"2.0","id":1,"error":{"code":-32600,`), true)
		same(t, "welcome", parse(t, c.ask(`{"jsonrpc":"2.0","id":1,"method":"$/hello"}`)).Method, "$/welcome")
		same(t, "result", c.hear(), `{"jsonrpc":"2.0","id":1,"result":true}`)
		same(t, "answer", c.ask(`{"jsonrpc":"2.0","id":5,"method":"echo"}`), `{"jsonrpc":"2.0","id":5,"result":null,"seq":1}`)
		same(t, "sessions", r.router.Sessions(), 1)

		c = r.dial("")
		c.ask(`{"jsonrpc":"2.0","id":5,"method":"echo"}`)
		same(t, "too late", parse(t, c.ask(`{"jsonrpc":"2.0","method":"$/hello"}`)).Error.Data.Code, "invalid_request")
	})
}

// Under parley.v1 whatever is no hello ends the socket, and so does silence.
func TestNoHello(t *testing.T) {
	for _, first := range []string{`hi`, `{"jsonrpc":"2.0","id":1,"method":"echo"}`, `[{"jsonrpc":"2.0","method":"$/hello"}]`, strings.Repeat("[", 1000)} {
		synctest.Test(t, func(t *testing.T) {
			c := newRig(t, Options{}).dial("parley.v1")
			c.say(first)
			code, _ := c.closed()
			same(t, "close code", code, 4400)
		})
	}
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		code, _ := r.dial("parley.v1").closed()
		same(t, "close code", code, 4408)
		synctest.Wait()
		same(t, "closes counted", r.counted.get("refused no_hello"), 1)
	})
}

// A client that wants another subprotocol is let in, to be told why it may not stay.
func TestUnknownSubprotocol(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		c := r.dial("graphql-ws")
		code, _ := c.closed()
		same(t, "close code", code, 4406)
	})
}

// A page of another scheme, host or port may not connect, unless it is listed.
func TestOrigins(t *testing.T) {
	for origin, ok := range map[string]bool{
		"":                                true,
		"http://gateway.example":          true,
		"http://GATEWAY.example:80":       true,
		"https://gateway.example":         false,
		"http://gateway.example:81":       false,
		"http://gateway.example.evil.com": false,
		"http://evil.com":                 false,
		"null":                            false,
		"https://shop.example":            true,
		"https://shop.example:443":        true,
		"http://shop.example":             false,
	} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, Options{Origins: []string{"https://shop.example/"}})
			header := http.Header{}
			if origin != "" {
				header.Set("Origin", origin)
			}
			_, err := r.tryDial("", header)
			if ok != (err == nil) || !ok && !strings.Contains(err.Error(), "got 403") {
				t.Errorf("origin %q: %v", origin, err)
			}
			if !ok {
				same(t, "refusals", r.counted.get("refused forbidden"), 1)
			}
		})
	}
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{Origins: []string{"*"}})
		if _, err := r.tryDial("", http.Header{"Origin": {"null"}}); err != nil {
			t.Error(err)
		}
		proxied := http.Header{"Origin": {"https://gateway.example"}, "X-Forwarded-Proto": {"https"}}
		if _, err := newRig(t, Options{}).tryDial("", proxied); err != nil {
			t.Error(err)
		}
	})
}

// ping has a pong, bye ends the session, and its open requests with it.
func TestPingAndBye(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		c := r.greeted()
		c.say(`{"jsonrpc":"2.0","id":1,"method":"silent"}`)
		same(t, "pong", c.ask(`{"jsonrpc":"2.0","method":"$/ping"}`), `{"jsonrpc":"2.0","method":"$/pong"}`)
		same(t, "bye", c.ask(`{"jsonrpc":"2.0","id":2,"method":"$/bye"}`), `{"jsonrpc":"2.0","id":2,"result":true}`)
		synctest.Wait() // the answer comes before the end
		same(t, "sessions", r.router.Sessions(), 0)
		same(t, "open requests", r.router.OpenRequests(), 0)
		code, _ := c.closed()
		same(t, "close code", code, 1000)
	})
}

// rpc.discover answers a document that names every service.
func TestDiscover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		done := map[string]routing.Condition{"done": {Text: `event.state == "DONE"`}}
		r := newRig(t, Options{}, &routing.Service{Name: "a-view", View: new(states), Until: done})
		var doc struct {
			OpenRPC string
			Methods []struct {
				Name   string
				Until  map[string]string `json:"x-until"`
				Errors []struct {
					Ref string `json:"$ref"`
				}
			}
			Components struct{ Errors map[string]struct{ Code int } }
		}
		if err := json.Unmarshal(parse(t, r.dial("").ask(`{"jsonrpc":"2.0","id":1,"method":"rpc.discover"}`)).Result, &doc); err != nil {
			t.Fatal(err)
		}
		same(t, "methods", len(doc.Methods), len(r.topics.serve)+1)
		same(t, "first", doc.Methods[0].Name, "a-view")
		same(t, "may wait for", doc.Methods[0].Until["done"], done["done"].Text)
		same(t, "timeout", doc.Components.Errors["timeout"].Code, -32001)
		word := strings.TrimPrefix(doc.Methods[0].Errors[0].Ref, "#/components/errors/")
		if _, ok := doc.Components.Errors[word]; !ok {
			t.Errorf("%s is referred to, but not there", word)
		}
	})
}

// What a service takes is in the document where it is known, by its parameters' names;
// and a request that is not so is refused with the place of each fault.
func TestSchema(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		echo := r.router.Service("echo")
		echo.Request, echo.Description = routing.Schema(`{"type":"object","required":["a/b"],"properties":{"a/b":{"$ref":"#/$defs/x"}},"$defs":{"x":{"type":"integer"}}}`), "Says it again"
		echo.Check = func(body []byte) []routing.Fault {
			if string(body) == `{"a/b":1}` {
				return nil
			}
			return []routing.Fault{{Pointer: "/a~1b", Detail: "want integer"}}
		}
		var doc rpcDocument
		if err := json.Unmarshal(openRPC([]*routing.Service{echo}), &doc); err != nil {
			t.Fatal(err)
		}
		m := doc.Methods[0]
		same(t, "method", fmt.Sprint(m.Description, m.ParamStructure, m.Params[0].Name, m.Params[0].Required), "Says it againby-namea/btrue")
		same(t, "parameter", fmt.Sprint(m.Params[0].Schema), "map[$ref:#/components/schemas/echo.request/properties/a~1b]")
		same(t, "schema", string(doc.Components.Schemas["echo.request"]),
			`{"$defs":{"x":{"type":"integer"}},"properties":{"a/b":{"$ref":"#/components/schemas/echo.request/$defs/x"}},"required":["a/b"],"type":"object"}`)
		c := r.dial("")
		same(t, "right", c.ask(`{"jsonrpc":"2.0","id":1,"method":"echo","params":{"a/b":1}}`), `{"jsonrpc":"2.0","id":1,"result":{"a/b":1}}`)
		same(t, "wrong", c.ask(`{"jsonrpc":"2.0","id":2,"method":"echo","params":{"a/b":"1"}}`),
			`{"jsonrpc":"2.0","id":2,"error":{"code":-32602,"message":"this is not what echo takes: /a~1b: want integer","data":{"code":"invalid_params","outcome":"not_sent","retry":false,"errors":[{"pointer":"/a~1b","detail":"want integer"}]}}}`)
	})
}

// A node that goes away tells its clients, waits for them, and takes no more.
func TestShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		polite, stubborn := r.greeted(), r.dial("")
		code := make(chan websocket.StatusCode, 1)
		go func() { c, _ := polite.closed(); code <- c }()
		if err := r.server.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		same(t, "close code", <-code, 1012)
		same(t, "sockets", r.server.Sockets(), 0)
		if _, err := r.tryDial("", nil); err == nil || !strings.Contains(err.Error(), "got 503") {
			t.Errorf("a new socket: %v", err)
		}
		_, _ = stubborn.closed()
	})
}

// Who shuts down decides how long that may take.
func TestShutdownInAHurry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		r.dial("")
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := r.server.Shutdown(ctx); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		same(t, "sockets", r.server.Sockets(), 0)
	})
}
