package web

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"time"
	"unicode/utf8"

	"parley/routing"
)

// parked is the sink of one call. The router calls it with the session's lock
// held; the handler reads it once the outcome is in the channel.
type parked struct {
	outcome chan routing.Delivery // room for the one outcome: Deliver never blocks

	most    int      // parts
	limit   int64    // bytes of all of them
	parts   [][]byte // bodies of a streamed answer
	size    int64
	over    bool      // the outcome has been given
	tooLong bool      // it was that the parts exceed limit
	at      time.Time // when the outcome came
}

// takeParked takes one from the server's pool, which is its own so that channels
// never wander into a test's bubble.
func (s *Server) takeParked() *parked {
	p, _ := s.parked.Get().(*parked)
	if p == nil {
		p = &parked{outcome: make(chan routing.Delivery, 1)}
	}
	p.most, p.limit = s.arrayParts, s.arrayBytes
	return p
}

// giveBack returns p to the pool. The router must have let go of it: its request
// has ended or was abandoned.
func (s *Server) giveBack(p *parked) {
	*p = parked{outcome: p.outcome}
	s.parked.Put(p)
}

// Accepted implements routing.Sink.
func (p *parked) Accepted(string, routing.RequestID) {}

// Leave implements routing.Sink: a call's own sink is never left.
func (p *parked) Leave(routing.Leaving) {}

// Deliver implements routing.Sink. A part is settled as it comes: its call is on
// this node's own connection, so no other node could ever answer with it, and a
// long stream must not hold up its partition's commits.
func (p *parked) Deliver(d routing.Delivery) {
	switch {
	case p.over:
		d.Written()
	case d.Part:
		p.add(d.Reply.Body)
		d.Written()
		if p.size > p.limit || len(p.parts) > p.most {
			p.tooLong = true
			p.give(routing.Delivery{ID: d.ID, Trace: d.Trace, Err: p.error()})
		}
	default:
		p.give(d)
	}
}

// error is that of a streamed answer with more parts, or bytes, than may be.
func (p *parked) error() *routing.Error {
	e := refusal(routing.TooLarge, "the service's stream has more than %d bytes or %d parts: ask for %s or %s", p.limit, p.most, typeEvents, typeLines)
	e.Outcome = routing.Done
	return e
}

func (p *parked) give(d routing.Delivery) {
	p.over, p.at = true, time.Now()
	p.outcome <- d
}

func (p *parked) add(body []byte) {
	p.parts = append(p.parts, body)
	p.size += int64(len(body)) + 1 // an empty part is not free
}

// array is the streamed answer as a JSON array, its final reply included unless
// that is empty.
func (p *parked) array(final []byte) []byte {
	out := make([]byte, 0, int(p.size)+len(final)+2)
	out = append(out, '[')
	for _, part := range p.parts {
		out = append(appendJSON(out, part), ',')
	}
	if len(final) > 0 {
		out = append(appendJSON(out, final), ',')
	}
	out[len(out)-1] = ']' // there is at least one part
	return out
}

// appendJSON appends a payload as a JSON value: itself where it is JSON, null
// where it is empty, else its bytes in base64.
func appendJSON(dst, body []byte) []byte {
	switch {
	case len(body) == 0:
		return append(dst, "null"...)
	case utf8.Valid(body) && json.Valid(body):
		return append(dst, bytes.TrimSpace(body)...)
	}
	dst = append(dst, `{"$bytes":"`...)
	dst = base64.StdEncoding.AppendEncode(dst, body)
	return append(dst, `"}`...)
}
