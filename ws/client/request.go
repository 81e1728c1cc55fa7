package client

import (
	"bytes"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

const (
	head     = `{"jsonrpc":"2.0",`
	maxDepth = 64 // of a frame's nesting: the gateway's bound
	maxOpen  = 1024
)

// appendRequest appends the frame of a request; of a notification, if id is 0. It
// refuses what the gateway could not answer, because it could not read whose it is.
func appendRequest(dst []byte, id uint64, service string, params []byte, o *CallOptions) ([]byte, *Error) {
	dst = append(dst, head...)
	if id != 0 {
		dst = append(dst, `"id":`...)
		dst = append(strconv.AppendUint(dst, id, 10), ',')
	}
	t := texts{dst: append(dst, `"method":`...)}
	t.quote(service)
	if len(params) > 0 {
		if !valid(params) || !utf8.Valid(params) || nestsDeeper(params, maxDepth-1) {
			return nil, failed("invalid_params", NotSent, "params must be one JSON value in UTF-8, at most %d deep", maxDepth-1)
		}
		t.dst = append(append(t.dst, `,"params":`...), params...)
	}
	t.meta(o)
	if t.err != nil {
		return nil, failed("invalid_params", NotSent, "all texts must be UTF-8")
	}
	return append(t.dst, '}'), nil
}

// texts appends JSON, and remembers whether a text was none.
type texts struct {
	dst []byte
	err error
	sep string // before the next member of meta
}

func (t *texts) quote(s string) {
	dst, err := jsontext.AppendQuote(t.dst, s)
	if t.dst = dst; err != nil {
		t.err = err
	}
}

// meta appends ,"meta":{…} where there is something to say.
func (t *texts) meta(o *CallOptions) {
	t.sep = `,"meta":{`
	t.text(`"key":`, o.Key)
	t.text(`"idempotencyKey":`, o.IdempotencyKey)
	t.millis(`"timeout":`, o.Timeout)
	t.millis(`"wait":`, o.Wait)
	t.text(`"until":`, o.Until)
	t.text(`"etag":`, o.ETag)
	if len(o.Headers) > 0 {
		t.member(`"headers":`)
		sep := byte('{')
		for name, value := range o.Headers {
			t.dst, sep = append(t.dst, sep), ','
			t.quote(name)
			t.dst = append(t.dst, ':')
			t.quote(value)
		}
		t.dst = append(t.dst, '}')
	}
	if o.credit > 0 {
		t.member(`"credit":`)
		t.dst = strconv.AppendInt(t.dst, int64(o.credit), 10)
	}
	if len(o.Want) > 0 {
		t.member(`"want":`)
		sep := byte('[')
		for _, want := range o.Want {
			t.dst, sep = append(t.dst, sep), ','
			t.quote(want)
		}
		t.dst = append(t.dst, ']')
	}
	if t.sep == "," {
		t.dst = append(t.dst, '}')
	}
}

// text appends a member that is a text, unless it is empty.
func (t *texts) text(name, value string) {
	if value != "" {
		t.member(name)
		t.quote(value)
	}
}

// millis appends a member that is a time, unless it is 0.
func (t *texts) millis(name string, d time.Duration) {
	if d > 0 {
		t.member(name)
		t.dst = strconv.AppendInt(t.dst, max(1, d.Milliseconds()), 10)
	}
}

func (t *texts) member(name string) {
	t.dst = append(append(t.dst, t.sep...), name...)
	t.sep = ","
}

// hello is what a client says first on a socket.
type hello struct {
	token    string
	accepted bool
	session  string // "" for a new one
	secret   string
	open     []uint64
	streams  []streamAt
}

func (h *hello) append(dst []byte) []byte {
	t := texts{dst: append(dst, head+`"method":"$/hello","params":{"accepted":`...)}
	t.dst = strconv.AppendBool(t.dst, h.accepted)
	if h.token != "" {
		t.dst = append(t.dst, `,"token":`...)
		t.quote(h.token)
	}
	if h.session != "" {
		t.dst = append(t.dst, `,"resume":{"session":`...)
		t.quote(h.session)
		t.dst = append(t.dst, `,"secret":`...)
		t.quote(h.secret)
		t.dst = append(t.dst, `,"open":[`...)
		for i, id := range h.open {
			if i > 0 {
				t.dst = append(t.dst, ',')
			}
			t.dst = strconv.AppendUint(t.dst, id, 10)
		}
		t.dst = appendStreams(append(t.dst, ']'), h.streams)
		t.dst = append(t.dst, '}')
	}
	return append(t.dst, "}}"...)
}

func appendAck(dst []byte, seq uint64) []byte {
	dst = append(dst, head+`"method":"$/ack","params":{"seq":`...)
	return append(strconv.AppendUint(dst, seq, 10), "}}"...)
}

func appendCancel(dst []byte, id uint64) []byte {
	dst = append(dst, head+`"method":"$/cancel","params":{"id":`...)
	return append(strconv.AppendUint(dst, id, 10), "}}"...)
}

const (
	pingText = head + `"method":"$/ping"}`
	byeText  = head + `"method":"$/bye"}`
)

// nestsDeeper tells whether a JSON text nests deeper than max.
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
