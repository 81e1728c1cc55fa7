package ws

import (
	"math"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"parley/routing"
)

// maxCredit is the most parts that a client can be ready for: no stream has more.
const maxCredit = 1 << 30

// credit takes the client's word that it is ready for more parts, and tells whether
// the request is open.
func (c *conn) credit(p *parser, params []byte) (found bool, e *routing.Error) {
	id, n, e := p.credit(params)
	return e == nil && c.session.Credit(id, n), e
}

// credit reads the params of $/credit.
func (p *parser) credit(params []byte) (client string, n int, e *routing.Error) {
	var id, count []byte
	if params != nil {
		e = p.each(params, "params", func(name, value []byte) *routing.Error {
			switch string(unquote(name)) {
			case "id":
				id = value
			case "n":
				count = value
			}
			return nil
		})
	}
	if e == nil && id == nil {
		e = badParams("params.id is missing")
	}
	if e == nil {
		e = checkID(id)
	}
	if e != nil {
		return "", 0, asParams(e)
	}
	n, ok := wholeNumber(count, 1)
	if !ok {
		return "", 0, badParams("params.n must be how many more parts the client is ready for, from 1 to %d", maxCredit)
	}
	return string(id), n, nil
}

// streams reads what a client that comes back says of its streamed answers.
func (p *parser) streams(text []byte, most int) (all []routing.StreamAt, e *routing.Error) {
	var list [][]byte
	p.reset(text)
	if _, err := p.dec.ReadToken(); err != nil {
		return nil, notJSON(err)
	}
	for p.dec.PeekKind() != ']' {
		value, err := p.dec.ReadValue()
		if err != nil {
			return nil, notJSON(err)
		}
		if list = append(list, value); len(list) > most {
			return nil, badParams("resume.streams has at most %d members", most)
		}
	}
	for _, value := range list {
		at, e := p.streamAt(value)
		if e != nil {
			return nil, e
		}
		all = append(all, at)
	}
	return all, nil
}

// streamAt reads {"id":1,"next":5,"credit":27}, where credit may be missing.
func (p *parser) streamAt(text []byte) (at routing.StreamAt, e *routing.Error) {
	at.Credit = -1
	e = p.each(text, "resume.streams[]", func(name, value []byte) *routing.Error {
		ok := true
		switch string(unquote(name)) {
		case "id":
			at.ClientID = string(value)
			return checkID(value)
		case "next":
			at.Next, ok = wholeNumber(value, 0)
		case "credit":
			at.Credit, ok = wholeNumber(value, 0)
		}
		return mustBe(ok, "resume.streams[]."+string(unquote(name)), "a whole number")
	})
	if e == nil && at.ClientID == "" {
		e = badParams("resume.streams[].id is missing")
	}
	return at, e
}

// wholeNumber reads a number from least on, as far as a stream can go.
func wholeNumber(text []byte, least int) (int, bool) {
	n, err := strconv.ParseFloat(string(text), 64)
	ok := jsontext.Value(text).Kind() == '0' && err == nil && n == math.Trunc(n) && n >= float64(least) && n <= maxCredit
	return int(n), ok
}
