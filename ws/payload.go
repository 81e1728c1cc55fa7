package ws

import (
	"bytes"
	"encoding/base64"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"parley/routing"
)

const (
	typeJSON  = "application/json"
	typeBytes = "application/octet-stream"
)

// body answers the payload that params stand for, as a copy: the router keeps
// it until the outcome, the frame goes back to its pool.
func (p *parser) body(params []byte) (body []byte, contentType string, e *routing.Error) {
	if params == nil {
		return nil, "", nil
	}
	if text := p.bytesLiteral(params); text != nil {
		text = unquote(text)
		body = make([]byte, base64.StdEncoding.DecodedLen(len(text)))
		n, err := base64.StdEncoding.Decode(body, text)
		if err != nil {
			return nil, "", badParams("$bytes must be padded base64 of the standard alphabet: %v", err)
		}
		return body[:n], typeBytes, nil
	}
	return bytes.Clone(params), typeJSON, nil
}

// bytesLiteral answers the string in {"$bytes":"…"}, or nil for any other value.
func (p *parser) bytesLiteral(params []byte) (text []byte) {
	const space, name = " \t\r\n", `"$bytes"`
	if params[0] != '{' || !bytes.HasPrefix(bytes.TrimLeft(params[1:], space), []byte(name)) {
		return nil
	}
	n := 0
	_ = p.each(params, "params", func(_, value []byte) *routing.Error {
		n, text = n+1, value
		return nil
	})
	if n != 1 || text[0] != '"' {
		return nil
	}
	return text
}

// appendPayload appends a reply's body as a JSON value: itself where it is JSON,
// null where it is empty, else its bytes in base64.
func appendPayload(dst, body []byte) (out []byte, isJSON bool) {
	switch {
	case len(body) == 0:
		return append(dst, "null"...), true
	case utf8.Valid(body) && jsontext.Value(body).IsValid(asWritten...):
		return append(dst, body...), true
	}
	return appendBytes(dst, body), false
}

// appendBytes appends {"$bytes":"…"}.
func appendBytes(dst, body []byte) []byte {
	dst = append(dst, `{"$bytes":"`...)
	dst = base64.StdEncoding.AppendEncode(dst, body)
	return append(dst, `"}`...)
}

// appendText appends a JSON string. What is no UTF-8 in it becomes U+FFFD.
func appendText[T ~string | ~[]byte](dst []byte, s T) []byte {
	dst, _ = jsontext.AppendQuote(dst, s)
	return dst
}
