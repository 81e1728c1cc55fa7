package web

import (
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"
)

// The page comes under a policy by which nothing from elsewhere can run in it,
// and which lets it talk to the nodes, and to nobody else.
func TestPagePolicy(t *testing.T) {
	g := newGateway(t, func(o *Options) {
		o.Page = &PageOptions{Nodes: []PageNode{{"a", "http://localhost:8080"}, {"b", "https://b.example"}}}
	})
	w := g.do("GET", "http://localhost:8080/", nil)
	if w.Code != 200 || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/html") {
		t.Fatalf("%d %v", w.Code, w.Header())
	}
	policy := make(map[string]string)
	for directive := range strings.SplitSeq(w.Header().Get("Content-Security-Policy"), "; ") {
		name, value, _ := strings.Cut(directive, " ")
		policy[name] = value
	}
	for name, want := range map[string]string{
		"default-src": "'none'", "script-src": "'self'", "style-src": "'self'", "img-src": "'self' data:", "frame-ancestors": "'none'",
		"base-uri": "'none'", "form-action": "'none'",
		"connect-src": "'self' ws://localhost:8080 wss://localhost:8080 http://localhost:8080 ws://localhost:8080 https://b.example wss://b.example",
	} {
		if policy[name] != want {
			t.Errorf("%s is %q, want %q", name, policy[name], want)
		}
	}
	if w.Header().Get("X-Content-Type-Options") != "nosniff" || w.Header().Get("Referrer-Policy") != "no-referrer" {
		t.Errorf("headers: %v", w.Header())
	}
	hostile := httptest.NewRequest("GET", "/", nil)
	hostile.Host = "x; script-src *"
	w = httptest.NewRecorder()
	g.Handler().ServeHTTP(w, hostile)
	if got := w.Header().Get("Content-Security-Policy"); strings.Contains(got, "script-src *") {
		t.Errorf("a host in the policy: %q", got)
	}
}

// The page of a gateway whose nodes it may have killed learns by which address,
// and may call that too.
func TestPageControl(t *testing.T) {
	g := newGateway(t, func(o *Options) { o.Page = &PageOptions{Control: "http://127.0.0.1:4000"} })
	if policy := g.do("GET", "/", nil).Header().Get("Content-Security-Policy"); !strings.HasSuffix(policy, " http://127.0.0.1:4000") {
		t.Errorf("policy: %s", policy)
	}
	var got aboutJSON
	if err := json.Unmarshal(g.do("GET", "/page.json", nil).Body.Bytes(), &got); err != nil || got.Control != "http://127.0.0.1:4000" {
		t.Errorf("control %q, %v", got.Control, err)
	}
}

// A browser that has the page is told that it still holds, without its bytes.
func TestPageIsValidated(t *testing.T) {
	g := newGateway(t, func(o *Options) { o.Page = &PageOptions{} })
	first := g.do("GET", "/", nil)
	tag := first.Header().Get("Etag")
	if tag == "" || first.Header().Get("Cache-Control") != "no-cache" || first.Body.Len() == 0 {
		t.Fatalf("%v", first.Header())
	}
	if w := g.do("GET", "/", nil, "If-None-Match: "+tag); w.Code != 304 || w.Body.Len() > 0 {
		t.Errorf("%d with %d bytes", w.Code, w.Body.Len())
	}
	if w := g.do("HEAD", "/index.html", nil); w.Code != 200 || w.Header().Get("Etag") != tag {
		t.Errorf("HEAD: %d %v", w.Code, w.Header())
	}
	for _, path := range []string{"/../page.go", "/static/index.html", "//", "/index.html/", "/client/", "/client/package.json", "/%2e%2e/page.go"} {
		if w := g.do("GET", path, nil); w.Code != 404 {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
}

// Any page of the world may import the client module, also where the demo page
// is off.
func TestClientModule(t *testing.T) {
	g := newGateway(t, nil)
	w := g.do("GET", "/client/parley.js", nil, "Origin: https://anywhere.example")
	h := w.Header()
	if w.Code != 200 || h.Get("Access-Control-Allow-Origin") != "*" || !strings.HasPrefix(h.Get("Content-Type"), "text/javascript") ||
		h.Get("Cross-Origin-Resource-Policy") != "cross-origin" || h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Etag") == "" {
		t.Errorf("%d %v", w.Code, h)
	}
	for _, path := range []string{"/", "/index.html", "/page.json"} {
		if w := g.do("GET", path, nil); w.Code != 404 {
			t.Errorf("%s is there, though the page is off: %d", path, w.Code)
		}
	}
}

// The page learns which nodes and services there are, and which node it is on.
func TestPageJSON(t *testing.T) {
	for name, c := range map[string]struct {
		nodes []PageNode
		want  []nodeJSON
	}{
		"none given": {nil, []nodeJSON{{"a", "http://localhost:8080", true}}},
		"with names": {[]PageNode{{"b", "http://localhost:8081"}, {"a", "http://gate.example"}},
			[]nodeJSON{{"b", "http://localhost:8081", false}, {"a", "http://gate.example", true}}},
		"without names": {[]PageNode{{"", "http://localhost:8080"}, {"", "http://localhost:8081"}},
			[]nodeJSON{{"a", "http://localhost:8080", true}, {"", "http://localhost:8081", false}}},
		"others alone": {[]PageNode{{"", "http://localhost:8081"}},
			[]nodeJSON{{"a", "http://localhost:8080", true}, {"", "http://localhost:8081", false}}},
	} {
		g := newGateway(t, func(o *Options) { o.Page = &PageOptions{Nodes: c.nodes} })
		w := g.do("GET", "http://localhost:8080/page.json", nil)
		var got aboutJSON
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != 200 {
			t.Fatalf("%s: %d %v: %s", name, w.Code, err, w.Body)
		}
		if got.Node != "a" || len(got.Nodes) != len(c.want) {
			t.Fatalf("%s: %s", name, w.Body)
		}
		for i, want := range c.want {
			if got.Nodes[i] != want {
				t.Errorf("%s: node %d is %+v, want %+v", name, i, got.Nodes[i], want)
			}
		}
		if len(got.Services) != 2 || got.Services[0] != (serviceJSON{"echo", "echo.requests", 30000}) {
			t.Errorf("%s: services %+v", name, got.Services)
		}
	}
}
