package ws

import (
	"math"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"parley/routing"
)

// takeControl deals with a message whose name starts with "$/".
func (c *conn) takeControl(p *parser, m *message, to *batch) {
	answer, e := "true", (*routing.Error)(nil)
	switch string(m.method) {
	case "$/hello":
		e = c.hello(p, m, to)
	case "$/ack":
		e = c.ack(p, m.params)
	case "$/cancel":
		var found bool
		found, e = c.cancel(p, m.params)
		answer = strconv.FormatBool(found)
	case "$/credit":
		var found bool
		found, e = c.credit(p, m.params)
		answer = strconv.FormatBool(found)
	case "$/attach":
		if e = c.collect(p, m, to); e == nil {
			return
		}
	case "$/subscribe":
		if e = c.subscribe(p, m, to); e == nil {
			return // it is answered later
		}
	case "$/unsubscribe":
		var found bool
		found, e = c.unsubscribe(p, m.params)
		answer = strconv.FormatBool(found)
	case "$/ping":
		c.sendText([]byte(`{"jsonrpc":"2.0","method":"$/pong"}`))
	case "$/bye":
		defer c.bye()
	default:
		if m.id == nil {
			return
		}
		e = bad(routing.UnknownService, "this gateway does not know the message %q", clip(string(m.method)))
	}
	if e != nil {
		c.refuse(to, m.id, e)
		return
	}
	c.result(to, m.id, []byte(answer))
}

// ack takes the client's word on what has arrived.
func (c *conn) ack(p *parser, params []byte) *routing.Error {
	if !c.v1 {
		return invalid("only a session that was opened with $/hello acknowledges")
	}
	text, e := p.only(params, "seq")
	if e != nil {
		return e
	}
	// A float holds any seq that a socket will ever reach, and 6.0 is 6.
	seq, err := strconv.ParseFloat(string(text), 64)
	if jsontext.Value(text).Kind() != '0' || err != nil || seq != math.Trunc(seq) || seq < 0 || seq > 1<<53 {
		return badParams("params.seq must be the seq of a message")
	}
	return c.session.Ack(c, uint64(seq))
}

// cancel ends an open request, and tells whether there was one.
func (c *conn) cancel(p *parser, params []byte) (bool, *routing.Error) {
	id, e := p.only(params, "id")
	if e != nil {
		return false, e
	}
	if e := checkID(id); e != nil {
		return false, asParams(e)
	}
	return c.session.Cancel(string(id)), nil
}

// only answers the value of the one member that params must have.
func (p *parser) only(params []byte, member string) (value []byte, e *routing.Error) {
	if params != nil {
		e = p.each(params, "params", func(name, v []byte) *routing.Error {
			if string(unquote(name)) == member {
				value = v
			}
			return nil
		})
	}
	if e == nil && value == nil {
		e = badParams("params.%s is missing", member)
	}
	return value, asParams(e)
}

// bye ends the session, and then the socket.
func (c *conn) bye() {
	c.session.Close()
	c.close(&closeBye)
}

func mustBe(is bool, member, what string) *routing.Error {
	if is {
		return nil
	}
	return badParams("params.%s must be %s", member, what)
}

// asParams makes an error about part of a message one about its params.
func asParams(e *routing.Error) *routing.Error {
	if e != nil {
		e.Word = routing.InvalidParams
	}
	return e
}
