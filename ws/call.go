package ws

import (
	"hash/maphash"

	"parley/routing"
)

// digestSeed makes digests that no client can foresee.
var digestSeed = maphash.MakeSeed()

// takeCall makes a request of a service.
func (c *conn) takeCall(p *parser, m *message, to *batch) {
	c.called = true
	call := &routing.Call{Door: routing.DoorWS, ClientID: string(m.id), Notify: m.id == nil, WantSafe: c.accepted}
	call.Digest = maphash.Bytes(digestSeed, m.raw)
	if service := c.server.o.Router.Service(string(m.method)); service != nil {
		call.Service = service.Name
		if e := c.fill(p, m, call, service); e != nil {
			c.server.o.Observer.Count(routing.Refusals, string(e.Word))
			c.server.o.Observer.Finished(service.Name, routing.DoorWS, e.Word, 0)
			c.refuseCall(m, to, e)
			return
		}
	} else {
		call.Service = string(m.method) // the router's error quotes it
	}
	call.Limited = call.Limited && c.v1 // the plain door gets no parts at all
	if to != nil && !call.Notify {
		to.submit(call, m)
		return
	}
	if _, e := c.session.SubmitFrom(c, call); e != nil {
		c.refuseCall(m, to, e)
	}
}

// fill reads what a message says about its request.
func (c *conn) fill(p *parser, m *message, call *routing.Call, service *routing.Service) (e *routing.Error) {
	if call.Body, call.ContentType, e = p.body(m.params); e != nil {
		return e
	}
	return p.meta(m.meta, call, service, c.server.o.Reserved)
}

// refuseCall answers a call with an error that has been counted. A notification
// gets none, but is as bad a message as any other.
func (c *conn) refuseCall(m *message, to *batch, e *routing.Error) {
	switch {
	case m.id != nil:
		c.refused(to, m.id, e)
	case teaches(e.Word):
		c.strike()
	}
}
