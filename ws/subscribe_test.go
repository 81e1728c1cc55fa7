package ws

import (
	"testing"
	"testing/synctest"

	"parley/routing"
)

const subscribeOrder = `{"jsonrpc":"2.0","id":1,"method":"$/subscribe","params":{"topic":"orders.events","key":"o-1"}}`

// push delivers an event to a session, as a consumer of events would.
func (r *rig) push(session string, offset int64, body string) {
	at := routing.RecordAt{Topic: "orders.events", Partition: 2, Offset: offset}
	r.router.Deliver(r.t.Context(), []*routing.Reply{{
		ID: routing.PushID(routing.SessionID(session), at), Final: true, Body: []byte(body), From: at,
		Headers: []routing.Header{{Key: routing.PushKey, Value: []byte("o-1")}},
	}})
}

// A client subscribes, is told when that holds, and gets events, numbered as all that
// it has to acknowledge; what it has not acknowledged comes again after a resume,
// without subscribing again.
func TestSubscribe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		c, w := r.hello(`{}`)
		same(t, "answer", c.ask(subscribeOrder), `{"jsonrpc":"2.0","id":1,"result":true}`)
		r.push(w.Session, 7, `{"state":"CREATED"}`)
		first := `{"jsonrpc":"2.0","method":"$/push","params":{"topic":"orders.events","key":"o-1","event":"orders.events/2/7","data":{"state":"CREATED"}},"seq":1}`
		same(t, "push", c.hear(), first)
		_ = c.ws.CloseNow()
		synctest.Wait()
		c, _ = r.hello(w.resume(``))
		same(t, "push again", c.hear(), first)
		r.push(w.Session, 8, `no JSON`)
		same(t, "next push", c.hear(), `{"jsonrpc":"2.0","method":"$/push","params":{"topic":"orders.events","key":"o-1","event":"orders.events/2/8","data":{"$bytes":"bm8gSlNPTg=="}},"seq":2}`)
		same(t, "unsubscribed", c.ask(`{"jsonrpc":"2.0","id":2,"method":"$/unsubscribe","params":{"topic":"orders.events","key":"o-1"}}`), `{"jsonrpc":"2.0","id":2,"result":true}`)
		same(t, "again", c.ask(`{"jsonrpc":"2.0","id":3,"method":"$/unsubscribe","params":{"topic":"orders.events","key":"o-1"}}`), `{"jsonrpc":"2.0","id":3,"result":false}`)
	})
}

// Subscribing is asking for more than responses, so a plain client may, too.
func TestSubscribePlain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		c := r.dial("")
		same(t, "answer", c.ask(subscribeOrder), `{"jsonrpc":"2.0","id":1,"result":true}`)
	})
}

// What cannot be subscribed to is refused by name.
func TestSubscribeRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		c, _ := r.hello(`{}`)
		for params, word := range map[string]string{
			`{"topic":"parley.replies","key":"x"}`: "forbidden",
			`{"topic":"orders.events"}`:            "invalid_params",
			`{"topic":"orders.events","key":""}`:   "invalid_params",
			`{"topic":"orders.events","key":7}`:    "invalid_params",
			`[]`:                                   "invalid_params",
		} {
			m := parse(t, c.ask(`{"jsonrpc":"2.0","id":1,"method":"$/subscribe","params":`+params+`}`))
			same(t, params, m.Error.Data.Code, word)
		}
	})
}

// Without a key all of a topic is subscribed to, where that is allowed, and each event
// says whose it is.
func TestSubscribeToAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		c, w := r.hello(`{}`)
		same(t, "answer", c.ask(`{"jsonrpc":"2.0","id":1,"method":"$/subscribe","params":{"topic":"stock.events"}}`), `{"jsonrpc":"2.0","id":1,"result":true}`)
		at := routing.RecordAt{Topic: "stock.events", Partition: 1, Offset: 4}
		r.router.Deliver(t.Context(), []*routing.Reply{{
			ID: routing.PushID(routing.SessionID(w.Session), at), Final: true, Body: []byte("5"), From: at,
			Headers: []routing.Header{{Key: routing.PushKey, Value: []byte("tea")}},
		}})
		same(t, "push", c.hear(), `{"jsonrpc":"2.0","method":"$/push","params":{"topic":"stock.events","key":"tea","event":"stock.events/1/4","data":5},"seq":1}`)
		same(t, "an empty key", parse(t, c.ask(`{"jsonrpc":"2.0","id":2,"method":"$/subscribe","params":{"topic":"stock.events","key":""}}`)).Error.Data.Code, "invalid_params")
		same(t, "unsubscribed", c.ask(`{"jsonrpc":"2.0","id":3,"method":"$/unsubscribe","params":{"topic":"stock.events"}}`), `{"jsonrpc":"2.0","id":3,"result":true}`)
	})
}
