package bench

import "context"

// Transport opens lanes to what is measured.
type Transport interface {
	// Open opens one more lane. It blocks until the lane can take requests, and is
	// called from several goroutines. ctx bounds the opening only.
	Open(ctx context.Context) (Lane, error)
}

// Lane carries requests one way and their answers the other: a socket, say.
type Lane interface {
	// Send sends a request. The body is the caller's again when Send returns. It
	// may block as long as the lane is full. One goroutine at a time calls it.
	Send(id uint64, body []byte) error
	// Receive blocks until an answer comes, or answers why none comes any more. One
	// goroutine at a time calls it, beside Send.
	Receive() (Answer, error)
	// Close ends the lane and makes Receive return. It blocks until what the lane
	// started has ended, and tells what it kept to itself until then.
	Close() error
}

// Answer is the outcome of one request.
type Answer struct {
	ID   uint64
	Body []byte // valid until the next Receive
	Word string // of the error that the answer is; "" for none
}
