// Package ws is the WebSocket edge: it turns the frames of GET /ws into
// requests of the router, and the router's deliveries into frames.
//
// # The wire
//
// Text frames, one JSON-RPC 2.0 message a frame. What JSON-RPC lacks (sessions,
// acknowledgement, streams, drain) is in notifications whose names start with
// "$/", which a plain client ignores. There are two doors to the same messages:
//
//   - With the subprotocol parley.v1 the client speaks first ($/hello),
//     acknowledges what it got ($/ack) and may resume.
//   - Without a subprotocol (wscat, any JSON-RPC client) the session opens by
//     itself, a written reply counts as acknowledged, and nothing but JSON-RPC
//     responses is sent, so no parts of streams either, unless the client asks
//     for more with $/hello: as long as it has made no request, since open
//     requests cannot change their session.
//
// From the client:
//
//	{"jsonrpc":"2.0","method":"$/hello","params":{"token":"…","resume":{"session":"…","secret":"…","open":[1,7],"streams":[{"id":7,"next":5,"credit":27}]},"accepted":true}}
//	{"jsonrpc":"2.0","id":1,"method":"orders","params":{…},"meta":{"key":"k","timeout":5000,"headers":{"x-a":"b"},"want":["trace","headers"]}}
//	{"jsonrpc":"2.0","method":"$/ack","params":{"seq":6}}
//	{"jsonrpc":"2.0","method":"$/cancel","params":{"id":1}}
//	{"jsonrpc":"2.0","method":"$/credit","params":{"id":1,"n":16}}
//	{"jsonrpc":"2.0","id":9,"method":"$/attach","params":{"request":"…"}}
//	{"jsonrpc":"2.0","id":1,"method":"$/subscribe","params":{"topic":"orders.events","key":"o-1"}}
//	{"jsonrpc":"2.0","id":2,"method":"$/unsubscribe","params":{"topic":"orders.events","key":"o-1"}}
//	{"jsonrpc":"2.0","method":"$/ping"}
//	{"jsonrpc":"2.0","method":"$/bye"}
//	{"jsonrpc":"2.0","id":1,"method":"rpc.discover"}
//
// From the gateway:
//
//	{"jsonrpc":"2.0","method":"$/welcome","params":{"session":"…","secret":"…","resumed":false,"node":"a","limits":{"frame":1048576,"open":256,"resume":120000}}}
//	{"jsonrpc":"2.0","id":1,"result":{…},"seq":4,"meta":{…}}
//	{"jsonrpc":"2.0","id":1,"error":{"code":-32001,"message":"…","data":{"code":"timeout","outcome":"unknown","retry":false}},"seq":5}
//	{"jsonrpc":"2.0","method":"$/reply","params":{"id":1,"n":0,"data":{…}},"seq":6}
//	{"jsonrpc":"2.0","method":"$/accepted","params":{"id":1,"request":"…"}}
//	{"jsonrpc":"2.0","method":"$/push","params":{"topic":"orders.events","key":"o-1","event":"orders.events/2/7","data":{…}},"seq":7}
//	{"jsonrpc":"2.0","method":"$/goaway","params":{"reconnect":[0,8000],"deadline":20000}}
//	{"jsonrpc":"2.0","method":"$/pong"}
//
// # Sessions
//
// A client under parley.v1 that lost its socket says hello with resume, to any
// node. resumed is true where its session goes on: what it has not acknowledged is
// sent again, then what comes. open lists the ids that it still waits for; one that
// the session does not know ends as unknown_request, with outcome not_sent where it is
// certain that no node has taken it or ever will, else unknown. (So an id is not listed
// once its outcome has been acknowledged: the session has forgotten it.) resumed is false where there
// is no such session, or the secret is wrong: the session is a new one then, and
// every listed id ends as session_gone. Where the table cannot be asked the socket
// is closed 1012, and nothing is lost. seq counts from 1 on each socket; what tells
// one reply from another is (id, n), and a client drops what it has by that.
//
// A socket that has lived for long, or whose node drains, is told $/goaway, and is
// closed later (1012) when it has not gone by itself. The plain door's, on a node that
// drains, is closed once nothing is open; what waits for a view's event ends as
// unavailable, not_sent, at once.
//
// # Who connects
//
// Where Options.Auth is set a client shows a token: in the hello, which is the browsers'
// way, or with the handshake, as Authorization: Bearer, as an element of
// Sec-WebSocket-Protocol (parley.token. and the token in base64url, beside parley.v1; it
// is never answered with), or in the cookie that Options.Cookie names; never in the
// address. The hello's weighs more. The plain door has the handshake's alone. A token that
// is missing or not good ends the socket with 4401, after the upgrade, so that a browser
// can see why; so does one that expires while the socket lives. The session is kept as if
// the socket had been lost, and goes on for another token of the same subject; for any
// other resumed is false. Calls and subscriptions that the caller may not make are
// forbidden, and rpc.discover does not tell of them.
//
// # Streams
//
// A service may answer in parts, each a $/reply with its number n, from 0 on without a
// gap; the response ends them. A client that says in meta.credit for how many parts it
// is ready gets no more than that until it says $/credit, which adds n to it. The rest
// waits, behind it the response, and no deadline runs once that is there. Up to
// 16 MiB of a stream wait; of one with more the request ends as overloaded. Other
// requests of the session are not affected. Without meta.credit parts come as they are.
//
// A client that resumes says of each such request, in streams, what it has (all parts
// before next) and, in credit, for how many more it is ready; a $/credit that it said
// before means nothing then. What it does not say of a request is as it was, or without limit where
// the session has changed its node.
//
// Not there yet: tokens (which are ignored).
//
// # Subscriptions
//
// $/subscribe is answered with the result true once the gateway knows of it: events of
// the topic with that record key, or all of the topic's where the configuration allows it
// and no key is given, are pushed from then on. A topic that is not configured
// for it is forbidden. Subscriptions are the session's: they go on after a resume, and
// end with it. event names the record: a client that resumes may get one twice, and
// drops it by that. Those of one partition (the middle of event) come in their order,
// which its last number tells, unless one is later than streams.gap allows. missed, where it is there,
// says how many pushes before this one were dropped because more than 1000 waited for
// the client.
//
// # Messages
//
// A message is an object with the members jsonrpc, id, method, params and meta;
// others are ignored. One of these that occurs twice, or has the wrong type, is
// invalid_request. jsonrpc must be "2.0". A frame may nest 64 deep, else it is
// invalid_request and not looked into, so that its answer has the id null.
//
// An id is a string or a number of at most 128 bytes of JSON text, and is
// compared and echoed as that text. A message without one is a notification and
// gets no answer, not even an error, with two exceptions that are answered with
// the id null: what is no valid message at all, and a $/ message with wrong
// params. A $/ message with an id is answered with the result true, $/cancel
// with whether there was such a request.
//
// params may be any JSON value and reaches the service as the bytes in the
// frame, duplicate members and white space included; absent is an empty body.
// An object whose only member is spelled "$bytes" and is a string stands for
// the bytes of which it is the (padded, standard) base64. A reply that is JSON
// becomes result as it is, an empty one null, any other {"$bytes":…}.
//
// meta of a request: key is the record key; timeout is in milliseconds, whole,
// from 1 to the service's longest; credit is for how many parts the client is ready
// (see Streams); headers become record headers (lower-case
// tokens, at most 32 and 8 KiB in all, none of the names that Parley or a
// dialect uses); want lists what the response's meta is to have. Members that
// are unknown are ignored, others of the wrong shape are invalid_params.
//
// meta of a request of a view, which is answered with its key's newest event: wait, in
// milliseconds as timeout, is for how long the answer may come later, where there is no
// event yet, or none but that which etag names; until names a condition of the service's,
// which is to be true of the event. One with until and without wait waits as long as any
// request. When the wait is over the answer is what there is: the event, which has
// meta.unchanged and null for a result where it is what etag names; a service_error
// not_found; or timeout where the condition is not true. Who says any of the three gets the
// headers, of which etag is for the next request.
//
// meta.idempotencyKey (1 to 256 visible ASCII characters) makes a request one that is
// made once: the same message under the same key of the same subject and service, from
// whichever socket or over HTTP, joins it or gets its outcome, for as long as results
// are kept. Another message under it is duplicate_id. Its outcome outlives the session.
// $/cancel gives up the wait, not the request, which others may have joined.
//
// $/attach collects a request that was made elsewhere under the same subject: one with
// an idempotency key, or one of respond-async over HTTP. Parts and outcome come under
// the id of the $/attach, from the first part on; it may be said as often as one likes,
// goes on when the session is resumed, and waits as long as results are kept unless
// meta.timeout says less. A request that is unknown, expired or another's is
// unknown_request. The id of a request with a key is told by $/accepted.
//
// meta of a response: contentType, where the reply is not JSON; unchanged, where its
// status is 304; headers, where wanted: the reply's record headers, a value that is no UTF-8 as
// {"$bytes":…}, of several with one name the last; trace, where wanted:
//
//	{"request":"…","node":"a","service":"orders",
//	 "requestRecord":{"topic":"orders.requests","partition":3,"offset":12},
//	 "replyRecord":{"topic":"parley.replies","partition":7,"offset":99},
//	 "consumedBy":"b","path":"relay",
//	 "at":{"submitted":1764000000000.123,"accepted":…,"replied":…,"consumed":…,"relayed":…,"pushed":…}}
//
// Times are Unix milliseconds; what is not known is left out.
//
// A batch has from 1 to 100 messages. The plain door answers it with one array,
// when its last outcome is there; parley.v1 answers each message by itself.
//
// # Errors and closes
//
// The error words are in errors.go, the close codes in closes.go. The answer to
// bad JSON, to an invalid message and to an unknown method has an example in
// its data: a request that works as it is. The eleventh of them within a minute
// closes the socket. A service_error has the service's own words in data.service:
//
//	{"code":"sold_out","message":"none left","status":409,"body":{…},"contentType":"…"}
//
// where status is there if the service set one, and contentType if body is no JSON.
//
// A socket that the gateway closes gets what is queued, then the close frame, and
// has 5 s to answer. One that does not answer a ping is cut off without a frame.
//
// # Goroutines
//
// A connection has one reader, a goroutine that the handshake starts, and a
// writer only while there is something to write. A socket that is quiet for a
// while has no reader either, until there is something to read again: see park.go
// (Linux, without TLS). A timer wakes a third for a moment to ping the client and to
// see whether the socket has to end. The reader waits for nobody but the socket,
// with one exception: $/hello waits, for a bounded time, until the table knows
// the session.
//
// Lock order: a session's lock, then conn.mu (a session calls its sink with its
// lock held). So a connection never calls its session with conn.mu held. Server.mu
// comes before conn.mu too: what parks a socket does not take it.
package ws
