package routing

import (
	"context"
	"time"
)

// Table is the cluster's shared memory: which node holds which session, and
// what each session waits for. One node without Redis keeps none of it.
type Table interface {
	Sessions
	Rows
	Relay
}

// Sessions keeps which node holds which session.
type Sessions interface {
	// Open records a session that its client may resume. It blocks, for a bounded
	// time, until the table has it, or answers why not.
	Open(ctx context.Context, s SessionRow) error
	// Announce records a session soon. It does not block.
	Announce(s SessionRow)
	// End forgets a session and all its rows, soon. It does not block.
	End(id SessionID)
}

// Rows takes what open requests leave behind. Both methods only append to a
// queue that is written in the background, in order: they do not block, and
// they are called with the session's lock held.
type Rows interface {
	Claim(row Row)
	Release(session SessionID, n uint64)
}

// Relay hands replies to the nodes that own their sessions.
type Relay interface {
	// Route deals with replies whose sessions are not on this node: one verdict
	// each, in their order, which it keeps. All replies of one session in a call
	// are judged by one look-up, so that they stay in order too when some have to
	// be routed again. It blocks for a round trip or two, and does not call
	// receipts: the router does, by the verdict.
	Route(ctx context.Context, replies []*Reply) []Verdict
}

// SessionRow is what the table keeps of a session.
type SessionRow struct {
	ID      SessionID
	Subject string
	Secret  []byte // SHA-256 of the secret
	Epoch   uint64
}

// Row is the record of one open request.
type Row struct {
	Session  SessionID
	N        uint64
	Service  string
	ClientID string
	Deadline time.Time
}

// Verdict is what became of a reply that was routed.
type Verdict struct {
	Fate Fate
	// Drop is the reason when Fate is Dropped.
	Drop Drop
	// Err is why when Fate is Failed.
	Err error
}

// Fate is what the table did with a reply.
type Fate uint8

const (
	Failed  Fate = iota // nothing is known to have happened: route it again
	Relayed             // it is in its owner's inbox
	Held                // it is kept for a session that no live node has attached
	Dropped             // nobody waits for it
	Here                // its session is this node's after all: deliver again
)
