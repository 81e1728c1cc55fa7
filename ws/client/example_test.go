package client_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/coder/websocket"

	"parley/ws/client"
)

// demo is a gateway with one service, which has one answer.
func demo() *httptest.Server {
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"parley.v1"}})
		if err != nil {
			return
		}
		defer func() { _ = ws.CloseNow() }()
		p := &peer{ws: ws}
		p.hear()
		p.welcome("S", false)
		p.hear()
		p.say(`{"jsonrpc":"2.0","id":1,"result":{"order":"o-17"},"seq":1}`)
		p.linger()
	}))
}

func Example() {
	gateway := demo()
	defer gateway.Close()

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	c, err := client.Dial(ctx, client.Options{URLs: []string{gateway.URL}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = c.Close(ctx) }()

	reply, err := c.Call(ctx, "orders", []byte(`{"customer":"c-1"}`), client.CallOptions{Key: "c-1", Timeout: 5 * time.Second})
	var e *client.Error
	switch {
	case err == nil:
		fmt.Printf("%s\n", reply.Result)
	case errors.As(err, &e) && e.Outcome == client.NotSent:
		fmt.Println("nothing has happened, so it may be tried again:", e)
	default:
		fmt.Println("it may have happened:", err)
	}
	// Output: {"order":"o-17"}
}
