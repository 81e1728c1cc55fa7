package web

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"

	"parley/routing"
)

// object is a part of a document that describes the gateway.
type object = map[string]any

// descriptions are the documents, made once of the configuration.
type descriptions struct {
	openAPI  http.Handler
	asyncAPI http.Handler
}

func newDescriptions(s *Server, replyTopic string) descriptions {
	return descriptions{
		openAPI: forEverybody(s.byCaller(func(services []*routing.Service) http.Handler {
			return newAsset("openapi.json", document(s.secured(openAPI(services))))
		})),
		asyncAPI: forEverybody(s.byCaller(func(services []*routing.Service) http.Handler {
			return here{document(s.securedSocket(asyncAPI(services, replyTopic)))}
		})),
	}
}

// secured says in an OpenAPI document how callers show who they are, where they must or
// may.
func (s *Server) secured(doc object) object {
	if s.auth == nil {
		return doc
	}
	schemes := object{"bearer": object{"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}}
	security := []object{{"bearer": []string{}}}
	if s.cookie != "" {
		schemes["cookie"] = object{"type": "apiKey", "in": "cookie", "name": s.cookie}
		security = append(security, object{"cookie": []string{}})
	}
	doc["security"] = security
	doc["components"].(object)["securitySchemes"] = schemes
	return doc
}

// securedSocket says it in an AsyncAPI document, of the gateway's own server.
func (s *Server) securedSocket(doc object) object {
	if s.auth == nil {
		return doc
	}
	components := doc["components"].(object)
	schemes := object{"bearer": object{
		"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "in the Authorization header, or as token in $/hello, or beside parley.v1 as the subprotocol parley.token.<base64url>",
	}}
	security := []object{ref("#/components/securitySchemes/bearer")}
	if s.cookie != "" {
		schemes["cookie"] = object{"type": "httpApiKey", "in": "cookie", "name": s.cookie}
		security = append(security, ref("#/components/securitySchemes/cookie"))
	}
	components["securitySchemes"] = schemes
	doc["servers"].(object)["gateway"].(object)["security"] = security
	return doc
}

// byCaller serves a document to each caller that tells of what that one may use.
type byCaller struct {
	server   *Server
	describe func([]*routing.Service) http.Handler

	mu   sync.Mutex
	made map[string]http.Handler // by the names of services
}

// mostDescribed bounds the documents that are kept: there are as many as callers differ.
const mostDescribed = 64

func (s *Server) byCaller(describe func([]*routing.Service) http.Handler) *byCaller {
	return &byCaller{server: s, describe: describe, made: make(map[string]http.Handler)}
}

func (d *byCaller) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if d.server.auth != nil {
		w.Header()["Vary"] = []string{"Origin, Authorization, Cookie"}
	}
	d.of(d.server.router.ServicesFor(d.server.caller(r))).ServeHTTP(w, r)
}

// of answers the document that tells of these services.
func (d *byCaller) of(services []*routing.Service) http.Handler {
	var names strings.Builder
	for _, s := range services {
		names.WriteString(s.Name + " ")
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	made := d.made[names.String()]
	if made == nil {
		if made = d.describe(services); len(d.made) < mostDescribed {
			d.made[names.String()] = made
		}
	}
	return made
}

// document writes a description as JSON.
func document(o object) []byte {
	text, err := json.MarshalIndent(o, "", " ")
	if err != nil {
		panic(err) // a bug: nothing in a document can fail
	}
	return append(text, '\n')
}

// Where a document says by which address the gateway is reached, this stands for it
// until somebody asks.
const (
	hostHere     = "host.of.this.gateway"
	protocolHere = "ws-or-wss"
)

// here serves a document that says by which address its reader came.
type here struct{ text []byte }

func (d here) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	host, protocol := r.Host, "ws"
	if !isHost(host) {
		host = "localhost"
	}
	if schemeOf(r) == "https" {
		protocol = "wss"
	}
	text := bytes.ReplaceAll(d.text, []byte(hostHere), []byte(host))
	text = bytes.ReplaceAll(text, []byte(protocolHere), []byte(protocol))
	newAsset("asyncapi.json", text).ServeHTTP(w, r)
}

// ref points at another part of the document.
func ref(to string) object { return object{"$ref": to} }

// refs points at several.
func refs(prefix string, names ...string) []object {
	all := []object{}
	for _, name := range names {
		all = append(all, ref(prefix+name))
	}
	return all
}

// schemas are the services' own, by the names that documents give them.
func schemas(services []*routing.Service) object {
	all := object{}
	for _, s := range services {
		for name, schema := range map[string]routing.Schema{s.Name + ".request": s.Request, s.Name + ".reply": s.Reply} {
			if len(schema) > 0 {
				all[name] = schema.At(schemasAt + name)
			}
		}
	}
	return all
}

const schemasAt = "#/components/schemas/"

// schemaOf points at a service's schema; where there is none, anything will do.
func schemaOf(name string, s routing.Schema) object {
	if len(s) == 0 {
		return object{}
	}
	return ref(schemasAt + name)
}

// conditions are what a caller may wait for: the names, each with what is asked of an
// event.
func conditions(s *routing.Service) object {
	names := []object{}
	for _, name := range slices.Sorted(maps.Keys(s.Until)) {
		names = append(names, object{"const": name, "description": s.Until[name].Text})
	}
	return object{"type": "string", "oneOf": names}
}

// about a service, for people.
func described(s *routing.Service) string {
	if s.Description != "" {
		return s.Description
	}
	if s.View != nil {
		return "Answers from the newest event of each key."
	}
	return "A service behind the topic " + s.Topic + "."
}

// statuses are those of problems, with the words that each may have.
func statuses() map[int][]string {
	all := make(map[int][]string)
	for word, kind := range kinds {
		all[kind.status] = append(all[kind.status], string(word))
	}
	all[http.StatusUnprocessableEntity] = []string{string(routing.InvalidParams)}
	for _, words := range all {
		slices.Sort(words)
	}
	return all
}

// words are all that errors may have.
func words() []string {
	var all []string
	for word := range maps.Keys(kinds) {
		all = append(all, string(word))
	}
	slices.Sort(all)
	return all
}

// errorSchema is what an error says of itself, over HTTP and on sockets.
func errorSchema() object {
	return object{
		"code":    object{"type": "string", "enum": words()},
		"outcome": object{"type": "string", "enum": []routing.Certainty{routing.NotSent, routing.Unknown, routing.Done}, "description": "whether the service may have seen the request: not_sent, it is safe to send it again"},
		"retry":   object{"type": "boolean", "description": "whether the same request may succeed later"},
		"service": object{"type": "object", "description": "of a service_error: what the service itself says"},
		"errors": object{"type": "array", "description": "what is wrong with the payload, where the service has a schema", "items": object{
			"type": "object", "required": []string{"pointer", "detail"}, "properties": object{
				"pointer": object{"type": "string", "description": "JSON Pointer into the payload"}, "detail": object{"type": "string"},
			},
		}},
	}
}
