package web

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"parley/routing"
)

// staff are who the tokens of these tests stand for: a token is its subject's name.
type staff struct {
	required bool
	lasts    time.Duration // of each token, from when it is shown: an hour
}

func (s staff) Authenticate(_ context.Context, token string) (*routing.Caller, *routing.Error) {
	switch {
	case token == "" && !s.required:
		return nil, nil
	case token == "away":
		return nil, refusal(routing.Unavailable, "tokens cannot be verified")
	case !slices.Contains([]string{"ann", "bob"}, token):
		return nil, refusal(routing.Unauthorized, "nobody knows %q", token)
	}
	lasts := s.lasts
	if lasts == 0 {
		lasts = time.Hour
	}
	return &routing.Caller{Subject: token, Until: time.Now().Add(lasts)}, nil
}

// anns is the rule that lets ann.
func anns() *routing.Rule {
	return routing.NewRule(func(c *routing.Caller) bool { return c.Name() == "ann" })
}

// newStaffed is a gateway whose service private is ann's.
func newStaffed(t *testing.T, auth staff, change func(*Options)) *gateway {
	return newGateway(t, func(o *Options) {
		o.Auth, o.Cookie, o.Origins = auth, "session", []string{"https://shop.example"}
		if change != nil {
			change(o)
		}
	}, &routing.Service{Name: "private", Topic: "private.requests", Timeout: time.Second, MaxTimeout: time.Minute, Allow: anns()})
}

// Who calls is in the token, whose lack, badness or insufficiency is told in the words of
// RFC 6750; the service gets the subject, and the token nobody: not even the log.
func TestWhoCalls(t *testing.T) {
	g := newStaffed(t, staff{required: true}, nil)
	const bearer, cookie = "Authorization: Bearer ", "Cookie: session="
	for _, c := range []struct {
		what, path string
		headers    []string
		status     int
		challenge  string
	}{
		{"nobody", "/services/echo", nil, 401, `Bearer realm="parley"`},
		{"another scheme", "/services/echo", []string{"Authorization: Basic YTpi"}, 401, `Bearer realm="parley"`},
		{"a bad token", "/services/echo", []string{bearer + "s3cret"}, 401, `Bearer realm="parley", error="invalid_token", error_description="nobody knows s3cret"`},
		{"ann", "/services/echo", []string{bearer + "ann"}, 200, ""},
		{"in small letters", "/services/echo", []string{"Authorization: bearer ann"}, 200, ""},
		{"by cookie", "/services/echo", []string{cookie + "ann"}, 200, ""},
		{"by cookie, from a page", "/services/echo", []string{cookie + "ann", "Origin: https://shop.example", "Sec-Fetch-Site: cross-site"}, 200, ""},
		{"by cookie, from a foreign page's image", "/services/echo", []string{cookie + "ann", "Sec-Fetch-Site: cross-site"}, 401, `Bearer realm="parley"`},
		{"the header weighs more", "/services/echo", []string{bearer + "s3cret", cookie + "ann"}, 401, ""},
		{"what ann may", "/services/private", []string{bearer + "ann"}, 200, ""},
		{"what bob may not", "/services/private", []string{bearer + "bob"}, 403, `Bearer realm="parley", error="insufficient_scope", error_description="private is not for this caller"`},
		{"keys are away", "/services/echo", []string{bearer + "away"}, 503, ""},
		{"results", "/requests/x", nil, 401, `Bearer realm="parley"`},
		{"events", "/events/orders.events?key=k", nil, 401, `Bearer realm="parley"`},
		{"what can be called", "/openapi.json", nil, 401, `Bearer realm="parley"`},
		{"never a query", "/services/echo?access_token=ann&token=ann", nil, 401, `Bearer realm="parley"`},
		{"health is for all", "/healthz", nil, 200, ""},
	} {
		method := "POST"
		if !strings.HasPrefix(c.path, "/services/") {
			method = "GET"
		}
		w := g.do(method, c.path, strings.NewReader("{}"), c.headers...)
		if got := w.Header().Get("Www-Authenticate"); w.Code != c.status || c.challenge != "" && got != c.challenge {
			t.Errorf("%s: %d, %q: %s", c.what, w.Code, got, w.Body)
		}
		switch {
		case w.Code >= 400:
			problemOf(t, w)
		case method == "POST":
			if got := g.topic.last().Subject; got != "ann" {
				t.Errorf("%s: the service sees %q", c.what, got)
			}
		}
	}
	if strings.Contains(g.log.String(), "Bearer") || !strings.Contains(g.log.String(), "code=unauthorized") {
		t.Errorf("log:\n%s", g.log)
	}
}

