package client

import (
	"bytes"
	"errors"
	"io"
	"sync"

	"github.com/go-json-experiment/json/jsontext"
)

// parser takes JSON texts apart that lie in memory, without copying them. It is
// not safe for concurrent use.
type parser struct {
	src bytes.Buffer
	dec jsontext.Decoder
}

var parsers = sync.Pool{New: func() any { return new(parser) }}

// asWritten lets a payload pass as its service has written it.
var asWritten = []jsontext.Options{jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)}

var errNotObject = errors.New("not an object")

func newParser() *parser { return parsers.Get().(*parser) }

// release lets go of what the parser has read.
func (p *parser) release() {
	p.reset(nil)
	parsers.Put(p)
}

// reset makes the parser read raw, which must not change meanwhile.
func (p *parser) reset(raw []byte) {
	p.src = *bytes.NewBuffer(raw)
	p.dec.Reset(&p.src, asWritten...)
}

// each calls member for each member of the object that raw is, with the name's
// JSON text. Both slices point into raw. It must not be called within member.
func (p *parser) each(raw []byte, member func(name, value []byte)) error {
	p.reset(raw)
	if kind := p.dec.PeekKind(); kind != '{' {
		return errNotObject
	}
	if _, err := p.dec.ReadToken(); err != nil {
		return err
	}
	for p.dec.PeekKind() != '}' {
		name, err := p.dec.ReadValue()
		if err != nil {
			return err
		}
		value, err := p.dec.ReadValue()
		if err != nil {
			return err
		}
		member(name, value)
	}
	if _, err := p.dec.ReadToken(); err != nil {
		return err
	}
	if _, err := p.dec.ReadToken(); err != io.EOF {
		return errors.New("something follows the object")
	}
	return nil
}

// valid tells whether raw is one JSON value.
func valid(raw []byte) bool { return jsontext.Value(raw).IsValid(asWritten...) }

// unquote answers what a JSON string means; it copies only where it has escapes.
func unquote(text []byte) []byte {
	if bytes.IndexByte(text, '\\') < 0 {
		return text[1 : len(text)-1]
	}
	plain, _ := jsontext.AppendUnquote(nil, text) // the error is a lone surrogate, now U+FFFD
	return plain
}
