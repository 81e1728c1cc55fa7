package ws

import (
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
)

// A plain client's batch is answered by one array, when the last of its
// outcomes is there; messages without an id have none.
func TestBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		c := r.dial("")
		got := c.ask(` [{"jsonrpc":"2.0","id":1,"method":"silent","meta":{"timeout":100}},{"jsonrpc":"2.0","id":2,"method":"echo","params":"two"},
			{"jsonrpc":"2.0","method":"echo"},{"jsonrpc":"2.0","id":"d","method":"$/cancel","params":{"id":9}},7,{"jsonrpc":"2.0","id":3,"method":"stream"}]`)
		var all []response
		if err := json.Unmarshal([]byte(got), &all); err != nil {
			t.Fatal(err)
		}
		var ids []string
		for _, one := range all {
			ids = append(ids, string(one.ID))
		}
		same(t, "ids", strings.Join(ids, " "), `2 "d" null 3 1`)
		same(t, "result", string(all[0].Result), `"two"`)
		same(t, "cancel", string(all[1].Result), `false`)
		same(t, "nonsense", all[2].Error.Data.Code, "invalid_request")
		same(t, "last of the stream", string(all[3].Result), `3`)
		same(t, "timeout", all[4].Error.Data.Code, "timeout")
		same(t, "receipts", r.topics.done, 4)
	})
}

// A batch that was sent again while it is open is ignored; a message of it that
// is sent alone, or in another batch, is a duplicate.
func TestBatchSentAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		c := r.dial("")
		const one = `{"jsonrpc":"2.0","id":1,"method":"silent"}`
		c.say(`[` + one + `,` + one + `]`)
		c.say(`[` + one + `,` + one + `]`)
		same(t, "alone", parse(t, c.ask(one)).Error.Data.Code, "duplicate_id")
		if got := c.ask(`[` + one + `]`); !strings.HasPrefix(got, `[{"jsonrpc":"2.0","id":1,"error":{"code":-32009,`) {
			t.Errorf("in another batch: %s", got)
		}
		same(t, "requests", r.topics.count(), 1)
		c.say(`{"jsonrpc":"2.0","method":"$/cancel","params":{"id":1}}`)
		if got := c.hear(); !strings.HasPrefix(got, `[{"jsonrpc":"2.0","id":1,"error":{"code":-32008,`) || strings.Count(got, `"id":1`) != 1 {
			t.Errorf("outcome: %s", got)
		}
	})
}

// A batch of notifications has no answer; one that is empty or too long has one error.
func TestBatchLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		c := r.dial("")
		const quiet = `{"jsonrpc":"2.0","method":"echo"}`
		c.say(`[` + strings.Repeat(quiet+",", 99) + quiet + `]`)
		got := parse(t, c.ask(`[`+strings.Repeat(quiet+",", 100)+quiet+`]`))
		same(t, "too long", string(got.ID)+" "+got.Error.Data.Code, "null invalid_request")
		same(t, "requests", r.topics.count(), 100)
		same(t, "not JSON", parse(t, c.ask(`[`+quiet+`,]`)).Error.Data.Code, "parse_error")
	})
}

// Requests of batches are bounded as well, each refused one with its own error.
func TestBatchTooManyOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newRig(t, Options{OpenRequests: 2}).dial("")
		got := c.ask(`[{"jsonrpc":"2.0","id":1,"method":"silent"},{"jsonrpc":"2.0","id":2,"method":"silent"},{"jsonrpc":"2.0","id":3,"method":"echo"}]`)
		if !strings.HasPrefix(got, `[{"jsonrpc":"2.0","id":3,"error":{"code":-32002,`) {
			t.Errorf("got %s", got)
		}
	})
}

// Answers that are too large together are not collected without end.
func TestBatchTooLarge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newRig(t, Options{SendQueue: 64 << 10}).dial("")
		got := c.ask(`[{"jsonrpc":"2.0","id":1,"method":"large"},{"jsonrpc":"2.0","id":2,"method":"large"},{"jsonrpc":"2.0","id":3,"method":"large"}]`)
		var all []response
		if err := json.Unmarshal([]byte(got), &all); err != nil {
			t.Fatal(err)
		}
		same(t, "answers", len(all), 3)
		same(t, "last", all[2].Error.Data.Code, "too_large")
	})
}

// Under parley.v1 each message of a batch is answered by itself.
func TestBatchV1(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newRig(t, Options{}).greeted()
		same(t, "first", c.ask(`[{"jsonrpc":"2.0","id":1,"method":"echo"},{"jsonrpc":"2.0","id":2,"method":"echo"}]`), `{"jsonrpc":"2.0","id":1,"result":null,"seq":1}`)
		same(t, "second", c.hear(), `{"jsonrpc":"2.0","id":2,"result":null,"seq":2}`)
	})
}
