package web

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"parley/routing"
)

const (
	bodyTime  = 30 * time.Second // a body must have arrived by then
	writeTime = 30 * time.Second // a response must have left by then
	maxKey    = 8 << 10          // bytes of parley-key
	maxBodies = 1024             // bodies that may be arriving at a time

	lingerTime  = 2 * time.Second // for the rest of a body that is too large,
	lingerBytes = 8 << 20         // and as much of it
)

// errSlowBody is the cause of refusing a body that did not arrive in bodyTime.
var errSlowBody = errors.New("body is too slow")

// readCall makes a call of a request.
func (s *Server) readCall(w http.ResponseWriter, r *http.Request, service *routing.Service, below string) (call *routing.Call, ask asking, e *routing.Error) {
	call = &routing.Call{
		Door: routing.DoorHTTP, Service: service.Name, Caller: s.caller(r), Method: r.Method, Path: below, Query: r.URL.RawQuery,
		ContentType: r.Header.Get("Content-Type"), WantHeaders: true, WantTrace: wants(r.Header, "trace"),
	}
	if hasDotSegment(r.URL.Path) {
		return nil, ask, invalidParams("the path must not have the segments . and ..")
	}
	if !isText(call.ContentType) {
		return nil, ask, invalidParams("content-type is not UTF-8")
	}
	if call.Key, e = recordKey(r.Header); e != nil {
		return nil, ask, e
	}
	list := s.forward[service.Name]
	if list == nil {
		list = s.standard
	}
	if call.Headers, e = list.headers(r.Header, s.reserved); e != nil {
		return nil, ask, e
	}
	if coding := r.Header.Get("Content-Encoding"); coding != "" && coding != "identity" && !list.has("Content-Encoding") {
		return nil, ask, invalidParams("content-encoding %q: the service would not learn of it (forward_headers does not name it)", clip(coding))
	}
	if ask, e = readAsking(r.Header, service, call); e != nil {
		return nil, ask, e
	}
	call.Body, e = s.readBody(w, r)
	return call, ask, e
}

// recordKey reads the header parley-key; nil where there is none.
func recordKey(h http.Header) ([]byte, *routing.Error) {
	key := h.Get("Parley-Key")
	switch {
	case key == "":
		return nil, nil
	case len(key) > maxKey:
		return nil, invalidParams("parley-key may have at most %d bytes", maxKey)
	case !isText(key):
		return nil, invalidParams("parley-key is not UTF-8")
	}
	return []byte(key), nil
}

// wants tells whether parley-want, a list, has this word.
func wants(h http.Header, word string) bool {
	for _, line := range h["Parley-Want"] {
		for item := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.TrimSpace(item), word) {
				return true
			}
		}
	}
	return false
}

// hasDotSegment tells whether a path, with its escapes resolved, would lead
// elsewhere when somebody cleans it.
func hasDotSegment(path string) bool {
	if !strings.Contains(path, "/.") {
		return false
	}
	for segment := range strings.SplitSeq(path, "/") {
		if segment == "." || segment == ".." {
			return true
		}
	}
	return false
}

// readBody reads all of a body, in the time that it has. The memory it takes
// grows with what has arrived, not with what was announced.
func (s *Server) readBody(w http.ResponseWriter, r *http.Request) ([]byte, *routing.Error) {
	if r.ContentLength == 0 || r.Body == nil || r.Body == http.NoBody {
		return nil, nil
	}
	if r.ContentLength > s.body {
		return nil, s.bodyTooLarge()
	}
	defer s.arriving.Add(-1)
	if s.arriving.Add(1) > maxBodies {
		e := refusal(routing.Overloaded, "this node is reading as many bodies as it may")
		e.Retry = true
		return nil, e
	}
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(bodyTime)) // not possible in some tests
	var buf bytes.Buffer
	buf.Grow(int(min(max(r.ContentLength, 0), 64<<10)) + bytes.MinRead)
	_, err := buf.ReadFrom(http.MaxBytesReader(w, r.Body, s.body))
	if err != nil {
		return nil, s.badBody(err)
	}
	// The deadline would end the wait for the outcome too: net/http reads on, to
	// learn when the client leaves.
	_ = control.SetReadDeadline(time.Time{})
	return buf.Bytes(), nil
}

func (s *Server) badBody(err error) *routing.Error {
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return s.bodyTooLarge()
	case errors.Is(err, os.ErrDeadlineExceeded):
		e := invalidRequest("the body did not arrive within %v", bodyTime)
		e.Retry, e.Cause = true, errSlowBody
		return e
	case errors.Is(err, io.ErrUnexpectedEOF):
		return invalidRequest("the body ended before its announced length")
	}
	return invalidRequest("the body cannot be read")
}

func (s *Server) bodyTooLarge() *routing.Error {
	return refusal(routing.TooLarge, "a body may have at most %d bytes", s.body)
}

// linger reads on after a body was refused as too large, for a while: a simple
// client looks for the response only when it has sent everything.
func linger(w http.ResponseWriter, r *http.Request) {
	if r.Body == nil || r.Header.Get("Expect") != "" {
		return
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(lingerTime)) // not possible in some tests
	_, _ = io.CopyN(io.Discard, r.Body, lingerBytes)                              // its end, or ours
}

// isText tells whether a header's value is UTF-8: services decode it as such.
func isText(s string) bool { return utf8.ValidString(s) }

// boundWrite gives a response the time that it may take from now on.
func boundWrite(w http.ResponseWriter) {
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writeTime)) // not possible in some tests
}
