package ws

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"parley/routing"
)

// answerInParts has a service answer the newest request: parts from one number up to
// before another, and the final one if that is the last.
func (r *rig) answerInParts(from, to, last int) {
	r.t.Helper()
	id := r.topics.last().ID
	for n := from; n < to; n++ {
		r.router.Deliver(r.t.Context(), []*routing.Reply{{ID: id, Place: n + 1, Final: n == last, Body: fmt.Append(nil, n)}})
	}
}

func partFrame(id string, n, seq int) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","method":"$/reply","params":{"id":%s,"n":%d,"data":%d},"seq":%d}`, id, n, n, seq)
}

// A client says how many parts it is ready for, and gets no more; when it comes back
// it says what it has, and what of it was not acknowledged comes again.
func TestStreamWithCredit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		c, w := r.hello(`{}`)
		c.say(`{"jsonrpc":"2.0","id":1,"method":"silent","meta":{"credit":2}}`)
		synctest.Wait()
		r.answerInParts(0, 7, 6)
		same(t, "part", c.hear(), partFrame("1", 0, 1))
		same(t, "part", c.hear(), partFrame("1", 1, 2))
		same(t, "another request", c.ask(`{"jsonrpc":"2.0","id":2,"method":"echo"}`), `{"jsonrpc":"2.0","id":2,"result":null,"seq":3}`)
		c.say(`{"jsonrpc":"2.0","method":"$/credit","params":{"id":1,"n":1}}`)
		same(t, "part", c.hear(), partFrame("1", 2, 4))
		c.say(`{"jsonrpc":"2.0","method":"$/ack","params":{"seq":3}}`)
		synctest.Wait()
		_ = c.ws.CloseNow()
		synctest.Wait()

		resume := strings.Replace(w.resume(`1`), `"open"`, `"streams":[{"id":1,"next":3,"credit":2}],"open"`, 1)
		c, again := r.hello(resume)
		same(t, "resumed", again.Resumed, true)
		for n := 2; n < 5; n++ {
			same(t, "part", c.hear(), partFrame("1", n, n-1))
		}
		same(t, "credit with an id", c.ask(`{"jsonrpc":"2.0","id":9,"method":"$/credit","params":{"id":3,"n":1}}`), `{"jsonrpc":"2.0","id":9,"result":false}`)
		c.say(`{"jsonrpc":"2.0","method":"$/credit","params":{"id":1,"n":5}}`)
		same(t, "part", c.hear(), partFrame("1", 5, 4))
		same(t, "the response", c.hear(), `{"jsonrpc":"2.0","id":1,"result":6,"seq":5}`)
	})
}

// Numbers that make no sense are refused, and harm nothing.
func TestBadCredit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		c := r.greeted()
		for _, bad := range []string{
			`"method":"echo","meta":{"credit":-1}`, `"method":"echo","meta":{"credit":1.5}`, `"method":"echo","meta":{"credit":"2"}`,
			`"method":"echo","meta":{"credit":1e10}`, `"method":"$/credit","params":{"id":1}`, `"method":"$/credit","params":{"n":1}`,
			`"method":"$/credit","params":{"id":1,"n":0}`, `"method":"$/credit","params":{"id":{},"n":1}`, `"method":"$/credit"`,
		} {
			m := parse(t, c.ask(`{"jsonrpc":"2.0","id":1,`+bad+`}`))
			same(t, bad, m.Error.Data.Code, "invalid_params")
		}
	})
}

// The plain door gets no parts, and its answer does not wait for credit that nobody
// will give.
func TestPlainDoorNeedsNoCredit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		c := r.dial("")
		c.say(`{"jsonrpc":"2.0","id":1,"method":"silent","meta":{"credit":0}}`)
		synctest.Wait()
		r.answerInParts(0, 4, 3)
		same(t, "the response", c.hear(), `{"jsonrpc":"2.0","id":1,"result":3}`)
	})
}

// What a client says of its streams when it comes back is checked like the rest.
func TestBadStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		for _, bad := range []string{`{}`, `[1]`, `[{"next":1}]`, `[{"id":1,"next":-1}]`, `[{"id":1,"credit":"x"}]`, `[{"id":null}]`} {
			c := r.dial("parley.v1")
			m := parse(t, c.ask(`{"jsonrpc":"2.0","id":0,"method":"$/hello","params":{"resume":{"streams":`+bad+`}}}`))
			same(t, bad, m.Error.Data.Code, "invalid_params")
			_ = c.ws.CloseNow()
		}
	})
}
