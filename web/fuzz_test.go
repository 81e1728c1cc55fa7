package web

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"parley/routing"
)

// Whatever a caller prefers, the timeout is one that the service allows.
func FuzzPreferredWait(f *testing.F) {
	for _, line := range []string{"wait=5", "respond-async, wait=1;x", "wait=99999999999999999999", `wait="2"`, "wait=", ",,;="} {
		f.Add(line)
	}
	service := &routing.Service{MaxTimeout: 1500 * time.Millisecond}
	f.Fuzz(func(t *testing.T, line string) {
		timeout, applied := preferredWait([]string{line}, service)
		if timeout < 0 || timeout > service.MaxTimeout || (timeout > 0) != (applied != "") {
			t.Errorf("%q: %v %q", line, timeout, applied)
		}
	})
}

// Whatever path and headers a call has, it is either refused or reaches its
// service with a path that stays below it and headers that are texts with the
// names of the list.
func FuzzCall(f *testing.F) {
	f.Add("/a%2Fb", "x-a", "v", "text/plain")
	f.Add("/../..", "Cookie", "v", "")
	f.Add("/%2e%2e/", "Parley-Key", "\xff", "\x00")
	g := newGateway(f, nil)
	f.Fuzz(func(t *testing.T, below, name, value, contentType string) {
		target, err := url.Parse("/services/echo/" + below)
		if err != nil || !strings.HasPrefix(target.Path, "/services/echo/") {
			t.Skip()
		}
		r := &http.Request{Method: "POST", URL: target, Header: http.Header{}, Host: "a"}
		r.Header.Set(name, value)
		r.Header.Set("Content-Type", contentType)
		w := httptest.NewRecorder()
		g.topic.written = nil
		g.log.text.Reset()
		g.Handler().ServeHTTP(w, r)
		if w.Code != 200 {
			problemOf(t, w)
			return
		}
		call := g.topic.last().Call
		if hasDotSegment("/"+target.Path) || call.Path != strings.TrimPrefix(target.EscapedPath(), "/services/echo") {
			t.Errorf("path %q became %q", target.EscapedPath(), call.Path)
		}
		for _, h := range call.Headers {
			if h.Key != strings.ToLower(h.Key) || h.Key == "cookie" || !utf8.Valid(h.Value) {
				t.Errorf("header %q: %q", h.Key, h.Value)
			}
		}
	})
}

// Whatever bytes a reply has, they stand in a JSON array as a value.
func FuzzAppendJSON(f *testing.F) {
	for _, body := range []string{"", "1", " {} ", "\xff", "[", "\"\\ud800\"", "1 2"} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if out := appendJSON(nil, body); !json.Valid(out) || !utf8.Valid(out) {
			t.Errorf("%q became %q", body, out)
		}
	})
}

// Whatever a reply's headers are, none breaks out of its line, and none but the
// caller's gets through.
func FuzzReplyHeaders(f *testing.F) {
	f.Add("x-a", []byte("v\r\nset-cookie: a"))
	f.Add("Location", []byte{0})
	f.Add("x-\xff", []byte("v"))
	g := newGateway(f, nil)
	f.Fuzz(func(t *testing.T, name string, value []byte) {
		h := make(http.Header)
		g.log.text.Reset()
		g.writeServiceHeaders(h, &routing.Delivery{Reply: &routing.Reply{Headers: []routing.Header{{Key: name, Value: value}}}})
		for got, values := range h {
			if !isToken(got) || got != "Location" && got != "Etag" && got != "Cache-Control" && !strings.HasPrefix(got, "X-") {
				t.Errorf("header %q", got)
			}
			if strings.ContainsAny(values[0], "\r\n\x00") {
				t.Errorf("value %q", values[0])
			}
		}
	})
}

// Whatever a caller says about its key, and for how long it wants to wait, is refused
// or within its bounds.
func FuzzAsking(f *testing.F) {
	f.Add("k", "30s")
	f.Add(`"k 1"`, "99999999999999999999")
	f.Add(`"`, "-1s")
	f.Fuzz(func(t *testing.T, key, wait string) {
		got, e := idempotencyKey(http.Header{"Idempotency-Key": {key}})
		if e == nil && (got == "" || len(got) > maxIdempotencyKey || strings.ContainsAny(got, "\r\n\x00")) {
			t.Errorf("key %q: %q", key, got)
		}
		r := &http.Request{URL: &url.URL{RawQuery: url.Values{"wait": {wait}}.Encode()}}
		if d, e := longPoll(r); e == nil && (d < 0 || d > longestPoll) {
			t.Errorf("wait %q: %v", wait, d)
		}
	})
}
