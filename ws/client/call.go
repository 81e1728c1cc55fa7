package client

import (
	"context"
	"errors"
	"time"
)

// CallOptions are what a call may ask for besides. All are optional.
type CallOptions struct {
	Key     string            // the record key: calls with one key stay in order
	Timeout time.Duration     // for the service to answer, in whole milliseconds: the service's own
	Headers map[string]string // record headers, names in lower case
	Want    []string          // what Reply.Meta is to have: "trace", "headers"

	// OnAccepted is told the gateway's id of the request once it is safe in Kafka
	// (needs Options.Accepted), OnPart the parts of a streamed answer, in order, each
	// once. Both are called by the goroutine that is in Call.
	OnAccepted func(request string)
	OnPart     func(Part)
}

// Part is one of the replies before the last in a streamed answer.
type Part struct {
	N    int    // from 0
	Data []byte // JSON
}

// Reply is how a service answers.
type Reply struct {
	Result  []byte // JSON; see FromBytes
	Meta    []byte // JSON: an object, or nil where there is nothing to say
	Request string // the gateway's id of the request, where it has told it
}

// Call makes a request of a service and waits for its outcome. params is JSON
// (see Bytes), or nil for none. The error is an *Error, or ctx.Err(): then the
// call returns at once and asks the gateway to cancel the request, whose outcome
// nobody learns. It may be called from any goroutine.
func (c *Client) Call(ctx context.Context, service string, params []byte, o CallOptions) (Reply, error) {
	return Reply{}, errors.New("not yet written")
}

// Notify sends a request that nobody answers: of o, only Key and Headers are
// used. It does not block. Without an error the request is to be written next to
// the present socket, and is lost if that is; where there is none it is refused:
// unavailable, not_sent.
func (c *Client) Notify(service string, params []byte, o CallOptions) error {
	return errors.New("not yet written")
}
