package ws

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"parley/routing"
)

const (
	maxHeaders     = 32
	maxHeaderBytes = 8 << 10 // of names and values together
	maxTimeout     = 5 * time.Minute
)

// metaParts are the members of meta that the gateway knows, as JSON texts.
type metaParts struct{ key, idempotencyKey, timeout, headers, want, credit, wait, until, etag []byte }

// meta reads what a request's meta asks for into the call.
func (p *parser) meta(raw []byte, call *routing.Call, service *routing.Service, reserved func(string) bool) *routing.Error {
	if raw == nil {
		return nil
	}
	var parts metaParts
	if e := p.each(raw, "meta", parts.take); e != nil {
		return e
	}
	if parts.key != nil {
		if parts.key[0] != '"' {
			return badParams("meta.key must be a string")
		}
		call.Key = append([]byte{}, unquote(parts.key)...)
	}
	if parts.idempotencyKey != nil {
		if e := readIdempotencyKey(parts.idempotencyKey, call); e != nil {
			return e
		}
	}
	if parts.timeout != nil {
		if e := readTimeout(parts.timeout, call, service); e != nil {
			return e
		}
	}
	if parts.credit != nil {
		n, ok := wholeNumber(parts.credit, 0)
		if !ok {
			return badParams("meta.credit must be how many parts the client is ready for, from 0 to %d", maxCredit)
		}
		call.Limited, call.Credit = true, n
	}
	if parts.wait != nil || parts.until != nil || parts.etag != nil {
		if e := readWanted(&parts, call, service); e != nil {
			return e
		}
	}
	if parts.want != nil {
		if e := p.wants(parts.want, call); e != nil {
			return e
		}
	}
	if parts.headers != nil {
		return p.headers(parts.headers, call, reserved)
	}
	return nil
}

func (parts *metaParts) take(name, value []byte) *routing.Error {
	var at *[]byte
	switch string(unquote(name)) {
	case "key":
		at = &parts.key
	case "idempotencyKey":
		at = &parts.idempotencyKey
	case "timeout":
		at = &parts.timeout
	case "headers":
		at = &parts.headers
	case "want":
		at = &parts.want
	case "credit":
		at = &parts.credit
	case "wait":
		at = &parts.wait
	case "until":
		at = &parts.until
	case "etag":
		at = &parts.etag
	default:
		return nil
	}
	if *at != nil {
		return badParams("meta.%s occurs twice", unquote(name))
	}
	*at = value
	return nil
}

// maxIdempotencyKey is how long an idempotency key may be, in bytes.
const maxIdempotencyKey = 256

// readIdempotencyKey reads meta.idempotencyKey.
func readIdempotencyKey(text []byte, call *routing.Call) *routing.Error {
	if call.Notify {
		return badParams("meta.idempotencyKey is for requests: nobody could learn of a notification's outcome")
	}
	key := ""
	if text[0] == '"' {
		key = string(unquote(text))
	}
	hidden := func(r rune) bool { return r < ' ' || r > '~' }
	if key == "" || len(key) > maxIdempotencyKey || strings.ContainsFunc(key, hidden) {
		return badParams("meta.idempotencyKey must be a string of 1 to %d visible ASCII characters", maxIdempotencyKey)
	}
	call.IdempotencyKey = key
	return nil
}

// readTimeout reads meta.timeout, in whole milliseconds.
func readTimeout(text []byte, call *routing.Call, service *routing.Service) (e *routing.Error) {
	call.Timeout, e = readMillis("timeout", text, service)
	return e
}

// readMillis reads a member of meta that is no longer than a request may take.
func readMillis(name string, text []byte, service *routing.Service) (time.Duration, *routing.Error) {
	longest := service.MaxTimeout
	if longest <= 0 {
		longest = maxTimeout
	}
	ms, err := strconv.ParseFloat(string(text), 64)
	if jsontext.Value(text).Kind() != '0' || err != nil || ms != math.Trunc(ms) || ms < 1 || ms > float64(longest.Milliseconds()) {
		return 0, badParams("meta.%s must be whole milliseconds, from 1 to %d", name, longest.Milliseconds())
	}
	return time.Duration(ms) * time.Millisecond, nil
}