// Where no token is required who shows none is nobody, and may do what a rule lets
// nobody do; who shows a bad one is told.
func TestNobodyInParticular(t *testing.T) {
	g := newStaffed(t, staff{}, nil)
	for path, status := range map[string]int{"/services/echo": 200, "/services/private": 401} {
		if w := g.do("POST", path, strings.NewReader("{}")); w.Code != status {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
	if w := g.do("POST", "/services/echo", nil, "Authorization: Bearer x"); w.Code != 401 {
		t.Errorf("a bad token: %d", w.Code)
	}
}

// A result is its caller's: another learns nothing of it, and cannot cancel it. A key is
// a caller's own as well.
func TestResultsBySubject(t *testing.T) {
	g := newStaffed(t, staff{required: true}, nil)
	const ann, bob = "Authorization: Bearer ann", "Authorization: Bearer bob"
	w := g.do("POST", "/services/echo", strings.NewReader(`"a"`), ann, "Prefer: respond-async", "Idempotency-Key: k")
	at := w.Header().Get("Location")
	if w.Code != 202 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	unknown := problemOf(t, g.do("GET", "/requests/"+strings.Repeat("a", 22)+".1abc", nil, bob))
	for _, method := range []string{"GET", "DELETE"} {
		p := problemOf(t, g.do(method, at+"?wait=1", nil, bob))
		p.Request, unknown.Request = "", ""
		if p.Code != routing.UnknownRequest || p.Detail != unknown.Detail || p.Status != unknown.Status {
			t.Errorf("%s by another: %+v", method, p)
		}
	}
	if w := g.do("GET", at+"?wait=5", nil, ann); w.Code != 200 || w.Body.String() != `"a"` {
		t.Errorf("ann: %d %s", w.Code, w.Body)
	}
	w = g.do("POST", "/services/echo", strings.NewReader(`"b"`), bob, "Idempotency-Key: k")
	if w.Code != 200 || w.Body.String() != `"b"` {
		t.Errorf("the same key by another: %d %s", w.Code, w.Body)
	}
}

// What is described to a caller is what that one may use.
func TestDescribedToCaller(t *testing.T) {
	g := newStaffed(t, staff{required: true}, func(o *Options) { o.Page = &PageOptions{} })
	for _, path := range []string{"/openapi.json", "/asyncapi.json", "/page.json"} {
		for who, sees := range map[string]bool{"ann": true, "bob": false} {
			w := g.do("GET", path, nil, "Authorization: Bearer "+who)
			if got := strings.Contains(w.Body.String(), "private"); got != sees || !strings.Contains(w.Body.String(), "echo") {
				t.Errorf("%s by %s: private %v", path, who, got)
			}
		}
	}
	if w := g.do("GET", "/page.json", nil); w.Code != 200 || strings.Contains(w.Body.String(), "echo") || !strings.Contains(w.Body.String(), `"auth":true`) {
		t.Errorf("to a stranger: %d %s", w.Code, w.Body)
	}
	async := g.do("GET", "/asyncapi.json", nil, "Authorization: Bearer ann").Body.String()
	for _, part := range []string{`"securitySchemes"`, `"$ref": "#/components/securitySchemes/bearer"`, `"httpApiKey"`} {
		if !strings.Contains(async, part) {
			t.Errorf("/asyncapi.json has no %s", part)
		}
	}
	open := newGateway(t, func(o *Options) { o.Page = &PageOptions{} })
	if page, async := open.do("GET", "/page.json", nil).Body.String(), open.do("GET", "/asyncapi.json", nil).Body.String(); strings.Contains(page, "auth") || strings.Contains(async, "security") {
		t.Errorf("without authentication: %s, %s", page, async)
	}
}

// A page of a listed origin may show its cookie, and read that it may.
func TestCredentials(t *testing.T) {
	g := newStaffed(t, staff{required: true}, nil)
	w := g.do("OPTIONS", "/services/echo", nil, "Origin: https://shop.example", "Access-Control-Request-Method: POST", "Access-Control-Request-Headers: authorization")
	if w.Code != 204 || w.Header().Get("Access-Control-Allow-Credentials") != "true" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	w = g.do("GET", "/openapi.json", nil, "Origin: https://shop.example", "Cookie: session=ann")
	if w.Code != 200 || w.Header().Get("Access-Control-Allow-Origin") != "https://shop.example" {
		t.Errorf("a document: %d %v", w.Code, w.Header())
	}
}
