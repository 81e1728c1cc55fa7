package table

import "errors"

var (
	errAway       = errors.New("Redis is away")
	errFull       = errors.New("too many writes wait for Redis")
	errSlow       = errors.New("Redis did not answer in time")
	errLate       = errors.New("Redis has come to it too late")
	errTaken      = errors.New("a newer epoch has it")
	errRemoved    = errors.New("the others have taken this node for dead")
	errRebuilding = errors.New("sessions are being written anew after Redis was away")

	// errLease keeps a node that slept from writing before it knows whether it was
	// removed meanwhile.
	errLease = errors.New("the node's lease is overdue")

	errNoInbox   = errors.New("relay: the owner has no inbox")
	errInboxFull = errors.New("relay: the owner's inbox is full")
	errMoved     = errors.New("hold: the session has moved meanwhile")
)
