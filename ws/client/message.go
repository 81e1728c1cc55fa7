package client

import (
	"bytes"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// message is what the gateway sent, taken apart. Its slices are JSON texts within
// the frame, nil where absent.
type message struct {
	id, params, result, err, meta []byte

	method string // "" for a response
	seq    uint64
}

func (p *parser) message(frame []byte) (m message, err error) {
	err = p.each(frame, func(name, value []byte) {
		switch string(name) {
		case `"id"`:
			m.id = value
		case `"method"`:
			m.method = methodNamed(value)
		case `"params"`:
			m.params = value
		case `"result"`:
			m.result = value
		case `"error"`:
			m.err = value
		case `"meta"`:
			m.meta = value
		case `"seq"`:
			m.seq, _ = number(value)
		}
	})
	return m, err
}

// methodNamed spares the names that are known an allocation.
func methodNamed(value []byte) string {
	for _, known := range [...]string{"$/reply", "$/accepted", "$/welcome", "$/goaway", "$/pong", "$/push"} {
		if len(value) == len(known)+2 && string(value[1:len(value)-1]) == known {
			return known
		}
	}
	return text(value)
}

// welcome is the gateway's answer to hello.
type welcome struct {
	session, secret, node string

	resumed bool
	frame   int // bytes that the gateway takes; 0 where it does not say
	resume  time.Duration
}

func (p *parser) welcome(params []byte) (w welcome, err error) {
	var limits []byte
	err = p.each(params, func(name, value []byte) {
		switch string(name) {
		case `"session"`:
			w.session = text(value)
		case `"secret"`:
			w.secret = text(value)
		case `"node"`:
			w.node = text(value)
		case `"resumed"`:
			w.resumed = string(value) == "true"
		case `"limits"`:
			limits = value
		}
	})
	if err != nil || limits == nil {
		return w, err
	}
	return w, p.each(limits, func(name, value []byte) {
		n, _ := number(value)
		switch string(name) {
		case `"frame"`:
			w.frame = int(n)
		case `"resume"`:
			w.resume = time.Duration(n) * time.Millisecond
		}
	})
}

// about is the params of $/reply, or of $/accepted.
type about struct {
	id, n   uint64
	data    []byte
	request []byte
}

func (p *parser) about(params []byte) (a about, err error) {
	err = p.each(params, func(name, value []byte) {
		switch string(name) {
		case `"id"`:
			a.id, _ = number(value)
		case `"n"`:
			a.n, _ = number(value)
		case `"data"`:
			a.data = value
		case `"request"`:
			a.request = value
		}
	})
	return a, err
}

// goaway answers the range of time within which the client is to move: an hour at
// most.
func (p *parser) goaway(params []byte) (from, to time.Duration) {
	var list []byte
	_ = p.each(params, func(name, value []byte) {
		if string(name) == `"reconnect"` {
			list = value
		}
	})
	var ms [2]time.Duration
	for i, text := range bytes.SplitN(bytes.Trim(list, "[] "), []byte{','}, 2) {
		n, _ := strconv.ParseFloat(string(bytes.TrimSpace(text)), 64)
		ms[i] = time.Duration(min(max(n, 0)*float64(time.Millisecond), float64(time.Hour)))
	}
	return ms[0], max(ms[0], ms[1])
}

// failure reads the error of a response.
func (p *parser) failure(object []byte) *Error {
	e := &Error{Code: "internal", Number: -32603, Outcome: Unknown}
	var data []byte
	_ = p.each(object, func(name, value []byte) {
		switch string(name) {
		case `"code"`:
			e.Number, _ = strconv.Atoi(string(value))
		case `"message"`:
			e.Message = text(value)
		case `"data"`:
			data = value
		}
	})
	if data == nil {
		return e
	}
	e.Data = bytes.Clone(data)
	_ = p.each(data, func(name, value []byte) {
		switch string(name) {
		case `"code"`:
			e.Code = text(value)
		case `"outcome"`:
			e.Outcome = Outcome(text(value))
		case `"retry"`:
			e.Retry = string(value) == "true"
		}
	})
	return e
}

// text answers what a JSON string means, "" for what is none.
func text(value []byte) string {
	if jsontext.Value(value).Kind() != '"' {
		return ""
	}
	return string(unquote(value))
}

// number reads a whole number of at most 18 digits.
func number(value []byte) (n uint64, ok bool) {
	if len(value) == 0 || len(value) > 18 {
		return 0, false
	}
	for _, c := range value {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + uint64(c-'0')
	}
	return n, true
}
