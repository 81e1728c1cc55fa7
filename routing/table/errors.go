package table

import "errors"

var (
	errFull  = errors.New("open session: too many writes wait for Redis")
	errAway  = errors.New("open session: Redis is away")
	errSlow  = errors.New("open session: Redis did not answer in time")
	errTaken = errors.New("open session: a newer epoch has it")

	errRebuilding = errors.New("route: sessions are being written anew after Redis was away")
	errNoInbox    = errors.New("relay: the owner has no inbox")
	errInboxFull  = errors.New("relay: the owner's inbox is full")
	errMoved      = errors.New("hold: the session has moved meanwhile")
	errAwayNow    = errors.New("Redis is away")
)
