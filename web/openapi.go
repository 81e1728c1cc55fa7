package web

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"parley/routing"
)

// fixedPaths are what a client finds besides the services.
var fixedPaths = []struct {
	method, path, id, summary string
	answers                   string // content type
	statuses                  []int
}{
	{"get", "/ws", "socket", "The door for sockets, which /asyncapi.json describes", "", []int{101, 403, 503}},
	{"get", "/healthz", "health", "Whether the process lives", "application/json", []int{200}},
	{"get", "/readyz", "ready", "Whether the node should get traffic", "application/json", []int{200, 503}},
	{"get", "/openapi.json", "openapi", "This document", "application/json", []int{200}},
	{"get", "/asyncapi.json", "asyncapi", "What goes over sockets and topics", "application/json", []int{200}},
	{"get", "/client/parley.js", "client", "The JavaScript client, a module", "text/javascript", []int{200}},
}

// callParameters are the request headers that a call of a service may have.
var callParameters = []struct {
	name, header, text, example string
	schema                      object
}{
	{"prefer", "Prefer", "wait: how long to wait for the outcome, in seconds, at most the service's longest. respond-async: to be answered 202 with where the outcome will be, unless it comes within wait", "respond-async, wait=5", object{"type": "string"}},
	{"once", "Idempotency-Key", "the request is made once a subject, service and key: who asks again joins it, or gets its outcome", "basket-7", object{"type": "string", "minLength": 1, "maxLength": maxIdempotencyKey}},
	{"key", "Parley-Key", "the record key: requests with one key reach the service in order", "c-1", object{"type": "string", "maxLength": maxKey}},
	{"want", "Parley-Want", "asks for the response header parley-trace", "trace", object{"type": "string", "enum": []string{"trace"}}},
}

// callMethods are those by which a service is called, with whether they have a body.
var callMethods = []struct {
	name string
	body bool
}{{"post", true}, {"get", false}, {"put", true}, {"patch", true}, {"delete", false}}

// forms are what Accept may ask for besides the reply as it is.
var forms = []struct{ accept, text string }{
	{"application/x-ndjson", "the parts of a streamed answer as they come, one JSON value a line, the final reply last"},
	{"text/event-stream", "the same as server-sent events: part, then result or error; Last-Event-ID goes on"},
}

// callHeaders are the response headers of a call.
var callHeaders = []struct{ name, text string }{
	{"Parley-Request-Id", "the request's id, which logs and records bear too"},
	{"Parley-Trace", "where the request was when, in JSON, if asked for"},
	{"Preference-Applied", "what holds of Prefer"},
}

// pendingHeaders are those of a request that has no outcome yet.
var pendingHeaders = []struct{ name, text string }{
	{"Location", "where the outcome will be: /requests/{id}"},
	{"Retry-After", "seconds"},
}

// openAPI describes the HTTP door in OpenAPI 3.1.
func openAPI(services []*routing.Service) object {
	paths, tags := object{}, []object{}
	for _, p := range fixedPaths {
		responses := object{}
		for _, status := range p.statuses {
			r := object{"description": p.summary}
			if status != 200 {
				r["description"] = "it is not so now"
			}
			if status == 101 {
				r["description"] = "the socket is open"
			}
			if p.answers != "" {
				r["content"] = object{p.answers: object{}}
			}
			responses[strconv.Itoa(status)] = r
		}
		paths[p.path] = object{p.method: object{"operationId": p.id, "summary": p.summary, "tags": []string{"gateway"}, "responses": responses}}
	}
	paths[resultsPath+"{id}"], paths[feedsPath+"{topic}"] = resultPath(), feedPath()
	for _, s := range services {
		if s.View != nil {
			paths["/services/"+s.Name+"/{key}"] = viewPath(s)
		} else {
			paths["/services/"+s.Name] = servicePath(s)
		}
		tags = append(tags, object{"name": s.Name, "description": described(s)})
	}
	return object{
		"openapi": "3.1.0",
		"info": object{
			"title": "Services behind Parley", "version": "1",
			"description": "Each service answers below /services/{name}: method, path, query and body reach it as they are, and so does any path below its name. A call is parked until its outcome.",
		},
		"servers": []object{{"url": "/"}}, "tags": append(tags, object{"name": "gateway", "description": "The gateway itself"}), "paths": paths,
		"components": object{
			"schemas": withProblem(schemas(services)), "responses": problemResponses(), "parameters": parameters(), "headers": headers(slices.Concat(callHeaders, pendingHeaders)),
		},
	}
}

// servicePath describes the calls of a service.
func servicePath(s *routing.Service) object {
	path := object{
		"summary": described(s), "parameters": refs("#/components/parameters/", parameterNames(s)...),
		"x-service": s.Name, "x-topic": s.Topic, "x-timeout": s.Timeout.Milliseconds(), "x-max-timeout": s.MaxTimeout.Milliseconds(), "x-wait": s.Wait,
	}
	for _, m := range callMethods {
		call := object{
			"operationId": m.name + "." + s.Name, "tags": []string{s.Name}, "description": described(s),
			"summary": strings.ToUpper(m.name) + " " + s.Name, "responses": callResponses(s, m.body),
		}
		if m.body {
			call["requestBody"] = object{"required": s.Check != nil, "content": content(s.Name+".request", s.Request)}
		}
		path[m.name] = call
	}
	return path
}

