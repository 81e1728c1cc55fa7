package client

import "time"

// State is where a client stands.
type State string

const (
	Connecting State = "connecting" // a socket is being opened
	Open       State = "open"       // the gateway has welcomed us
	Waiting    State = "waiting"    // for the moment to open the next socket
	Closed     State = "closed"     // for good
)

// EventKind is what has happened.
type EventKind string

const (
	EventState    EventKind = "state"    // State, Delay while waiting
	EventDial     EventKind = "dial"     // URL, Err where the handshake failed
	EventWelcome  EventKind = "welcome"  // Session, Node, Resumed
	EventClose    EventKind = "close"    // a socket is gone: Code, Reason, Err
	EventGoaway   EventKind = "goaway"   // Delay until the client moves
	EventSent     EventKind = "sent"     // Frame: it is about to be written; told again where that failed and it is tried anew
	EventReceived EventKind = "received" // Frame: it has been read, and not yet handed over
)

// Event is one of the things that Options.Events is told.
type Event struct {
	Kind    EventKind
	At      time.Time
	Frame   []byte // JSON text; not to be kept or changed
	State   State
	Session string
	Node    string
	Resumed bool
	URL     string
	Code    int // 1006 where the socket was lost without a close frame
	Reason  string
	Delay   time.Duration
	Err     error
}
