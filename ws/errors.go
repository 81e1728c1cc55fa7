package ws

import (
	"fmt"

	"parley/routing"
)

// numbers gives each error word its JSON-RPC number: error.code on the wire,
// where error.data.code is the word.
var numbers = map[routing.Word]int{
	routing.ParseError:     -32700, // the frame is not JSON
	routing.InvalidRequest: -32600, // it is JSON, but no message
	routing.UnknownService: -32601, // there is no such method
	routing.InvalidParams:  -32602, // params or meta are not as they must be
	routing.Internal:       -32603,
	routing.Timeout:        -32001, // the service did not answer in time
	routing.Overloaded:     -32002, // a limit of the session or of the node
	routing.Unavailable:    -32003, // Kafka or the table cannot be reached
	routing.Unauthorized:   -32004,
	routing.Forbidden:      -32005,
	routing.TooLarge:       -32006,
	routing.RateLimited:    -32007,
	routing.Cancelled:      -32008,
	routing.DuplicateID:    -32009, // the id is that of another open request
	routing.FromService:    -32010, // the service's own error is in data.service
	routing.SessionGone:    -32011,
	routing.NoResponders:   -32012,
	routing.UnknownRequest: -32013,
}

// teaches tells which errors carry an example of how to do it.
func teaches(w routing.Word) bool {
	return w == routing.ParseError || w == routing.InvalidRequest || w == routing.UnknownService
}

// bad makes the error of a message that was never sent to a service, and would
// be refused again.
func bad(word routing.Word, format string, args ...any) *routing.Error {
	return &routing.Error{Word: word, Message: fmt.Sprintf(format, args...), Outcome: routing.NotSent}
}

func invalid(format string, args ...any) *routing.Error {
	return bad(routing.InvalidRequest, format, args...)
}

func badParams(format string, args ...any) *routing.Error {
	return bad(routing.InvalidParams, format, args...)
}