// viewParameters are those of a view, whose path names a key.
var viewParameters = []object{
	{"name": "key", "in": "path", "required": true, "description": "whose newest event is wanted", "example": "o-1", "schema": object{"type": "string", "minLength": 1}},
	{"name": "If-None-Match", "in": "header", "description": "the ETag of what the caller has: 304 while that is the newest", "schema": object{"type": "string"}},
	{"name": "Prefer", "in": "header", "description": "wait: how long to wait, in seconds, for an event, or for another one than the caller has", "schema": object{"type": "string"}, "example": "wait=5"},
}

// viewPath describes a service that answers from the newest event of each key.
func viewPath(s *routing.Service) object {
	responses := callResponses(s, false)
	responses["200"] = object{"description": "The newest event. With Prefer: wait=N it is waited for.", "headers": object{"ETag": object{"schema": object{"type": "string"}}}, "content": content(s.Name+".reply", s.Reply)}
	responses["304"] = object{"description": "The caller has the newest."}
	parameters := viewParameters
	if len(s.Until) > 0 {
		text := "what is to be true of the newest event before it is the answer; 504 where it is not in time: as long as Prefer says, else the service's timeout"
		parameters = append(slices.Clip(parameters), object{"name": "until", "in": "query", "description": text, "schema": conditions(s)})
	}
	return object{
		"summary": described(s), "parameters": parameters,
		"x-service": s.Name, "x-timeout": s.Timeout.Milliseconds(), "x-max-timeout": s.MaxTimeout.Milliseconds(),
		"get": object{"operationId": "get." + s.Name, "tags": []string{s.Name}, "summary": "GET " + s.Name, "description": described(s), "responses": responses},
	}
}

// content is what a body may be.
func content(name string, s routing.Schema) object {
	if len(s) == 0 {
		return object{"application/json": object{}, "*/*": object{}}
	}
	return object{"application/json": object{"schema": schemaOf(name, s)}}
}

func callResponses(s *routing.Service, body bool) object {
	replies := content(s.Name+".reply", s.Reply)
	for _, f := range forms {
		replies[f.accept] = object{"schema": object{"type": "string", "description": f.text}}
	}
	all := object{"200": object{
		"description": "The service's reply. It may choose any status from 200 to 599. An answer in parts is an array of them, unless Accept says otherwise.",
		"headers":     headerRefs(callHeaders), "content": replies,
	}}
	if collected(s) {
		all["202"] = pendingResponse()
	}
	for status := range statuses() {
		if status == 422 && (s.Check == nil || !body) {
			continue
		}
		all[strconv.Itoa(status)] = problemRef(status)
	}
	return all
}

// collected tells whether a service's answers can be collected later.
func collected(s *routing.Service) bool { return s.View == nil }

// problemRef points at the response that is an error.
func problemRef(status int) object { return ref(fmt.Sprint("#/components/responses/problem", status)) }

func headerRefs(of []struct{ name, text string }) object {
	all := object{}
	for _, h := range of {
		all[h.name] = ref("#/components/headers/" + h.name)
	}
	return all
}

// parameterNames are the parameters that calls of a service may have.
func parameterNames(s *routing.Service) (names []string) {
	for _, p := range callParameters {
		if p.name != "once" || collected(s) {
			names = append(names, p.name)
		}
	}
	return names
}

func parameters() object {
	all := object{}
	for _, p := range callParameters {
		all[p.name] = object{"name": p.header, "in": "header", "description": p.text, "schema": p.schema, "example": p.example}
	}
	return all
}

func headers(described []struct{ name, text string }) object {
	all := object{}
	for _, h := range described {
		all[h.name] = object{"description": h.text, "schema": object{"type": "string"}}
	}
	return all
}

// problemResponses are the errors, by status.
func problemResponses() object {
	all := object{}
	for status, words := range statuses() {
		r := object{
			"description": "A problem: " + strings.Join(words, ", "),
			"content":     object{"application/problem+json": object{"schema": ref(schemasAt + "Problem")}},
		}
		if status == 503 || status == 429 {
			r["headers"] = object{"Retry-After": object{"description": "seconds", "schema": object{"type": "integer"}}}
		}
		all[fmt.Sprint("problem", status)] = r
	}
	return all
}

// withProblem adds the schema of problems. No service's has such a name: there is a
// dot in theirs.
func withProblem(all object) object {
	properties := errorSchema()
	for name, kind := range map[string]string{"type": "string", "title": "string", "status": "integer", "detail": "string", "request": "string"} {
		properties[name] = object{"type": kind}
	}
	all["Problem"] = object{
		"type": "object", "description": "An error, as RFC 9457 has it", "properties": properties,
		"required": []string{"type", "title", "status", "detail", "code", "outcome", "retry"},
	}
	return all
}
