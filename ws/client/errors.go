package client

import "fmt"

// Outcome is what became of a request that ended in an error.
type Outcome string

const (
	NotSent Outcome = "not_sent" // it is not in Kafka: safe to send again
	Unknown Outcome = "unknown"  // nobody can say
	Done    Outcome = "done"     // the service has answered it
)

// Error is how a call ends that gets no result, but for the end of its context.
type Error struct {
	Code    string  // a stable word, such as "timeout"
	Number  int     // the word's JSON-RPC number
	Message string  // for people
	Outcome Outcome // what became of the request
	Retry   bool    // whether the same request may succeed later
	Data    []byte  // JSON: all that the gateway said besides; nil where the error is this client's own
}

func (e *Error) Error() string { return fmt.Sprintf("%s (%s): %s", e.Code, e.Outcome, e.Message) }

// The words of errors that a client makes itself, with their numbers.
var numbers = map[string]int{
	"invalid_params":  -32602,
	"timeout":         -32001,
	"overloaded":      -32002,
	"unauthorized":    -32004,
	"unavailable":     -32003,
	"too_large":       -32006,
	"cancelled":       -32008,
	"session_gone":    -32011,
	"unknown_request": -32013,
}

// failed makes the error of a request that ended on this side.
func failed(word string, outcome Outcome, format string, args ...any) *Error {
	retry := outcome == NotSent && (word == "overloaded" || word == "unavailable" || word == "timeout")
	return &Error{Code: word, Number: numbers[word], Message: fmt.Sprintf(format, args...), Outcome: outcome, Retry: retry}
}
