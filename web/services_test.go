package web

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"parley/routing"
)

// A caller gets back exactly the bytes and the content type that a service
// answers with, and the service gets exactly the caller's.
func TestBytesBothWays(t *testing.T) {
	g := newGateway(t, nil)
	url, client := g.listen(t)
	big := make([]byte, 1<<20)
	_, _ = rand.Read(big)
	for name, body := range map[string][]byte{
		"empty": nil, "null": []byte("null"), "text": []byte("grüße, 世界\r\n\x00"), "big": big, "not UTF-8": {0xff, 0xfe, 0},
	} {
		for _, announced := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s/announced=%v", name, announced), func(t *testing.T) {
				var reader io.Reader = bytes.NewReader(body)
				if !announced {
					reader = io.MultiReader(reader) // chunked: its length is not known
				}
				response, err := client.Post(url+"/services/echo", "application/x-test; a=b", reader)
				if err != nil {
					t.Fatal(err)
				}
				defer response.Body.Close()
				got, err := io.ReadAll(response.Body)
				if err != nil || !bytes.Equal(got, body) {
					t.Fatalf("%d bytes came back of %d: %v", len(got), len(body), err)
				}
				if response.StatusCode != 200 || response.Header.Get("Content-Type") != "application/x-test; a=b" {
					t.Errorf("status %d, content type %q", response.StatusCode, response.Header.Get("Content-Type"))
				}
				if sent := g.topic.last().Call; !bytes.Equal(sent.Body, body) || sent.ContentType != "application/x-test; a=b" {
					t.Errorf("the service got %d bytes as %q", len(sent.Body), sent.ContentType)
				}
				if id := response.Header.Get("Parley-Request-Id"); id != string(g.topic.last().ID) {
					t.Errorf("parley-request-id = %q, want %q", id, g.topic.last().ID)
				}
			})
		}
	}
	g.eventually(t, "not all replies are settled", func() bool { return g.topic.settledCount() == 10 })
	g.noneOpen(t)
}

// The service learns the method, what is below its name as the client escaped
// it, and the query untouched.
func TestMethodPathAndQuery(t *testing.T) {
	g := newGateway(t, nil)
	for _, c := range []struct{ method, target, path, query string }{
		{"POST", "/services/echo", "", ""},
		{"GET", "/services/echo/", "/", ""},
		{"PUT", "/services/echo/a/b", "/a/b", ""},
		{"PATCH", "/services/echo/a%2Fb%20c/%E4%B8%96", "/a%2Fb%20c/%E4%B8%96", ""},
		{"DELETE", "/services/echo//x//", "//x//", "q=1&q=%20&;=+"},
		{"GET", "/services/%65cho/a;b=c", "/a;b=c", "?/../"},
		{"GET", "/services/echo/.hidden/a..b/...", "/.hidden/a..b/...", ""},
	} {
		target := c.target
		if c.query != "" {
			target += "?" + c.query
		}
		if w := g.do(c.method, target, nil); w.Code != 200 {
			t.Errorf("%s %s: status %d: %s", c.method, target, w.Code, w.Body)
			continue
		}
		call := g.topic.last().Call
		if call.Method != c.method || call.Path != c.path || call.Query != c.query || call.Door != routing.DoorHTTP {
			t.Errorf("%s %s: got %s %q %q", c.method, target, call.Method, call.Path, call.Query)
		}
	}
}

// Listed request headers become record headers; secrets and the door's own do
// not, whatever the list.
func TestForwardedHeaders(t *testing.T) {
	g := newGateway(t, func(o *Options) { o.Forward = map[string][]string{"quick": {"*"}} })
	sent := []string{
		"X-Demo-Delay: 1s", "X-Two: a", "X-Two: b", "Accept: text/plain", "Traceparent: 00-1-2-3", "Accept-Language: de",
		"Authorization: Bearer x", "Cookie: a=b", "User-Agent: test", "Parley-Key: k", "Content-Type: text/plain", "Te: trailers",
	}
	for service, want := range map[string]string{
		"echo":  "accept=text/plain accept-language=de traceparent=00-1-2-3 x-demo-delay=1s x-two=a, b",
		"quick": "accept=text/plain accept-language=de traceparent=00-1-2-3 user-agent=test x-demo-delay=1s x-two=a, b",
	} {
		if w := g.do("POST", "/services/"+service, nil, sent...); w.Code != 200 {
			t.Fatalf("%s: %d %s", service, w.Code, w.Body)
		}
		var got []string
		for _, h := range g.topic.last().Call.Headers {
			got = append(got, h.Key+"="+string(h.Value))
		}
		if line := strings.Join(got, " "); line != want {
			t.Errorf("%s got %q\nwant %q", service, line, want)
		}
		if key := g.topic.last().Call.Key; string(key) != "k" {
			t.Errorf("record key = %q", key)
		}
	}
}

