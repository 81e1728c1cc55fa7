package client

import "fmt"

// CloseError is why a client has ended: the gateway's close frame says that
// coming back makes no sense.
type CloseError struct {
	Code   int
	Reason string
}

func (e *CloseError) Error() string {
	if e.Code == deniedCode {
		return "the gateway refuses the token: " + e.Reason
	}
	return fmt.Sprintf("the gateway closed the socket for good: %d %s", e.Code, e.Reason)
}

// next is what to do once a socket is gone.
type next uint8

const (
	resume next = iota // come back soon
	later              // come back, but not soon
	token              // come back with a new token
	renew              // come back without the old session
	stop               // stay away
)

const (
	lostCode   = 1006 // there was no close frame
	byeCode    = 1000
	deniedCode = 4401
)

// afterClose is what a close code asks for. All that are not here (1001, 1006,
// 1011, 1012, 4408, 4413…) end a socket and not its session.
func afterClose(code int) next {
	switch code {
	case byeCode,
		1003, // a binary frame: a bug
		1007, // bad UTF-8: a bug
		1009, // a frame too big: a bug
		4400, // bad frames: a bug
		4403, // forbidden
		4406, // another subprotocol
		4409: // another socket has taken the session over
		return stop
	case 1013, 4429: // overloaded, rate limited
		return later
	case deniedCode: // the token is missing or has expired
		return token
	case 4410: // the session is gone
		return renew
	}
	return resume
}
