package web

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"parley/routing"
)

// describedGateway has a service whose schema refers to itself.
func describedGateway(t *testing.T) *gateway {
	g := newGateway(t, func(o *Options) { o.ReplyTopic = "parley.replies" }, &routing.Service{
		Name: "pipeline", Topic: "pipeline.requests", Events: "orders.events", Entity: func(*routing.Call) (string, error) { return "o-1", nil },
	})
	echo := g.router.Service("echo")
	echo.Description = "<b>Says</b> it again"
	echo.Request = routing.Schema(`{"$id":"https://example.com/x","type":"object","properties":{"a":{"$ref":"#/$defs/a"},"const":{"const":{"$ref":"#/nowhere"},"examples":[{"$ref":"#/nowhere"}]}},"$defs":{"a":{"type":"array","items":{"$ref":"#"}}}}`)
	echo.Check = func(body []byte) []routing.Fault {
		if strings.HasPrefix(string(body), "{") {
			return nil
		}
		return []routing.Fault{{Pointer: "/a", Detail: "got <b>"}}
	}
	latest := g.router.Service("quick")
	latest.View, latest.Topic = noView{}, ""
	latest.Until = map[string]routing.Condition{"done": {Text: `event.state == "DONE"`}}
	about := newDescriptions(g.Server, "parley.replies")
	g.handler = g.routes(nil, &page{}, about)
	return g
}

// noView answers nothing: what is described is that there is one.
type noView struct{ routing.View }

// Both documents name every service, say where the reader found them, and refer to
// nothing that is not in them.
func TestDescriptions(t *testing.T) {
	g := describedGateway(t)
	for _, path := range []string{"/openapi.json", "/asyncapi.json"} {
		w := g.do("GET", path, nil)
		var doc map[string]any
		if err := json.Unmarshal(w.Body.Bytes(), &doc); err != nil || w.Header().Get("Content-Type") != "application/json" {
			t.Fatalf("%s: %v, %v", path, err, w.Header())
		}
		routing.EachSchemaRef(doc, func(ref string) string {
			if !refersTo(doc, ref) {
				t.Errorf("%s: there is no %s", path, ref)
			}
			return ref
		})
		for _, want := range []string{"echo.requests", "quick", `\u003cb\u003eSays`, "no_responders", "echo.request/$defs/a", "pipeline", `"const": "done"`, `event.state == \"DONE\"`} {
			if !strings.Contains(w.Body.String(), want) {
				t.Errorf("%s does not have %s", path, want)
			}
		}
		if strings.Contains(w.Body.String(), "https://example.com/x") {
			t.Errorf("%s has a schema's own name, by which its references would be other ones", path)
		}
		if strings.Contains(w.Body.String(), "#/nowhere") {
			t.Errorf("%s has an example or a constant that looks like a reference", path)
		}
		if g.do("GET", path, nil, "If-None-Match: "+w.Header().Get("Etag")).Code != 304 {
			t.Errorf("%s is sent again, though it is the same", path)
		}
	}
	for path, wants := range map[string][]string{
		"/openapi.json":  {`"/requests/{id}"`, `"/events/{topic}"`, "respond-async", `"Idempotency-Key"`, `"name": "wait"`, `"202"`, `"410"`},
		"/asyncapi.json": {`"$/attach"`, `"$/subscribe"`, `"$/push"`, `"idempotencyKey"`, `"address": "orders.events"`, "#/channels/events.pipeline/messages/pipeline.reply-record"},
	} {
		for _, want := range wants {
			if text := g.do("GET", path, nil).Body.String(); !strings.Contains(text, want) {
				t.Errorf("%s does not tell of %s", path, want)
			}
		}
	}
	if text := g.do("GET", "/asyncapi.json", nil).Body.String(); !strings.Contains(text, `"host": "example.com"`) || !strings.Contains(text, `"protocol": "ws"`) || strings.Contains(text, hostHere) {
		t.Errorf("the socket's address: %.300s", text)
	}
}

// refersTo tells whether there is something at a reference.
func refersTo(doc any, ref string) bool {
	path, found := strings.CutPrefix(ref, "#/")
	for token := range strings.SplitSeq(path, "/") {
		plain, err := url.PathUnescape(token)
		below, ok := doc.(map[string]any)
		if err != nil || !found || !ok {
			return false
		}
		if doc, ok = below[strings.NewReplacer("~1", "/", "~0", "~").Replace(plain)]; !ok {
			return false
		}
	}
	return true
}

// A body that is not as the schema has it is refused before it is sent, and the
// problem says where the fault is. A GET has no body to be wrong.
func TestUnprocessable(t *testing.T) {
	g := describedGateway(t)
	w := g.do("POST", "/services/echo", strings.NewReader(`[1]`))
	p := problemOf(t, w)
	if w.Code != 422 || p.Code != routing.InvalidParams || p.Outcome != routing.NotSent || len(p.Errors) != 1 || p.Errors[0] != (routing.Fault{Pointer: "/a", Detail: "got <b>"}) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if g.topic.last() != nil {
		t.Error("it was sent")
	}
	for _, method := range []string{"GET", "DELETE"} {
		if w := g.do(method, "/services/echo", nil); w.Code != 200 {
			t.Errorf("%s: %d %s", method, w.Code, w.Body)
		}
	}
	if w := g.do("POST", "/services/echo", strings.NewReader(`{}`)); w.Code != 200 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	g.noneOpen(t)
}
