package bench

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/coder/websocket"
)

// standIn speaks as much of the protocol as the load generator needs, and
// counts what it is told.
type standIn struct {
	hellos, acks, byes atomic.Int64
	refuse             string // answer requests with this error
	leaves             bool   // close the socket behind the welcome
}

func (s *standIn) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{Subprotocol}})
	if err != nil {
		return
	}
	defer conn.CloseNow()
	for seq := 0; ; {
		_, message, err := conn.Read(background)
		if err != nil {
			return
		}
		var m struct {
			ID     json.RawMessage
			Method string
			Params json.RawMessage
		}
		if json.Unmarshal(message, &m) != nil {
			return
		}
		answer := map[string]any{"jsonrpc": "2.0", "id": m.ID}
		switch m.Method {
		case "$/hello":
			s.hellos.Add(1)
			answer = map[string]any{"jsonrpc": "2.0", "method": "$/welcome", "params": map[string]any{}}
		case "$/ack":
			s.acks.Add(1)
			continue
		case "$/bye":
			s.byes.Add(1)
			return
		default:
			if conn.Subprotocol() == Subprotocol {
				seq++
				answer["seq"] = seq
			}
			answer["result"] = m.Params
			if s.refuse != "" {
				delete(answer, "result")
				answer["error"] = map[string]any{"code": -32002, "data": map[string]any{"code": s.refuse}}
			}
		}
		text, _ := json.Marshal(answer)
		if conn.Write(background, websocket.MessageText, text) != nil {
			return
		}
		if s.leaves {
			_ = conn.Close(websocket.StatusNormalClosure, "")
			return
		}
	}
}

func serve(t *testing.T, s *standIn) (url string) {
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	return "ws" + strings.TrimPrefix(server.URL, "http") + "/ws"
}

// A lane whose socket the gateway has closed, as it does at the lane's goodbye, has ended well.
func TestClosedByTheGateway(t *testing.T) {
	gateway := &Gateway{URLs: []string{serve(t, &standIn{leaves: true})}}
	lane, err := gateway.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lane.Receive(); err == nil {
		t.Fatal("it was not closed")
	}
	if err := lane.Close(); err != nil {
		t.Error(err)
	}
}

// Over real sockets, through both doors and in both loops, every request gets
// its answer, and only parley.v1 acknowledges.
func TestRun(t *testing.T) {
	for name, args := range map[string]string{
		"parley.v1 open":   "--rate 500",
		"parley.v1 closed": "--closed --outstanding 40",
		"plain open":       "--rate 500 --door plain",
		"plain closed":     "--closed --door plain",
	} {
		t.Run(name, func(t *testing.T) {
			s := &standIn{}
			var out, errs bytes.Buffer
			args := append(strings.Fields(args), "--url", serve(t, s), "--sockets", "4", "--warmup", "50ms", "--duration", "400ms", "--json")
			if code := Run(t.Context(), args, &out, &errs); code != 0 {
				t.Fatalf("exit %d\n%s%s", code, out.String(), errs.String())
			}
			var r Result
			if err := json.Unmarshal(out.Bytes(), &r); err != nil || r.Answered == 0 || r.Answered != r.Sent || r.Failed() {
				t.Errorf("%v %s", err, out.String())
			}
			plain := strings.HasPrefix(name, "plain")
			if plain == (s.hellos.Load() == 4) || plain == (s.acks.Load() > 0) {
				t.Errorf("%d hellos, %d acknowledgements", s.hellos.Load(), s.acks.Load())
			}
		})
	}
}

// A gateway that refuses makes the command fail and say why.
func TestRunRefused(t *testing.T) {
	var out, errs bytes.Buffer
	code := Run(t.Context(), []string{"--url", serve(t, &standIn{refuse: "overloaded"}), "--duration", "100ms", "--warmup", "0s", "--sockets", "2"}, &out, &errs)
	if code != 1 || !strings.Contains(out.String(), "overloaded: 100") {
		t.Errorf("exit %d\n%s%s", code, out.String(), errs.String())
	}
}

// Wrong arguments are told by name, before anything is sent.
func TestRunArguments(t *testing.T) {
	for args, says := range map[string]string{
		"--rate 0":                 "rate 0",
		"--sockets 0":              "no sockets",
		"--payload 10":             "payload of 10 bytes",
		"--door v2":                `door "v2"`,
		"--watch gateway":          `watch "gateway"`,
		"--duration 0s":            "duration",
		"--closed extra":           `"extra"`,
		"--closed --outstanding 0": "nothing outstanding",
		"--nonsense":               "nonsense",
	} {
		var out, errs bytes.Buffer
		if code := Run(t.Context(), strings.Fields(args), &out, &errs); code != 2 || !strings.Contains(errs.String(), says) {
			t.Errorf("%s: exit %d: %s", args, code, errs.String())
		}
	}
	var out, errs bytes.Buffer
	if code := Run(t.Context(), []string{"--url", "ws://127.0.0.1:1/ws"}, &out, &errs); code != 1 || !strings.Contains(errs.String(), "refused") {
		t.Errorf("exit %d: %s", code, errs.String())
	}
}