// readWanted reads what a client wants of a view's newest event, and for how long it
// waits for that.
func readWanted(parts *metaParts, call *routing.Call, service *routing.Service) (e *routing.Error) {
	if service.View == nil {
		return badParams("meta.wait, meta.until and meta.etag are for services that are views, which %s is not", service.Name)
	}
	w := new(routing.Wanted)
	call.Wanted, call.WantHeaders = w, true // for the next etag
	if parts.wait != nil {
		if w.Wait, e = readMillis("wait", parts.wait, service); e != nil {
			return e
		}
	}
	if parts.etag != nil {
		if parts.etag[0] != '"' {
			return badParams("meta.etag must be a string: the header etag of an earlier answer")
		}
		w.Tags = string(unquote(parts.etag))
	}
	if parts.until == nil {
		return nil
	}
	if parts.until[0] != '"' {
		return badParams("meta.until must be a string: the name of a condition of the service's")
	}
	return w.Expect(service, string(unquote(parts.until)))
}

// wants reads meta.want, an array of words; those that are unknown are ignored.
func (p *parser) wants(text []byte, call *routing.Call) *routing.Error {
	wrong := func() *routing.Error {
		return badParams("meta.want must be an array of strings, such as trace and headers")
	}
	if text[0] != '[' {
		return wrong()
	}
	p.reset(text)
	if _, err := p.dec.ReadToken(); err != nil {
		return notJSON(err)
	}
	for p.dec.PeekKind() != ']' {
		value, err := p.dec.ReadValue()
		if err != nil || value.Kind() != '"' {
			return wrong()
		}
		switch string(unquote(value)) {
		case "trace":
			call.WantTrace = true
		case "headers":
			call.WantHeaders = true
		}
	}
	return nil
}

// headers reads meta.headers into record headers.
func (p *parser) headers(text []byte, call *routing.Call, reserved func(string) bool) *routing.Error {
	if text[0] != '{' {
		return badParams("meta.headers must be an object")
	}
	size := 0
	return p.each(text, "meta.headers", func(rawName, rawValue []byte) *routing.Error {
		name := string(unquote(rawName))
		if len(call.Headers) >= maxHeaders {
			return badParams("meta.headers may have at most %d members", maxHeaders)
		}
		if e := checkHeaderName(name, call.Headers, reserved); e != nil {
			return e
		}
		if rawValue[0] != '"' {
			return badParams("meta.headers: the value of %q must be a string", name)
		}
		value := append([]byte{}, unquote(rawValue)...)
		if size += len(name) + len(value); size > maxHeaderBytes {
			return badParams("meta.headers may have at most %d bytes in all", maxHeaderBytes)
		}
		call.Headers = append(call.Headers, routing.Header{Key: name, Value: value})
		return nil
	})
}

func checkHeaderName(name string, others []routing.Header, reserved func(string) bool) *routing.Error {
	if !isToken(name) {
		return badParams("meta.headers: %q is not a lower-case token of at most %d bytes", clip(name), maxHeaderName)
	}
	if reserved(name) {
		return badParams("meta.headers: %q is a name that Parley uses itself", name)
	}
	for _, h := range others {
		if h.Key == name {
			return badParams("meta.headers: %q occurs twice", name)
		}
	}
	return nil
}

const maxHeaderName = 256 // bytes

// isToken tells whether a name is a token as HTTP has it, without capitals.
func isToken(name string) bool {
	if name == "" || len(name) > maxHeaderName {
		return false
	}
	for i := range len(name) {
		switch c := name[i]; {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9':
		case c == '!', '#' <= c && c <= '\'', c == '*', c == '+', c == '-', c == '.', c == '^', c == '_', c == '`', c == '|', c == '~':
		default:
			return false
		}
	}
	return true
}

// clip shortens what a client sent, to be quoted to it.
func clip(s string) string {
	if len(s) > 64 {
		return s[:64] + "…"
	}
	return s
}
