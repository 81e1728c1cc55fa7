// Package web is the HTTP edge: calls of services that are parked until their
// outcome, the demo page, health and metrics.
//
//	POST   /services/{service}[/any/path][?query]   (GET, PUT, PATCH, DELETE too)
//	GET    /requests/{id}[?wait=30s] the result of a call that is collected (DELETE cancels it)
//	GET    /events/{topic}?key=k    the events of a topic about a key, as they happen
//	GET    /ws                      the socket's door, mounted from elsewhere
//	GET    /healthz                 200 while the process lives
//	GET    /readyz                  200 when every check passes, else 503
//	GET    /  and its assets        the demo page, unless it is off
//	GET    /docs                    what can be called, to be read: services, schemas, examples
//	GET    /openapi.json            the same in OpenAPI 3.1
//	GET    /asyncapi.json           and in AsyncAPI 3.0: sockets, and the topics of services
//	GET    /page.json               what the demo page must know: nodes, services
//	GET    /client/parley.js        the JavaScript client, for any page to import
//
// # A call
//
// Body and content type reach the service byte for byte. The method, the path
// below the service's name (escaped as the client sent it) and the raw query go
// along. Request headers that the service's list of forwarded headers names
// become record headers under their lower-case names; authorization, cookie and
// the headers of the connection never do. A header that is listed but has a
// name that Parley or a dialect uses is refused, as is a content-encoding that
// is not forwarded, since the service could not read such a body, and a path
// with dot segments, since it would leave the service's own part.
//
//	Prefer: wait=5       the timeout in seconds, at most the service's longest;
//	                     answered by Preference-Applied with what holds
//	parley-key: k        the record key, instead of one of Parley's choice
//	parley-want: trace   asks for the response header parley-trace, in JSON
//
// The response has the reply's body, its status (200 unless the service chose
// one from 200 to 599) and of its headers content-type, location, etag,
// cache-control and x-…; the header parley-request-id names the request. A reply
// without a content type gets none. It runs no script in the gateway's own
// origin (Content-Security-Policy: sandbox), whatever its type.
//
// A service may have a JSON Schema of its requests. A body that is not so is refused
// before it is sent: invalid_params with the status 422, and in errors the place of
// each fault as a JSON Pointer. A GET or DELETE without a body is not looked at.
//
// # Streams
//
// A service that answers in parts is waited for until its final reply; the caller gets
// one JSON array of all replies, in order. What is not JSON stands in it as
// {"$bytes":"<base64>"}, and an empty final reply is left out. So many parts may be in
// an array, and so many bytes (Options.ArrayParts, ArrayBytes), else the call ends as
// too_large; a stream that ends in an error is that error alone.
//
// A caller that would rather have the parts as they come says so by Accept:
//
//	Accept: application/x-ndjson   one JSON value a line, the final reply last. An error
//	                               is the last line: {"$error":{…the problem…}}
//	Accept: text/event-stream      server-sent events: part, then result or error (a
//	                               problem); id: <RequestID>/<n>, /end for the last
//
// Status and headers are those of the first reply, an error before it is a response of
// its own. A stream of events that is silent for 15 s gets a comment, and its status,
// 200, with the first. A browser's EventSource comes back by itself and says
// Last-Event-ID: the request is not made again. It gets the rest where the request is
// kept (made with respond-async or under an idempotency key): so does GET
// /requests/{id} with either Accept, at any node. Else the answer is 410, and after the
// end 204, at which a browser stops.
//
// A stream takes as many parts as its caller reads; at most 32 wait here, the others
// with the router, which ends the request of a caller that is too far behind
// (overloaded). A caller that has left frees all of it.
//
// # Events
//
// GET /events/{topic}?key=k is answered with server-sent events, those of a topic that
// clients may subscribe to, else forbidden. They have no name, so that EventSource calls
// onmessage; without a key all of the topic's come, where that is allowed, each as an
// object with key and data. id: names the record, <topic>/<partition>/<offset>. The session that is
// subscribed lives as long as the connection: who comes back with the id of its last event
// (Last-Event-ID) first gets what came behind that, read again from Kafka; or, where that
// is more than is read again, or is not there, an event named missed, with the data -1, as
// nobody knows how many were. The same event with a number stands before one that comes after so many which were dropped, because a
// client did not read. A node that drains ends the response, with a time for coming back.
//
// # Collected calls
//
//	Prefer: respond-async          202 with Location: /requests/{id} and Retry-After
//	Prefer: respond-async, wait=5  the same, unless the answer comes within 5 s
//	Idempotency-Key: k             the call is made once a subject, service and key: 1 to
//	                               256 visible ASCII characters, in quotes or not
//
// GET of the location answers what the call itself would have been answered, from any
// node and as often as one likes, for as long as results are kept; 202 while there is
// nothing yet, 410 for what is unknown, expired or another subject's, 404 for what no
// gateway ever made. wait (seconds or a duration, at most 5 min) waits for the result.
// DELETE makes the outcome cancelled (204), or answers 409 where there is one already.
//
// A parked call under a key waits as long as any other. Its 504 has a location too, and
// the same call under the same key joins the request. Another method, path, query or
// body under it is duplicate_id (422). Both kinds of call need the table: where it cannot
// be reached they are unavailable, and not sent. Their services have as long to answer
// as results are kept.
//
// # Problems
//
// Whatever goes wrong is application/problem+json (RFC 9457): type, title,
// status, detail, and code (the word, see routing/errors.go), outcome
// (not_sent, unknown, done), retry, and request, where there is one. A
// service_error has the service's own words in the member service: code,
// message, contentType and body. The statuses are in problem.go.
//
// # Who calls
//
// Where Options.Auth is set a caller shows a token, as Authorization: Bearer or in the
// cookie that Options.Cookie names, and never in a query. A cookie counts only for a page
// of an allowed origin, or of none, as far as the browser says. Without a token where one
// is required, or with a bad one, the answer is 401 unauthorized, with the challenge of RFC
// 6750; what its caller may not use, 403 forbidden. The caller's subject goes to the
// service, owns its results and its idempotency keys: to anybody else they are unknown.
// The documents tell each caller of what it may use; health, the page and the client are
// for everybody. A stream ends when the token expires: its caller comes back with another.
//
// # Origins
//
// A request that names its Origin must come from the gateway's own (scheme and
// host as this server sees them, so behind a proxy that ends TLS the origin must
// be listed) or from a listed one, else it is refused with 403 before anything
// else happens. A request without one is not a browser's and passes.
//
// # Goroutines
//
// The package starts none. A parked call waits in the goroutine of its own
// connection, and is a sink of the one session that the server holds.
package web
