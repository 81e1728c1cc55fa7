package ws

import "github.com/coder/websocket"

// closing is a way in which the gateway ends a socket.
type closing struct {
	code   websocket.StatusCode
	word   string // for metrics and logs
	reason string // for people: the close frame's, at most 123 bytes
}

// The ways in which the gateway ends a socket, and what the client should do.
// (4401 has a reason of its own where a token is refused: see caller.go. 4410 and 4429 are
// reserved for sessions that have expired, and rates.)
var (
	closeBye       = closing{1000, "bye", "bye"}                                                     // it said $/bye: stop
	closeBinary    = closing{1003, "binary", "binary frames are not served"}                         // stop: a bug
	closeNotUTF8   = closing{1007, "not_utf8", "a text frame must be UTF-8"}                         // stop: a bug
	closeTooBig    = closing{1009, "frame_too_big", "the frame is larger than allowed"}              // stop: a bug
	closeBug       = closing{1011, "internal", "internal error"}                                     // resume, back off
	closeRestart   = closing{1012, "restart", "this node goes away"}                                 // resume, jittered
	closeAge       = closing{1012, "age", "this socket has lived long enough"}                       // resume, jittered
	closeCrowded   = closing{1013, "overloaded", "this node has as many clients as it may"}          // back off 10 s or more
	closeBadFrames = closing{4400, "bad_frames", "too many bad messages"}                            // stop: a bug
	closeNotHello  = closing{4400, "not_hello", "$/hello comes first under parley.v1"}               // stop: a bug
	closeExpired   = closing{4401, "token_expired", "the token has expired"}                         // new token, resume
	closeNoKeys    = closing{1013, "unavailable", "tokens cannot be verified at the moment"}         // back off 10 s or more
	closeForbidden = closing{4403, "forbidden", "nothing here is for this caller"}                   // stop
	closeProtocol  = closing{4406, "subprotocol", "the subprotocol is parley.v1, or none"}           // stop: a bug
	closeNoHello   = closing{4408, "no_hello", "no $/hello in time"}                                 // retry
	closeSlowFrame = closing{4408, "slow_frame", "a message that was begun did not end"}             // retry
	closeTaken     = closing{4409, "taken_over", "another socket has resumed the session"}           // stop
	closeUnread    = closing{4413, "unacknowledged", "too much is unacknowledged: it is held"}       // resume
	closeNoResume  = closing{1012, "unavailable", "sessions cannot be resumed at the moment"}        // resume, jittered
	closeSlow      = closing{4413, "slow_client", "too much is unread"}                              // resume
	lostPong       = closing{1006, "no_pong", "no answer to a ping: closed without a frame"}         // never sent
	lostWrite      = closing{1006, "write_timeout", "a write took too long: closed without a frame"} // never sent
	lostClient     = closing{1006, "lost", "the client closed the connection, or lost it"}           // never sent
	lostShutdown   = closing{1006, "shutdown", "the node waited for the client long enough"}         // never sent
)

// sent tells whether the client is told, by a close frame.
func (c *closing) sent() bool { return c.code != 1006 }

// refusal tells whether the end of the socket counts as a refusal: something
// went wrong, here or there.
func (c *closing) refusal() bool {
	switch c {
	case &closeBye, &closeRestart, &closeAge, &closeTaken, &lostClient, &lostShutdown:
		return false
	}
	return true
}
