package web

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"parley/routing"
)

// Pages of the gateway's own origin and of listed ones may call, others are
// stopped before anything else; who names no origin is no browser.
func TestOrigins(t *testing.T) {
	reached := 0
	g := newGateway(t, func(o *Options) {
		o.Origins = []string{"https://shop.example", "http://dev.example:8080/", "HTTPS://Caps.Example:443"}
		o.Page = &PageOptions{}
		o.Socket = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { reached++ })
	})
	for _, c := range []struct {
		origin string
		tls    bool
		want   bool
	}{
		{"", false, true},
		{"http://gate.example", false, true},
		{"http://gate.example:80", false, true},
		{"https://gate.example", true, true},
		{"https://gate.example", false, false},
		{"http://gate.example", true, false},
		{"http://gate.example:81", false, false},
		{"https://shop.example", false, true},
		{"http://shop.example", false, false},
		{"https://shop.example.evil", false, false},
		{"https://shop.example:444", false, false},
		{"http://dev.example:8080", false, true},
		{"https://caps.example", false, true},
		{"null", false, false},
		{"https://evil", false, false},
		{"*", false, false},
	} {
		for _, at := range []string{"POST /services/echo", "GET /ws", "GET /", "GET /page.json", "GET /nope", "OPTIONS /services/echo"} {
			method, path, _ := strings.Cut(at, " ")
			r := httptest.NewRequest(method, path, nil)
			r.Host = "gate.example"
			if c.tls {
				r.TLS = &tls.ConnectionState{}
			}
			if c.origin != "" {
				r.Header.Set("Origin", c.origin)
			}
			before := len(g.topic.written) + reached
			w := httptest.NewRecorder()
			g.Handler().ServeHTTP(w, r)
			if allowed := w.Code != http.StatusForbidden; allowed != c.want {
				t.Errorf("%s from %q (tls %v): %d", at, c.origin, c.tls, w.Code)
			}
			if !c.want {
				if p := problemOf(t, w); p.Code != routing.Forbidden || len(g.topic.written)+reached != before {
					t.Errorf("%s from %q: %s", at, c.origin, w.Body)
				}
			}
			if got := w.Header().Get("Access-Control-Allow-Origin"); c.want && got != c.origin || !c.want && got != "" {
				t.Errorf("%s from %q: allowed origin %q", at, c.origin, got)
			}
			if w.Header().Get("Vary") != "Origin" {
				t.Errorf("%s from %q: Vary %q", at, c.origin, w.Header().Get("Vary"))
			}
		}
	}
	if w := g.do("POST", "/services/echo", nil, "Origin: https://shop.example", "Origin: https://evil"); w.Code != 403 {
		t.Errorf("two origins: %d", w.Code)
	}
}

// With a star, every origin may call, even one without a name.
func TestAllOrigins(t *testing.T) {
	g := newGateway(t, func(o *Options) { o.Origins = []string{"*"} })
	for _, origin := range []string{"null", "https://any.example"} {
		if w := g.do("POST", "/services/echo", nil, "Origin: "+origin); w.Code != 200 || w.Header().Get("Access-Control-Allow-Origin") != origin {
			t.Errorf("%s: %d", origin, w.Code)
		}
	}
}

// A preflight is answered here, for any path, and reaches no service; broken
// header names are not echoed.
func TestPreflight(t *testing.T) {
	g := newGateway(t, func(o *Options) { o.Origins = []string{"https://shop.example"} })
	w := g.do("OPTIONS", "/services/echo/a", nil, "Origin: https://shop.example", "Access-Control-Request-Method: PUT",
		"Access-Control-Request-Headers: content-type, X-Demo-Delay,prefer, bad name, \x00")
	h := w.Header()
	if w.Code != 204 || h.Get("Access-Control-Allow-Methods") != "DELETE, GET, PATCH, POST, PUT, OPTIONS" ||
		h.Get("Access-Control-Allow-Headers") != "content-type, x-demo-delay, prefer" || h.Get("Access-Control-Max-Age") != "600" ||
		h.Get("Access-Control-Allow-Origin") != "https://shop.example" || h.Get("Access-Control-Allow-Credentials") != "" {
		t.Errorf("%d %v", w.Code, h)
	}
	if w := g.do("OPTIONS", "/services/echo", nil, "Origin: https://evil", "Access-Control-Request-Method: PUT"); w.Code != 403 {
		t.Errorf("from elsewhere: %d", w.Code)
	}
	if w := g.do("OPTIONS", "/services/echo", nil); w.Code != 204 || w.Header().Get("Allow") != serviceMethods {
		t.Errorf("no preflight: %d %v", w.Code, w.Header())
	}
	if g.topic.last() != nil {
		t.Error("a service was asked")
	}
}

// Options that are wrong are all named at once.
func TestWrongOptions(t *testing.T) {
	_, err := New(Options{
		Router: routing.New(routing.Options{}), Origins: []string{"shop.example", "https://a/b"},
		Forward: map[string][]string{"orders": {"Cookie", "authorization", "X A", "a*b"}},
		Page:    &PageOptions{Nodes: []PageNode{{"a", "ftp://x"}, {"b", "http://x;script-src *"}}},
	})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{`"shop.example"`, `"https://a/b"`, `"orders"`, `"Cookie"`, `"authorization"`, `"X A"`, `"a*b"`, `"ftp://x"`, `script-src`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%s is not in %q", want, err)
		}
	}
	if _, err := New(Options{}); err == nil {
		t.Error("a server without a router")
	}
}