// A caller may shorten or lengthen its wait, but not beyond what the service
// allows, and is told what holds.
func TestPreferWait(t *testing.T) {
	g := newGateway(t, nil)
	for _, c := range []struct{ prefer, applied string }{
		{"wait=5", "wait=5"},
		{"handling=lenient, Wait = 7; x=y, wait=9", "wait=7"},
		{`wait="8"`, "wait=8"},
		{"wait=61", "wait=60"},
		{"wait=99999999999999999999999", "wait=60"},
		{"wait=-1", ""}, {"wait=0", ""}, {"wait=1.5", ""}, {"wait", ""}, {"handling=strict", ""}, {"waiting=4", ""},
	} {
		w := g.do("POST", "/services/echo", nil, "Prefer: "+c.prefer)
		if got := w.Header().Get("Preference-Applied"); w.Code != 200 || got != c.applied {
			t.Errorf("Prefer: %s: status %d, applied %q, want %q", c.prefer, w.Code, got, c.applied)
		}
		if got := g.topic.last().Call.Timeout.Seconds(); c.applied != "" && c.applied != fmt.Sprintf("wait=%v", got) {
			t.Errorf("Prefer: %s: the timeout is %v s", c.prefer, got)
		}
	}
}

// The reply's status and its headers for callers reach the caller; connection
// headers, cookies, commands to proxies and broken ones do not.
func TestReplyStatusAndHeaders(t *testing.T) {
	g := newGateway(t, nil)
	header := func(key, value string) routing.Header { return routing.Header{Key: key, Value: []byte(value)} }
	g.topic.answer = always(routing.Reply{Status: 201, Body: []byte("{}"), ContentType: "application/json", Headers: []routing.Header{
		header("location", "/orders/1"), header("etag", `"v1"`), header("Cache-Control", "max-age=5"), header("x-a", "1"), header("x-a", "2"),
		header("set-cookie", "a=b"), header("connection", "close"), header("transfer-encoding", "chunked"), header("content-length", "9"),
		header("access-control-allow-origin", "*"), header("x-accel-redirect", "/etc"), header("x-evil", "a\r\nset-cookie: b"),
		header("x-bad name", "a"), header("x-nul", "\x00"), header("kafka_x", "a"), header("x-content-type-options", "sniff"),
	}})
	w := g.do("POST", "http://gateway/services/echo", nil, "Origin: http://gateway")
	if w.Code != 201 || w.Body.String() != "{}" {
		t.Fatalf("status %d, body %s", w.Code, w.Body)
	}
	want := map[string]string{
		"Location": "/orders/1", "Etag": `"v1"`, "Cache-Control": "max-age=5", "X-A": "1, 2", "Content-Type": "application/json",
		"Content-Length": "2", "X-Content-Type-Options": "nosniff", "Content-Security-Policy": "default-src 'none'; sandbox",
		"Vary": "Origin", "Access-Control-Allow-Origin": "http://gateway", "Access-Control-Expose-Headers": exposed + ", X-A, X-Content-Type-Options",
		"Parley-Request-Id": string(g.topic.last().ID),
	}
	for name, values := range w.Header() {
		if got := strings.Join(values, ", "); got != want[name] && name != "Access-Control-Expose-Headers" {
			t.Errorf("header %s = %q, want %q", name, got, want[name])
		}
	}
	for name := range want {
		if w.Header().Get(name) == "" {
			t.Errorf("header %s is missing", name)
		}
	}
	if got := w.Header().Get("Access-Control-Expose-Headers"); !strings.Contains(got, "X-A") {
		t.Errorf("exposed: %q", got)
	}
	if !strings.Contains(g.log.String(), string(g.topic.last().ID)) {
		t.Error("the dropped headers are not in the log")
	}
}

