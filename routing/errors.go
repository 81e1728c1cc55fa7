package routing

import "fmt"

// Word is a stable name for an error: the same in JSON-RPC errors, HTTP
// problems, metrics and logs.
type Word string

const (
	OK             Word = "ok" // not an error: the outcome label of a reply
	ParseError     Word = "parse_error"
	InvalidRequest Word = "invalid_request"
	UnknownService Word = "unknown_service"
	InvalidParams  Word = "invalid_params"
	Internal       Word = "internal"
	Timeout        Word = "timeout"
	Overloaded     Word = "overloaded"
	Unavailable    Word = "unavailable"
	Unauthorized   Word = "unauthorized"
	Forbidden      Word = "forbidden"
	TooLarge       Word = "too_large"
	RateLimited    Word = "rate_limited"
	Cancelled      Word = "cancelled"
	DuplicateID    Word = "duplicate_id"
	FromService    Word = "service_error"
	SessionGone    Word = "session_gone"
	NoResponders   Word = "no_responders"
	UnknownRequest Word = "unknown_request"
)

// Certainty says what became of a request that ended in an error.
type Certainty string

const (
	NotSent Certainty = "not_sent" // it is not in the topic: safe to send again
	Unknown Certainty = "unknown"  // the service may have seen it
	Done    Certainty = "done"     // the service has answered it
)

// Error ends a request, or refuses one, for its client.
type Error struct {
	Word    Word
	Message string    // for people
	Outcome Certainty // what became of the request
	Retry   bool      // whether the same request may succeed later

	// Faults is set where the request's body is not as the service's schema has it. A
	// pointer, so that errors can be compared.
	Faults *[]Fault
	// Reply is set when Word is FromService: the reply that says error.
	Reply *Reply
	// Cause is for the log, never for the client.
	Cause error
}

func (e *Error) Error() string {
	if e.Cause != nil {
		return fmt.Sprintf("%s: %s: %v", e.Word, e.Message, e.Cause)
	}
	return fmt.Sprintf("%s: %s", e.Word, e.Message)
}

func (e *Error) Unwrap() error { return e.Cause }

// refuse makes the error of a call that was never sent.
func refuse(word Word, retry bool, format string, args ...any) *Error {
	return &Error{Word: word, Message: fmt.Sprintf(format, args...), Outcome: NotSent, Retry: retry}
}

// fromService makes the error of a reply that says error.
func fromService(reply *Reply) *Error {
	return &Error{Word: FromService, Message: reply.Err.Message, Outcome: Done, Reply: reply}
}

// refuseDone makes the error of a request that its service has answered.
func refuseDone(word Word, format string, args ...any) *Error {
	return &Error{Word: word, Message: fmt.Sprintf(format, args...), Outcome: Done}
}
