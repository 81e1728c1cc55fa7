package ws

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"parley/routing"
)

// keptOver keeps a request as another door does.
func (r *rig) keptOver(service, key string) routing.RequestID {
	r.t.Helper()
	id, e := r.router.Keep(r.t.Context(), &routing.Call{Door: routing.DoorHTTP, Service: service, Body: []byte(`1`), IdempotencyKey: key}, nil)
	if e != nil {
		r.t.Fatal(e)
	}
	return id
}

// A request was made over HTTP; a socket attaches it, and gets its answer under the
// id that it asked with: at both doors, as often as it asks.
func TestAttach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		id := string(r.keptOver("echo", ""))
		time.Sleep(time.Second)
		plain, v1 := r.dial(""), r.greeted()
		ask := `{"jsonrpc":"2.0","id":9,"method":"$/attach","params":{"request":"` + id + `"}}`
		same(t, "plain", plain.ask(ask), `{"jsonrpc":"2.0","id":9,"result":1}`)
		same(t, "v1", v1.ask(ask), `{"jsonrpc":"2.0","id":9,"result":1,"seq":1}`)
		same(t, "again", v1.ask(ask), `{"jsonrpc":"2.0","id":9,"result":1,"seq":2}`)
		unknown := v1.ask(`{"jsonrpc":"2.0","id":9,"method":"$/attach","params":{"request":"` + strings.Repeat("a", 22) + `.1"}}`)
		if !strings.Contains(unknown, `"unknown_request","outcome":"unknown"`) {
			t.Errorf("unknown: %s", unknown)
		}
		for params, word := range map[string]string{
			`{}`: "invalid_params", `{"request":1}`: "invalid_params", `{"request":"x"}`: "unknown_request", `[]`: "invalid_params",
		} {
			if got := v1.ask(`{"jsonrpc":"2.0","id":9,"method":"$/attach","params":` + params + `}`); !strings.Contains(got, word) {
				t.Errorf("%s: %s", params, got)
			}
		}
		if got := plain.ask(`[{"jsonrpc":"2.0","id":9,"method":"$/attach","params":{"request":"` + id + `"}}]`); !strings.Contains(got, "invalid_request") {
			t.Errorf("in a batch: %s", got)
		}
	})
}

// The same key on two sockets, one of them in a batch, makes one request; what is
// wrong about a key is told.
func TestIdempotencyKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		plain, v1 := r.dial(""), r.greeted()
		ask := `{"jsonrpc":"2.0","id":1,"method":"echo","params":5,"meta":{"idempotencyKey":"k 1"}}`
		same(t, "first", v1.ask(ask), `{"jsonrpc":"2.0","id":1,"result":5,"seq":1}`)
		same(t, "batch", plain.ask(`[`+ask+`]`), `[{"jsonrpc":"2.0","id":1,"result":5}]`)
		same(t, "requests", r.topics.count(), 1)
		same(t, "key", r.topics.last().Call.IdempotencyKey, "k 1")
		for frame, word := range map[string]string{
			strings.Replace(ask, `:5`, `:6`, 1):                                "duplicate_id",
			strings.Replace(ask, `"k 1"`, `""`, 1):                             "invalid_params",
			strings.Replace(ask, `"k 1"`, `7`, 1):                              "invalid_params",
			strings.Replace(ask, `"k 1"`, `"\n"`, 1):                           "invalid_params",
			strings.Replace(ask, `"echo"`, `"no"`, 1):                          "unknown_service",
			strings.Replace(ask, `"k 1"`, `"`+strings.Repeat("k", 257)+`"`, 1): "invalid_params",
		} {
			if got := v1.ask(frame); !strings.Contains(got, word) {
				t.Errorf("%s: %s", clip(frame), got)
			}
		}
		same(t, "requests", r.topics.count(), 1)
	})
}
