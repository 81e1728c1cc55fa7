package ws

import (
	"context"

	"github.com/go-json-experiment/json/jsontext"

	"parley/routing"
)

// hello is what the params of $/hello say.
type hello struct {
	token    string
	accepted bool
	resume   bool
	session  string
	secret   string
	open     [][]byte // ids that the client still waits for
	streams  []routing.StreamAt
}

// hello makes the session one that acknowledges: the client's own, where it has
// one and shows its secret, else a new one. It waits for the table.
func (c *conn) hello(p *parser, m *message, to *batch) *routing.Error {
	switch {
	case c.greeted:
		return invalid("$/hello is said once")
	case c.called:
		return invalid("$/hello comes before the first request")
	case to != nil:
		return invalid("$/hello is not said in a batch")
	}
	h, e := p.hello(m.params, max(1024, c.server.o.OpenRequests))
	if e != nil {
		return e
	}
	c.greeted, c.accepted = true, h.accepted
	c.mu.Lock()
	c.v1, c.helloBy = true, 0
	c.mu.Unlock()
	if !c.admit(h.token) {
		return nil
	}
	if c.session != nil {
		c.session.Close()
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeWait)
	defer cancel()
	if h.resume && c.resume(ctx, &h) {
		return nil
	}
	if !c.open(ctx) {
		return nil
	}
	c.sendText(c.server.appendWelcome(nil, c.session, false))
	for _, id := range h.open {
		c.refused(nil, id, &routing.Error{
			Word: routing.SessionGone, Outcome: routing.Unknown, Message: "the session that made this request cannot be resumed",
		})
	}
	return nil
}

// resume gives the client its session back, and tells whether the hello ends
// with that: not where the session is gone, and the client gets a new one.
func (c *conn) resume(ctx context.Context, h *hello) bool {
	ids := make([]string, len(h.open))
	for i, id := range h.open {
		ids[i] = string(id)
	}
	_, missing, e := c.server.o.Router.Resume(ctx, routing.ResumeSession{
		ID: routing.SessionID(h.session), Secret: h.secret, Caller: c.caller, Open: ids, Streams: h.streams, Sink: c,
		Attached: func(s *routing.Session) {
			c.setSession(s)
			c.sendText(c.server.appendWelcome(nil, s, true))
		},
	})
	switch {
	case e == nil:
	case e.Word == routing.SessionGone:
		return false
	case e.Word == routing.Overloaded:
		c.close(&closeCrowded)
		return true
	default:
		c.close(&closeNoResume)
		return true
	}
	unknown := routing.Error{Word: routing.UnknownRequest, Outcome: routing.Unknown, Message: "the session knows no such request"}
	if missing.Never {
		unknown.Outcome, unknown.Retry, unknown.Message = routing.NotSent, true, "the request never reached the gateway"
	}
	for _, id := range missing.IDs {
		c.refused(nil, []byte(id), &unknown)
	}
	return true
}

// hello reads the params of $/hello, with at most so many open ids.
func (p *parser) hello(params []byte, maxOpen int) (h hello, e *routing.Error) {
	if params == nil {
		return h, nil
	}
	var resume []byte
	e = p.each(params, "params", func(name, value []byte) *routing.Error {
		kind := jsontext.Value(value).Kind()
		switch string(unquote(name)) {
		case "token":
			if kind == '"' {
				h.token = string(unquote(value))
			}
			return mustBe(kind == '"', "token", "a string")
		case "accepted":
			h.accepted = kind == 't'
			return mustBe(kind == 't' || kind == 'f', "accepted", "true or false")
		case "resume":
			resume = value
			return mustBe(kind == '{', "resume", "an object")
		}
		return nil
	})
	if e != nil || resume == nil {
		return h, asParams(e)
	}
	h.resume = true
	e = p.resume(resume, maxOpen, &h)
	return h, asParams(e)
}

// resume reads the resume of a hello.
func (p *parser) resume(text []byte, maxOpen int, h *hello) (e *routing.Error) {
	var list, streams []byte
	e = p.each(text, "resume", func(name, value []byte) *routing.Error {
		kind := jsontext.Value(value).Kind()
		switch string(unquote(name)) {
		case "session":
			if kind == '"' {
				h.session = string(unquote(value))
			}
			return mustBe(kind == '"', "resume.session", "a string")
		case "secret":
			if kind == '"' {
				h.secret = string(unquote(value))
			}
			return mustBe(kind == '"', "resume.secret", "a string")
		case "open":
			list = value
			return mustBe(kind == '[', "resume.open", "an array of ids")
		case "streams":
			streams = value
			return mustBe(kind == '[', "resume.streams", "an array")
		}
		return nil
	})
	if e == nil && list != nil {
		h.open, e = p.ids(list, maxOpen)
	}
	if e == nil && streams != nil {
		h.streams, e = p.streams(streams, maxOpen)
	}
	return e
}

// ids reads an array of ids.
func (p *parser) ids(text []byte, most int) (ids [][]byte, e *routing.Error) {
	p.reset(text)
	if _, err := p.dec.ReadToken(); err != nil {
		return nil, notJSON(err)
	}
	for p.dec.PeekKind() != ']' {
		id, err := p.dec.ReadValue()
		if err != nil {
			return nil, notJSON(err)
		}
		if e := checkID(id); e != nil {
			return nil, e
		}
		if ids = append(ids, id); len(ids) > most {
			return nil, badParams("resume.open has at most %d ids", most)
		}
	}
	return ids, nil
}
