package routing

import (
	"math"
	"time"
)

// A call whose idempotency key has a request already joins that: it is told what its
// first caller is told, and not before Kafka has said it. Who makes the request, be it
// this node or another, notes Kafka's word in the table; one that dies before it has is
// waited for in vain, for Limits.Join and once: who has waited notes that nobody knows.

// joined is a call's wait for Kafka's word on the request that it joins.
type joined struct {
	waiter
	patience *time.Timer
}

// join has a call wait for Kafka's word on the request that has its key.
func (r *Router) join(k *keeping, id RequestID) {
	j := &joined{waiter: waiter{Collection: Collection{ID: id, Subject: k.Subject, From: math.MaxInt32, Arrival: true}, to: k}}
	k.joins = j
	j.patience = time.AfterFunc(r.limits.Join, k.joinNoLonger)
	if !r.waiters.add(&j.waiter, r.limits.Waiters) {
		j.patience.Stop()
		k.joinedTo(id, r.tooManyWait())
	}
}

// collected implements collector: Kafka's word is known, or the outcome is.
func (k *keeping) collected(c Collected) {
	k.joins.patience.Stop()
	switch id := k.joins.ID; {
	case c.Err != nil && c.Err.Outcome == NotSent:
		k.joinedTo("", c.Err)
	case c.State == Gone || c.State == Pending && c.Arrival == Doubtful:
		k.joinedTo(id, inDoubt())
	default:
		k.joinedTo(id, nil)
	}
}

// joinNoLonger gives up: the node that makes the request is gone, or cannot say.
func (k *keeping) joinNoLonger() {
	if k.from.waiters.remove(&k.joins.waiter) {
		k.from.table.Heard(k.joins.ID, Doubtful, k)
		k.joinedTo(k.joins.ID, inDoubt())
	}
}

func inDoubt() *Error {
	return &Error{Word: Unavailable, Message: "the request that has this key is not known to be in the topic", Outcome: Unknown, Retry: true}
}

// joinedTo tells the caller.
func (k *keeping) joinedTo(id RequestID, e *Error) {
	if e != nil {
		k.from.refused(k.Call, e)
	}
	k.tell(id, e)
	k.from.inFlight.Add(-1)
}

// heard has the table know what Kafka has said, for those who join.
func (k *keeping) heard(word Arrival) {
	if k.claim != "" {
		Pass(PointArrived)
		k.from.table.Heard(k.ID, word, k)
	}
}

// Claimed is called by the table, which has noted what Kafka has said: who has joined
// here need not wait for the next look.
func (k *keeping) Claimed() { k.from.waiters.look(k.ID) }