// Any status from 200 to 599 is the service's to choose; others, which would
// break the connection, are not.
func TestReplyStatuses(t *testing.T) {
	g := newGateway(t, nil)
	for given, want := range map[int]int{0: 200, 200: 200, 202: 202, 204: 204, 302: 302, 304: 304, 404: 404, 503: 503, 599: 599, 100: 200, 101: 200, 600: 200, -1: 200} {
		g.topic.answer = always(routing.Reply{Status: given, Body: []byte("body")})
		w := g.do("GET", "/services/echo", nil)
		if w.Code != want {
			t.Errorf("a reply with status %d is %d, want %d", given, w.Code, want)
		}
		if bodiless := want == 204 || want == 304; bodiless == (w.Body.Len() > 0) {
			t.Errorf("status %d: %d bytes of body", want, w.Body.Len())
		}
		if w.Header()["Content-Type"] != nil {
			t.Errorf("status %d: a content type was guessed: %q", want, w.Header()["Content-Type"])
		}
	}
}

// Who asks for a trace gets it as a header, in ASCII JSON.
func TestTrace(t *testing.T) {
	g := newGateway(t, nil)
	if w := g.do("POST", "/services/echo", nil); w.Header().Get("Parley-Trace") != "" {
		t.Error("a trace that nobody asked for")
	}
	w := g.do("POST", "/services/echo", nil, "Parley-Want: headers , Trace")
	var trace struct {
		Request string `json:"request"`
		Node    string `json:"node"`
		Path    string `json:"path"`
		At      struct{ Submitted, Accepted, Consumed, Pushed float64 }
	}
	if err := json.Unmarshal([]byte(w.Header().Get("Parley-Trace")), &trace); err != nil {
		t.Fatalf("%v: %q", err, w.Header().Get("Parley-Trace"))
	}
	if trace.Request != string(g.topic.last().ID) || trace.Node != "a" || trace.Path != "home" || trace.At.Submitted == 0 || trace.At.Pushed == 0 {
		t.Errorf("trace = %+v", trace)
	}
	text := `{"service":"grüße 𝄞"}`
	var there, back any
	_ = json.Unmarshal([]byte(text), &there)
	if err := json.Unmarshal([]byte(asciiJSON([]byte(text))), &back); err != nil || fmt.Sprint(there) != fmt.Sprint(back) {
		t.Errorf("%s in ASCII is %s: %v", text, asciiJSON([]byte(text)), err)
	}
}

// A streamed answer is one JSON array, and no part of it holds up commits.
func TestStreamIsCollected(t *testing.T) {
	g := newGateway(t, func(o *Options) { o.ArrayBytes = 20 })
	stream := func(parts ...string) func(*routing.Request) []*routing.Reply {
		return func(*routing.Request) (replies []*routing.Reply) {
			for i, part := range parts {
				replies = append(replies, &routing.Reply{Body: []byte(part), Final: i == len(parts)-1, Status: 206})
			}
			return replies
		}
	}
	for _, c := range []struct {
		parts []string
		want  string
	}{
		{[]string{"1", ` {"a": "<"} `, ""}, `[1,{"a": "<"}]`},
		{[]string{"1", "", "2"}, `[1,null,2]`},
		{[]string{"\xff", "2"}, `[{"$bytes":"/w=="},2]`},
	} {
		g.topic.answer = stream(c.parts...)
		w := g.do("GET", "/services/echo", nil)
		if w.Code != 206 || w.Body.String() != c.want || w.Header().Get("Content-Type") != "application/json" {
			t.Errorf("parts %q: %d %s (%s)", c.parts, w.Code, w.Body, w.Header().Get("Content-Type"))
		}
	}
	g.topic.answer = stream("123456789", "123456789", "123456789", "4")
	w := g.do("GET", "/services/echo", nil)
	if p := problemOf(t, w); w.Code != http.StatusRequestEntityTooLarge || p.Code != routing.TooLarge {
		t.Errorf("a long stream: %d %s", w.Code, w.Body)
	}
	g.noneOpen(t)
	if got := g.topic.settledCount(); got != 3+3+2+4 {
		t.Errorf("%d replies were settled", got)
	}
}
