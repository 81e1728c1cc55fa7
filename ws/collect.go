package ws

import (
	"hash/maphash"
	"time"

	"parley/routing"
)

// attachMeta is what a $/attach may ask for in its meta, as if it were a request.
var attachMeta = &routing.Service{Name: "$/attach", MaxTimeout: 24 * time.Hour}

// collect has the outcome of a request that was made elsewhere come as this message's
// own. It answers only where that cannot be.
func (c *conn) collect(p *parser, m *message, to *batch) *routing.Error {
	switch {
	case m.id == nil:
		return invalid("$/attach needs an id, under which the answer comes")
	case to != nil:
		return invalid("$/attach is not said in a batch")
	}
	text, e := p.only(m.params, "request")
	if e != nil {
		return e
	}
	if text[0] != '"' {
		return badParams("params.request must be a string")
	}
	c.called = true
	request := routing.RequestID(unquote(text))
	call := &routing.Call{Door: routing.DoorWS, ClientID: string(m.id), Digest: maphash.Bytes(digestSeed, m.raw)}
	if e := p.meta(m.meta, call, attachMeta, c.server.o.Reserved); e != nil {
		return e
	}
	call.IdempotencyKey = ""
	if e := c.session.Attach(c, call, request); e != nil {
		c.refused(nil, m.id, e) // the router has counted it
	}
	return nil
}
