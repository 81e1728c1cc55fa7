package web

import (
	"strings"

	"parley/routing"
)

// socketMessages are the messages of the socket besides those of services.
var socketMessages = []struct {
	name, method string
	fromClient   bool
	text         string
	params       object // by name
}{
	{"hello", "$/hello", true, "opens or resumes a session under parley.v1", object{"token": textSchema, "resume": object{"type": "object"}, "accepted": object{"type": "boolean"}}},
	{"ack", "$/ack", true, "everything up to seq arrived", object{"seq": object{"type": "integer"}}},
	{"cancel", "$/cancel", true, "ends an open request", object{"id": idSchema}},
	{"credit", "$/credit", true, "the client is ready for n more parts of a streamed answer", object{"id": idSchema, "n": object{"type": "integer"}}},
	{"attach", "$/attach", true, "has the outcome of a request that was made elsewhere come as this message's own", object{"request": textSchema}},
	{"subscribe", "$/subscribe", true, "has events of a topic that have this record key pushed, as $/push; without a key all, where that is allowed", feedParams},
	{"unsubscribe", "$/unsubscribe", true, "ends that", feedParams},
	{"ping", "$/ping", true, "is answered by $/pong", nil},
	{"bye", "$/bye", true, "ends the session", nil},
	{"discover", "rpc.discover", true, "asks for the OpenRPC document", nil},
	{"welcome", "$/welcome", false, "the answer to $/hello", object{"session": textSchema, "secret": textSchema, "resumed": object{"type": "boolean"}, "node": textSchema, "limits": object{"type": "object"}}},
	{"part", "$/reply", false, "a part of a streamed reply: the response is the last", object{"id": idSchema, "n": object{"type": "integer"}, "data": object{}}},
	{"accepted", "$/accepted", false, "the request is durable in Kafka, if asked for in $/hello", object{"id": idSchema, "request": textSchema}},
	{"push", "$/push", false, "an event of a subscription", object{
		"topic": textSchema, "key": textSchema, "event": object{"type": "string", "description": "names the record: topic/partition/offset. One that comes twice is dropped by it"},
		"missed": object{"type": "integer", "description": "how many before it were dropped, for too many waited"}, "data": object{},
	}},
	{"goaway", "$/goaway", false, "this node drains: resume elsewhere", object{"reconnect": object{"type": "array", "items": object{"type": "integer"}}, "deadline": object{"type": "integer"}}},
	{"pong", "$/pong", false, "the answer to $/ping", nil},
}

// answered are those that a client gives an id of its own, for they have an answer.
var answered = map[string]bool{"discover": true, "attach": true, "subscribe": true, "unsubscribe": true}

// recordHeaders are those that a record has in the dialect parley.
var recordHeaders = []struct {
	name, text    string
	request, back bool // of a request, of a reply
}{
	{"parley-request-id", "the request's id: the reply's key or header", true, true},
	{"parley-reply-topic", "where the reply goes", true, false},
	{"parley-reply-partition", "the partition where it is consumed by the node that waits", true, false},
	{"parley-service", "the name that the client called", true, false},
	{"parley-deadline", "when the client stops waiting, in Unix milliseconds", true, false},
	{"parley-idempotency-key", "by which the work is done once: the client's own, else the request's id", true, false},
	{"parley-cancel", "the record is no request but the end of one, which this names", true, false},
	{"parley-method", "over HTTP, as are parley-path (below the service's name) and parley-query", true, false},
	{"content-type", "of the payload", true, true},
	{"parley-part", "the number of a part, from 0 on: of all parts or of none", false, true},
	{"parley-status", "the status over HTTP", false, true},
	{"parley-final", "false: more replies follow", false, true},
	{"parley-error-code", "the reply says error: its code", false, true},
	{"parley-error-message", "and what went wrong", false, true},
}

var (
	textSchema = object{"type": "string"}
	feedParams = object{"topic": textSchema, "key": textSchema}
	idSchema   = object{"type": []string{"string", "number"}, "description": "the client's own id"}
)

