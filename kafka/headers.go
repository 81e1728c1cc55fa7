package kafka

import "strings"

// Record headers of a request, in the dialect "parley". All values are text;
// numbers are decimal. The record's key is the call's own, or the session's id,
// so that what one client asks of a service stays in order. The client's own
// headers, traceparent and tracestate among them, stand behind these under
// their own names.
const (
	// RequestIDHeader names the request: plain ASCII, at most 64 bytes. A service
	// copies it to its replies, as this header, or as the replies' record key, or
	// both. A notification has none, nor any of the reply headers: nobody waits.
	RequestIDHeader = "parley-request-id"

	// ReplyTopicHeader is the topic that replies go to. A request that an event
	// answers has none.
	ReplyTopicHeader = "parley-reply-topic"

	// ReplyPartitionHeader is the partition of the reply topic which the asking
	// node consumes itself. It is a shortcut for services that can choose a
	// partition; one that keys its replies by the request id and uses its client's
	// default partitioner gets there without. It is absent while the node has none.
	ReplyPartitionHeader = "parley-reply-partition"

	// ServiceHeader is the name under which the client called: several services
	// may share a topic.
	ServiceHeader = "parley-service"

	// DeadlineHeader is when the client stops waiting, in Unix milliseconds by the
	// gateway's clock, which is Redis's where there is one. Work that starts later is
	// for nobody.
	DeadlineHeader = "parley-deadline"

	// SubjectHeader is who the caller is, where authentication is on.
	SubjectHeader = "parley-subject"

	// IdempotencyKeyHeader is what a service remembers in order to do the work
	// once, although a record can be consumed twice. It is the client's own key,
	// where it gave one, under which Parley makes one record a subject and service.
	// Else it is the request id: unlike the client's own id, which many JSON-RPC
	// clients count from 1 on every socket or never change, it never names two
	// requests. A message that a client sends again while its request is open makes
	// no second record.
	IdempotencyKeyHeader = "parley-idempotency-key"

	// CancelHeader makes a record no request but the end of one, which it names: its
	// client has cancelled it or left for good. Only services that are configured to
	// be told get such records. It has the request's key, so it follows the request
	// in the same partition; it has no body, and there is nothing to answer.
	CancelHeader = "parley-cancel"

	// ContentTypeHeader is the body's media type, both ways.
	ContentTypeHeader = "content-type"

	// MethodHeader, PathHeader and QueryHeader tell how an HTTP caller called: the
	// path below the service's name, the query without its question mark.
	MethodHeader = "parley-method"
	PathHeader   = "parley-path"
	QueryHeader  = "parley-query"
)

// Record headers of a reply, besides [RequestIDHeader] and [ContentTypeHeader].
// Headers under other names are handed to clients that ask for them; those that
// start with "parley-" are not, so that a service may copy all of a request's.
const (
	// FinalHeader is "false" on a part of a streamed reply. Any other value, and
	// no such header, means that nothing follows.
	FinalHeader = "parley-final"

	// PartHeader numbers the parts of a streamed reply and, if the service likes,
	// its final one: decimal, from 0 on. With it a part that comes twice is dropped,
	// be it that the service answers a record anew which it consumed twice; parts
	// that overtake each other are put in order; and one that is missing ends the
	// request with an error. Without it, parts count as they stand in their partition.
	// A service numbers all parts or none.
	PartHeader = "parley-part"

	// StatusHeader is the HTTP status to answer with, 200 to 599. Anything else
	// is ignored.
	StatusHeader = "parley-status"

	// ErrorCodeHeader and ErrorMessageHeader, one or both, make the reply an
	// error, which is final: the code for machines, the message for people.
	ErrorCodeHeader    = "parley-error-code"
	ErrorMessageHeader = "parley-error-message"
)

// ownPrefix starts every header name of the dialect "parley".
const ownPrefix = "parley-"

// reservedPrefixes start names that some dialect gives a meaning: Parley's own,
// Spring's and NestJS's, Zilla's and its HTTP pseudo-headers, SmallRye's (in
// lower case) and FastStream's.
var reservedPrefixes = []string{
	ownPrefix, "parley_", "kafka_", "zilla:", ":", "reply_", "reply-", "correlation", "spring_json_", "__",
}

// ReservedHeader tells whether a client may not set a record header with this
// name, in any case of letters, because a service could take it for the
// gateway's. Everything else may be set, the W3C trace context among it.
func ReservedHeader(name string) bool {
	name = strings.ToLower(name)
	for _, prefix := range reservedPrefixes {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return name == "cancel" // what a cancel record carries
}
