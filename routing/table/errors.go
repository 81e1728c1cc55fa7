package table

import (
	"errors"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"
)

var (
	errRefused    = errors.New("Redis takes no writes")
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

// refusals begin what a Redis answers that takes no writes for now: it is full, cannot
// persist, is a replica by now, loads its data, or has too few replicas.
// https://redis.io/docs/latest/develop/reference/protocol-spec/#simple-errors
var refusals = []string{"OOM", "MISCONF", "READONLY", "LOADING", "NOREPLICAS", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "BUSY"}

// refusal answers errRefused, with the first reason, when some commands were refused
// for now. They can all be sent again.
func refusal(cmds []redis.Cmder) error {
	for _, cmd := range cmds {
		err := cmd.Err()
		if err == nil {
			continue
		}
		for _, word := range refusals {
			// Redis before 7 says of a script which of its commands was refused.
			if redis.HasErrorPrefix(err, word+" ") || strings.Contains(err.Error(), "-"+word+" ") {
				return fmt.Errorf("%w: %w", errRefused, err)
			}
		}
	}
	return nil
}
