package client_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"parley/ws/client"
)

// BenchmarkCall is the client's own cost: the gateway is a loop that answers at
// once, over a real socket.
func BenchmarkCall(b *testing.B) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"parley.v1"}})
		if err != nil {
			return
		}
		defer func() { _ = ws.CloseNow() }()
		p := &peer{ws: ws}
		p.hear()
		p.welcome("S", false)
		seq := 0
		for text := p.hear(); text != ""; text = p.hear() {
			if _, rest, ok := strings.Cut(text, `"id":`); ok {
				id, _, _ := strings.Cut(rest, ",")
				seq++
				p.say(fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"result":{"ok":true},"seq":%d}`, id, seq))
			}
		}
	}))
	defer server.Close()
	for _, callers := range []int{1, 64} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			c := dial(b, client.Options{URLs: []string{server.URL}})
			b.ReportAllocs()
			began := time.Now()
			var running sync.WaitGroup
			for i := range callers {
				running.Go(func() {
					for n := i; n < b.N; n += callers {
						if _, err := c.Call(b.Context(), "echo", []byte(`{"customer":"c-1"}`), client.CallOptions{Key: "c-1"}); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			running.Wait()
			b.ReportMetric(float64(b.N)/time.Since(began).Seconds(), "calls/s")
		})
	}
}
