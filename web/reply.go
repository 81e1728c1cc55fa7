package web

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"

	"parley/routing"
)

const (
	maxReplyHeaders     = 64       // of a reply, that its caller gets
	maxReplyHeaderBytes = 16 << 10 // of their names and values together
)

// writeReply writes an answer and flushes it, so that its error tells whether
// the bytes have left.
func (s *Server) writeReply(w http.ResponseWriter, p *parked, d *routing.Delivery) error {
	reply, h := d.Reply, w.Header()
	setIdentity(h, d)
	body, contentType := reply.Body, reply.ContentType
	if len(p.parts) > 0 {
		body, contentType = p.array(body), "application/json"
	}
	s.writeServiceHeaders(h, d)
	h["Content-Type"] = nil // none, rather than a guess
	if contentType != "" && isFieldValue(contentType) {
		h["Content-Type"] = []string{contentType}
	}
	status := http.StatusOK
	if reply.Status >= 200 && reply.Status <= 599 {
		status = reply.Status
	}
	return send(w, status, body)
}

// setIdentity sets the headers that tell of the request itself.
func setIdentity(h http.Header, d *routing.Delivery) {
	h["Parley-Request-Id"] = []string{string(d.ID)}
	if d.Trace != nil {
		if trace, err := json.Marshal(d.Trace); err == nil {
			h["Parley-Trace"] = []string{asciiJSON(trace)}
		}
	}
}

// sandbox keeps a service's answer from acting in the gateway's own origin, where
// the demo page lives, if somebody opens it as a page.
var sandbox = []string{"default-src 'none'; sandbox"}
var nosniff = []string{"nosniff"}

// send writes a whole response, and bounds the time that it may take.
func send(w http.ResponseWriter, status int, body []byte) error {
	h := w.Header()
	h["X-Content-Type-Options"] = nosniff
	h["Content-Security-Policy"] = sandbox
	if status == http.StatusNoContent || status == http.StatusNotModified {
		body = nil
	} else {
		h["Content-Length"] = []string{strconv.Itoa(len(body))}
	}
	control := http.NewResponseController(w)
	boundWrite(w)
	w.WriteHeader(status)
	if len(body) > 0 {
		if _, err := w.Write(body); err != nil {
			return fmt.Errorf("write response: %w", err)
		}
	}
	if err := control.Flush(); err != nil {
		return fmt.Errorf("flush response: %w", err)
	}
	return nil
}

// writeServiceHeaders passes on those of a reply's headers that are the
// caller's: location, etag, cache-control and x-….
func (s *Server) writeServiceHeaders(h http.Header, d *routing.Delivery) {
	reply := d.Reply
	if reply == nil {
		return
	}
	count, size := 0, 0
	for _, header := range reply.Headers {
		if !forCaller(header.Key) {
			continue
		}
		count++
		size += len(header.Key) + len(header.Value)
		if count > maxReplyHeaders || size > maxReplyHeaderBytes || !isToken(header.Key) || !isFieldValue(header.Value) {
			s.log.Warn("reply header dropped", "request", string(reply.ID), "header", clip(header.Key), "bytes", len(header.Value))
			continue
		}
		h.Add(header.Key, string(header.Value))
	}
	exposeMore(h)
}

// forCaller tells whether a reply's header goes to the caller. Of x-…, those stay
// behind that would command a proxy in front of the gateway.
func forCaller(name string) bool {
	if len(name) < 2 {
		return false
	}
	switch lower := strings.ToLower(name); lower {
	case "location", "etag", "cache-control":
		return true
	case "x-content-type-options", "x-sendfile", "x-lighttpd-send-file", "x-reproxy-url":
		return false
	default:
		return strings.HasPrefix(lower, "x-") && !strings.HasPrefix(lower, "x-accel-")
	}
}

// isFieldValue tells whether bytes may stand in a header: no line break or other
// control character, and no space around it.
func isFieldValue[T string | []byte](value T) bool {
	for i := range len(value) {
		if c := value[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// asciiJSON is JSON text in ASCII alone, as a header must be.
func asciiJSON(text []byte) string {
	for i := range text {
		if text[i] >= utf8.RuneSelf {
			return escapeJSON(text)
		}
	}
	return string(text)
}

// escapeJSON writes what is not ASCII as \u escapes; it can only be in strings.
func escapeJSON(text []byte) string {
	var out strings.Builder
	for _, r := range string(text) {
		switch {
		case r < utf8.RuneSelf:
			out.WriteRune(r)
		case r > 0xffff:
			r -= 0x10000
			fmt.Fprintf(&out, `\u%04x\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff)
		default:
			fmt.Fprintf(&out, `\u%04x`, r)
		}
	}
	return out.String()
}
