// Package worker puts an HTTP service that knows nothing of Kafka behind a request
// topic: [Forward] makes a handler for parley/kafka/service of a URL.
//
//	(orders.requests) ──▶ service ──▶ Forward ──▶ http://localhost:3000
//	(parley.replies)  ◀── service ◀── Forward ◀── status, headers, body
//
// A call that came over HTTP is made again as it was: method, path below the
// service's name, query, body, content type and the headers that the gateway was told
// to forward. One from a socket, which has none of these, is a POST of its payload to
// the URL. Besides, the HTTP service gets:
//
//	Parley-Request-Id  names the request
//	Parley-Service     the name that the client called
//	Parley-Subject     who the caller is, where the gateway authenticates
//	Parley-Deadline    when the caller stops waiting, in Unix milliseconds
//	Idempotency-Key    the same, should the request come twice
//
// The response goes back as the reply, whatever its status, with its content type and
// headers (but for Set-Cookie, and those that are about the connection). A socket has
// no status, so there a status of 400 and more is an error with code "http_<status>" and
// the body in it.
//
// A body of text/event-stream, or of JSON lines (application/x-ndjson and its like), is
// handed on as it comes: each event, each line is a part. See stream.go.
//
// The HTTP request ends with the handler's context: at the deadline, or when the client
// has cancelled. It is made again only when no connection could be made, which cannot
// have had an effect; an HTTP service that stays away makes the answer "unavailable".
package worker