// asyncAPI describes sockets and topics in AsyncAPI 3.0, as the gateway sees them: it
// receives what clients send.
func asyncAPI(services []*routing.Service, replyTopic string) object {
	a := asyncDocument{
		messages: object{"error": errorMessage()}, socket: object{"error": ref("#/components/messages/error")},
		channels: object{}, operations: object{},
	}
	for _, m := range socketMessages {
		a.control(m.name, m.method, m.text, m.fromClient, m.params)
	}
	for _, s := range services {
		a.service(s)
		if replyTopic != "" && s.Topic != "" {
			a.topic(s)
		}
	}
	a.channels["socket"] = object{
		"address": "/ws", "description": "One JSON-RPC 2.0 message a text frame.", "servers": []object{ref("#/servers/gateway")}, "messages": a.socket,
		"bindings": object{"ws": object{"method": "GET", "bindingVersion": "0.1.0"}},
	}
	servers := object{"gateway": object{"host": hostHere, "protocol": protocolHere, "description": "this gateway"}}
	if replyTopic != "" && a.replies != nil {
		servers["kafka"] = object{
			"host": "{broker}", "protocol": "kafka", "description": "where services read requests and answer",
			"variables": object{"broker": object{"default": "localhost:9092", "description": "the services' Kafka, as they reach it"}},
		}
		a.channels["replies"] = object{"address": replyTopic, "servers": []object{ref("#/servers/kafka")}, "messages": a.replies}
	}
	return object{
		"asyncapi": "3.0.0", "defaultContentType": "application/json",
		"info": object{
			"title": "Services behind Parley", "version": "1",
			"description": "Each service is a method of JSON-RPC on the socket, and a topic in Kafka that it reads.",
		},
		"servers": servers, "channels": a.channels, "operations": a.operations,
		"components": object{"messages": a.messages, "schemas": schemas(services)},
	}
}

// asyncDocument collects the parts of the document.
type asyncDocument struct {
	messages, socket, channels, operations object
	replies                                object // messages of the reply topic
}

// add files a message, and answers how its channel refers to it.
func (a *asyncDocument) add(to object, name, text string, payload, headers object) {
	m := object{"name": name, "summary": text, "payload": payload}
	if headers != nil {
		m["headers"] = headers
	}
	a.messages[name] = m
	to[name] = ref("#/components/messages/" + name)
}

// control describes a message of the protocol's own.
func (a *asyncDocument) control(name, method, text string, fromClient bool, params object) {
	payload := rpc(object{"method": object{"const": method}}, "method")
	if params != nil {
		payload["properties"].(object)["params"] = object{"type": "object", "properties": params}
	}
	if answered[name] {
		payload["properties"].(object)["id"] = idSchema
	}
	a.add(a.socket, name, text, payload, nil)
	action := "send"
	if fromClient {
		action = "receive"
	}
	a.operations[name] = object{"action": action, "summary": text, "channel": ref("#/channels/socket"), "messages": refs("#/channels/socket/messages/", name)}
}

// service describes how a service is called on the socket.
func (a *asyncDocument) service(s *routing.Service) {
	request, reply := s.Name+".request", s.Name+".reply"
	a.add(a.socket, request, described(s), rpc(object{
		"id": idSchema, "method": object{"const": s.Name}, "params": schemaOf(request, s.Request),
		"meta": metaOf(s),
	}, "method"), nil)
	a.add(a.socket, reply, "what "+s.Name+" answers", rpc(object{
		"id": idSchema, "result": schemaOf(reply, s.Reply), "seq": object{"type": "integer"}, "meta": object{"type": "object"},
	}, "id", "result"), nil)
	a.operations["call."+s.Name] = object{
		"action": "receive", "summary": described(s), "channel": ref("#/channels/socket"), "messages": refs("#/channels/socket/messages/", request),
		"reply": object{"channel": ref("#/channels/socket"), "messages": refs("#/channels/socket/messages/", reply, "error")},
	}
}

