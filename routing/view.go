package routing

import "time"

// View answers from the newest event of each key of a topic, as this node has
// read it. Its methods may be called from any goroutine, and do not block.
type View interface {
	// Latest answers the newest event with a key, nil where there is none. What it
	// answers is never changed. The error is Unavailable while the topic has not been
	// read to its end yet, and Overloaded where the key may be one of those for which
	// there was no room.
	Latest(key string) (*Event, *Error)
	// Watch answers a channel that is closed at the key's next event, be it its
	// removal. stop frees it, and may be called after that too. The error is
	// Overloaded when as many wait as may.
	Watch(key string) (changed <-chan struct{}, stop func(), err *Error)
}

// Event is one record of a topic that is no reply: something that happened to the
// entity that its key names.
type Event struct {
	Key         string
	Body        []byte
	ContentType string
	Headers     []Header // the record's other headers
	At          RecordAt
	Stamp       time.Time // the record's timestamp
}
