package ws

import (
	"bytes"
	"io"
	"strings"
	"sync"

	"github.com/go-json-experiment/json/jsontext"

	"parley/routing"
)

const (
	maxID    = 128 // bytes of an id's JSON text
	maxBatch = 100 // messages
	maxDepth = 64  // of a frame's nesting
)

// message is what a client sent, taken apart. Its slices point into the frame.
type message struct {
	raw    []byte // all of it
	id     []byte // JSON text; nil for a notification
	method []byte // without quotes and escapes
	params []byte // JSON text; nil where absent
	meta   []byte // JSON text of an object; nil where absent
}

// parser reads JSON texts that lie in memory, without copying them. It is not
// safe for concurrent use.
type parser struct {
	src bytes.Buffer
	dec jsontext.Decoder
}

var parsers = sync.Pool{New: func() any { return new(parser) }}

// asWritten lets a payload pass as RFC 8259 allows it: what names twice or lone
// surrogates mean is between client and service.
var asWritten = []jsontext.Options{jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)}

// reset makes the parser read raw, which must not change meanwhile.
func (p *parser) reset(raw []byte) {
	p.src = *bytes.NewBuffer(raw)
	p.dec.Reset(&p.src, asWritten...)
}

// release lets go of what the parser has read.
func (p *parser) release() {
	p.reset(nil)
	parsers.Put(p)
}

// each calls member for each member of the object that raw is, with the name's
// JSON text, and answers the first error of member's. It reads on after one, so
// that a syntax error, which is a parse_error, goes before all others.
func (p *parser) each(raw []byte, what string, member func(name, value []byte) *routing.Error) (first *routing.Error) {
	p.reset(raw)
	if kind := p.dec.PeekKind(); kind != '{' {
		if _, err := p.dec.ReadValue(); err != nil {
			return notJSON(err)
		}
		first = invalid("%s must be an object", what)
		return p.end(first)
	}
	if _, err := p.dec.ReadToken(); err != nil {
		return notJSON(err)
	}
	for p.dec.PeekKind() != '}' {
		name, err := p.dec.ReadValue()
		if err != nil {
			return notJSON(err)
		}
		value, err := p.dec.ReadValue()
		if err != nil {
			return notJSON(err)
		}
		if e := member(name, value); e != nil && first == nil {
			first = e
		}
	}
	if _, err := p.dec.ReadToken(); err != nil {
		return notJSON(err)
	}
	return p.end(first)
}

// end checks that nothing follows the value, and answers so far if that is so.
func (p *parser) end(so *routing.Error) *routing.Error {
	if _, err := p.dec.ReadToken(); err != io.EOF {
		return bad(routing.ParseError, "a frame is one JSON value; something follows it")
	}
	return so
}

// elements takes a batch apart. The answer to one that has none, or too many,
// is invalid_request.
func (p *parser) elements(raw []byte) (parts [][]byte, first *routing.Error) {
	p.reset(raw)
	if _, err := p.dec.ReadToken(); err != nil {
		return nil, notJSON(err)
	}
	for p.dec.PeekKind() != ']' {
		value, err := p.dec.ReadValue()
		if err != nil {
			return nil, notJSON(err)
		}
		if len(parts) <= maxBatch {
			parts = append(parts, value)
		}
	}
	if _, err := p.dec.ReadToken(); err != nil {
		return nil, notJSON(err)
	}
	switch {
	case len(parts) == 0:
		first = invalid("a batch has at least one message")
	case len(parts) > maxBatch:
		first = invalid("a batch has at most %d messages", maxBatch)
	}
	return parts, p.end(first)
}

// decode reads one message. With an error the message may still have an id, to
// answer to.
func (p *parser) decode(raw []byte) (m message, e *routing.Error) {
	m.raw = raw
	var seen members
	e = p.each(raw, "a message", func(name, value []byte) *routing.Error {
		return seen.take(&m, name, value)
	})
	switch {
	case e != nil && e.Word == routing.ParseError:
		m.id = nil
	case seen.twice&isID != 0:
		m.id = nil // which of them to answer to is anyone's guess
	}
	if e == nil {
		e = seen.missing()
	}
	return m, e
}

// members are the members of a message that have been seen.
type members struct{ once, twice member }

type member uint8

const (
	isJSONRPC member = 1 << iota
	isID
	isMethod
	isParams
	isMeta
)

// take files one member of a message.
func (s *members) take(m *message, name, value []byte) *routing.Error {
	which := memberNamed(name)
	if which == 0 {
		return nil
	}
	if s.once&which != 0 {
		s.twice |= which
		return invalid("%s occurs twice", name)
	}
	s.once |= which
	switch kind := jsontext.Value(value).Kind(); which {
	case isJSONRPC:
		if string(value) != `"2.0"` {
			return invalid(`jsonrpc must be "2.0"`)
		}
	case isID:
		if e := checkID(value); e != nil {
			return e
		}
		m.id = value
	case isMethod:
		if kind != '"' {
			return invalid("method must be a string")
		}
		m.method = unquote(value)
	case isParams:
		m.params = value
	case isMeta:
		if kind != '{' {
			return invalid("meta must be an object")
		}
		m.meta = value
	}
	return nil
}

// missing answers what a message lacks.
func (s *members) missing() *routing.Error {
	if s.once&isJSONRPC == 0 {
		return invalid(`a message has "jsonrpc":"2.0"`)
	}
	if s.once&isMethod == 0 {
		return invalid("a message has a method: the name of a service")
	}
	return nil
}

// memberNamed tells which member a name stands for; 0 for one that is ignored.
func memberNamed(name []byte) member {
	if bytes.IndexByte(name, '\\') >= 0 {
		name, _ = jsontext.AppendQuote(nil, unquote(name)) // the spelling without needless escapes
	}
	switch string(name) {
	case `"jsonrpc"`:
		return isJSONRPC
	case `"id"`:
		return isID
	case `"method"`:
		return isMethod
	case `"params"`:
		return isParams
	case `"meta"`:
		return isMeta
	}
	return 0
}

// checkID tells whether a JSON text may be an id.
func checkID(value []byte) *routing.Error {
	if kind := jsontext.Value(value).Kind(); kind != '"' && kind != '0' {
		return invalid("an id must be a string or a number")
	}
	if len(value) > maxID {
		return invalid("an id has at most %d bytes", maxID)
	}
	return nil
}

// unquote answers what a JSON string means; it copies only where it has escapes.
func unquote(text []byte) []byte {
	if bytes.IndexByte(text, '\\') < 0 {
		return text[1 : len(text)-1]
	}
	plain, _ := jsontext.AppendUnquote(nil, text) // the error is a lone surrogate, now U+FFFD
	return plain
}

func notJSON(err error) *routing.Error {
	return bad(routing.ParseError, "this is not JSON: %s", strings.TrimPrefix(err.Error(), "jsontext: "))
}

// nestsDeeper tells whether a JSON text nests deeper than max. Of what is not
// JSON it may say anything.
func nestsDeeper(text []byte, max int) bool {
	if bytes.Count(text, []byte{'{'})+bytes.Count(text, []byte{'['}) <= max {
		return false
	}
	depth, inString := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case inString:
			if c == '\\' {
				i++
			} else if c == '"' {
				inString = false
			}
		case c == '"':
			inString = true
		case c == '{' || c == '[':
			if depth++; depth > max {
				return true
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return false
}

// isBatch tells whether a frame is an array.
func isBatch(frame []byte) bool {
	frame = bytes.TrimLeft(frame, " \t\r\n")
	return len(frame) > 0 && frame[0] == '['
}