// metaOf describes what a client may say beside its payload.
func metaOf(s *routing.Service) object {
	properties := object{
		"key": textSchema, "credit": object{"type": "integer"}, "timeout": object{"type": "integer", "minimum": 1, "maximum": max(1, s.MaxTimeout.Milliseconds())},
		"headers": object{"type": "object", "additionalProperties": textSchema}, "want": object{"type": "array", "items": object{"enum": []string{"trace", "headers"}}},
	}
	if collected(s) {
		properties["idempotencyKey"] = object{
			"type": "string", "minLength": 1, "maxLength": maxIdempotencyKey,
			"description": "the request is made once a subject, service and key: who asks again joins it, or gets its outcome",
		}
	}
	if s.View != nil {
		properties["wait"] = object{"type": "integer", "minimum": 1, "maximum": max(1, s.MaxTimeout.Milliseconds()), "description": "ms to wait for an event, or for another one than etag names"}
		properties["etag"] = object{"type": "string", "description": "meta.headers.etag of what the client has: meta.unchanged while that is the newest"}
	}
	if len(s.Until) > 0 {
		until := conditions(s)
		until["description"] = "what is to be true of the newest event before it is the answer"
		properties["until"] = until
	}
	return object{"type": "object", "properties": properties}
}

// topic describes what a service sees.
func (a *asyncDocument) topic(s *routing.Service) {
	if a.replies == nil {
		a.replies = object{}
	}
	request, reply, channel := s.Name+".request-record", s.Name+".reply-record", "topic."+s.Name
	answers, back, text, headers := "replies", a.replies, "a reply as "+s.Name+" writes it", headersOf(s, false)
	if s.Events != "" {
		answers, back, text, headers = "events."+s.Name, object{}, "an event about what the request names: the first that ends it is its outcome", nil
		a.channels[answers] = object{"address": s.Events, "description": "Events, one of which answers a request of " + s.Name + ".", "servers": []object{ref("#/servers/kafka")}, "messages": back}
	}
	messages := object{}
	a.add(messages, request, "a request as "+s.Name+" reads it", schemaOf(s.Name+".request", s.Request), headersOf(s, true))
	a.add(back, reply, text, schemaOf(s.Name+".reply", s.Reply), headers)
	a.channels[channel] = object{"address": s.Topic, "description": described(s), "servers": []object{ref("#/servers/kafka")}, "messages": messages}
	a.operations["produce."+s.Name] = object{
		"action": "send", "summary": "hands a request to " + s.Name, "channel": ref("#/channels/" + channel), "messages": refs("#/channels/"+channel+"/messages/", request),
		"reply": object{"channel": ref("#/channels/" + answers), "messages": refs("#/channels/"+answers+"/messages/", reply)},
	}
}

// headersOf describes a record's headers. Those of dialects other than parley have
// names of their frameworks.
func headersOf(s *routing.Service, request bool) object {
	properties := object{}
	for _, h := range recordHeaders {
		switch {
		case s.Dialect != "" && s.Dialect != "parley":
		case h.name == "parley-cancel" && !s.Cancel:
		case s.Entity != nil && strings.HasPrefix(h.name, "parley-reply-"): // an event answers
		case request && h.request || !request && h.back:
			properties[h.name] = object{"type": "string", "description": h.text}
		}
	}
	return object{"type": "object", "properties": properties}
}

// rpc is a JSON-RPC message.
func rpc(properties object, required ...string) object {
	properties["jsonrpc"] = object{"const": "2.0"}
	return object{"type": "object", "required": append([]string{"jsonrpc"}, required...), "properties": properties}
}

func errorMessage() object {
	return object{"name": "error", "summary": "a request's outcome that is an error", "payload": rpc(object{
		"id": idSchema, "seq": object{"type": "integer"},
		"error": object{"type": "object", "required": []string{"code", "message", "data"}, "properties": object{
			"code": object{"type": "integer"}, "message": textSchema,
			"data": object{"type": "object", "required": []string{"code", "outcome", "retry"}, "properties": errorSchema()},
		}},
	}, "id", "error")}
}
