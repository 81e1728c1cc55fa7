package routing

import (
	"context"
	"errors"
	"time"
)

// Table is the cluster's shared memory: which node holds which session, and
// what each session waits for. One node without Redis keeps none of it.
type Table interface {
	Sessions
	Rows
	Relay
	Waits
	Feeds
	Fence
	Results
}

// Sessions keeps which node holds which session.
type Sessions interface {
	// Open records a session that its client may resume. It blocks, for a bounded
	// time, until the table has it, or answers why not.
	Open(ctx context.Context, s SessionRow) error
	// Announce records a session soon. It does not block.
	Announce(s SessionRow)
	// Resume gives this node a session that its client wants back: it checks
	// secret and subject, makes this node the owner, raises the epoch and tells
	// the node that was the owner before. It blocks, for a bounded time. The error
	// is ErrSessionGone where there is no such session for this client.
	Resume(ctx context.Context, s Resumption) (Resumed, error)
	// Look answers what rows a session has that this node owns, and what was said
	// by Left. It blocks, for a bounded time.
	Look(ctx context.Context, id SessionID) (Looked, error)
	// Owns tells whether a session is this node's still, under the epoch of its last
	// take-over. It blocks, for a bounded time.
	Owns(ctx context.Context, id SessionID, epoch uint64) (bool, error)
	// End forgets a session and all its rows, soon. It does not block.
	End(id SessionID)
}

// ErrSessionGone says that a session has expired, or was never this client's.
var ErrSessionGone = errors.New("there is no such session")

// Resumption is what a client shows to get its session back.
type Resumption struct {
	ID      SessionID
	Subject string
	Secret  []byte // SHA-256 of the secret
}

// Resumed is what the table knew of a session.
type Resumed struct {
	Epoch uint64   // of the take-over that this is
	Rows  []Row    // requests that have no acknowledged outcome
	Feeds []Feed   // what it has subscribed to
	Held  []*Reply // oldest first; they stay held until Unhold
}

// Legacy is what the former owners of a session have left behind.
type Legacy struct {
	Whole bool  // all of it has come
	Rows  []Row // as they are then
}

// Looked is what the table says about a session of this node.
type Looked struct {
	Rows []Row
	Left uint64 // up to this epoch all owners have said Left; 0 where the first has not
}

// Rows takes what open requests leave behind. Its methods only append to a
// queue that is written in the background, in order: they do not block, and
// they are called with the session's lock held.
type Rows interface {
	// Claim queues a row. Where it is told to tell somebody, it answers whether it
	// will: once the row is written, or as soon as the table is found to be away;
	// perhaps more than once, and by a goroutine of its own. It answers false where
	// there is nothing to wait for.
	Claim(row Row, tell Claimed) (waits bool)
	Release(session SessionID, n uint64)
	// Left says that this node, which had the session by the take-overs from one epoch to
	// another, has given it up: all rows that there will ever be of that time precede it.
	// It is not written where one of them may be missing.
	Left(session SessionID, from, to uint64)
	// HandedOver says that this node has handed on, or has delivered or kept where it has
	// the session again, all replies to it that it had before the take-over with this epoch.
	HandedOver(session SessionID, epoch uint64)
	// Unhold forgets the held replies to a request.
	Unhold(id RequestID)
}

// Relay hands replies to the nodes that own their sessions.
type Relay interface {
	// Route deals with replies whose sessions are not on this node: one verdict
	// each, in their order, which it keeps. All replies of one session in a call
	// are judged by one look-up, so that they stay in order too when some have to
	// be routed again. It blocks for a round trip or two, and does not call
	// receipts: the router does, by the verdict.
	Route(ctx context.Context, replies []*Reply) []Verdict
	// Hold keeps replies for sessions of this node, whose clients have not
	// acknowledged them, so that they need not be kept where they came from. The
	// verdict is Held; Here from a table that keeps nothing; Moved when another
	// node has taken the session over. It blocks as Route does.
	Hold(ctx context.Context, held []Holding) []Verdict
	// CatchUp blocks until all that other nodes had relayed to this one, or held for
	// its sessions, has been delivered: for a moment at the longest, and not at all
	// while the table is away. It answers whether all of it has.
	CatchUp(ctx context.Context) bool
	// Inherited tells of each of these sessions, which this node has taken over, whether
	// all replies that its former owners had of it have been delivered here: those that
	// live have said HandedOver, and the inboxes of the others were routed again. It
	// does not where that is not known. It blocks as CatchUp does.
	Inherited(ctx context.Context, sessions []SessionID) []Legacy
	// Remind tells those former owners of these sessions that live and have not said
	// HandedOver once more that they have lost them: the first notice may have been lost
	// with its sender, or their answer with Redis. It blocks as CatchUp does.
	Remind(ctx context.Context, sessions []SessionID)
}

// Waits keeps which requests are answered by events. Who consumes an event asks for
// them elsewhere.
type Waits interface {
	// Await registers waits, behind all that this node has queued before. It answers
	// an error for each, in their order, nil where the table has it; ErrCrowded among
	// them. It blocks, for a bounded time.
	Await(ctx context.Context, waits []Wait) []error
	// Unwait forgets a wait, soon. It does not block.
	Unwait(about Entity, id RequestID)
}

// Feeds keeps which sessions have subscribed to what.
type Feeds interface {
	// Subscribe registers subscriptions, behind all that this node has queued before. It
	// answers an error for each, in their order, nil where the table has it. It blocks,
	// for a bounded time.
	Subscribe(ctx context.Context, subs []Subscription) []error
	// Unsubscribe forgets a subscription, soon. It does not block.
	Unsubscribe(sub Subscription)
}

// Fence keeps a process that slept from going on as if nothing had happened: the
// other nodes may have taken it for dead.
type Fence interface {
	// Fenced tells whether the process has slept for too long before now, and does
	// not know yet whether it still is a node. A node that is awake and cannot reach
	// the table is not fenced. It is asked for every request, and does not block.
	Fenced(now time.Time) bool
}

// Claimed is told that a row is as safe as it gets for now.
type Claimed interface{ Claimed() }

// Holding is a reply to be held.
type Holding struct {
	Session SessionID
	Epoch   uint64 // that this node owns the session under
	Reply   *Reply
}

// SessionRow is what the table keeps of a session.
type SessionRow struct {
	ID      SessionID
	Subject string
	Secret  []byte // SHA-256 of the secret
	Epoch   uint64
	Feeds   []Feed // that it has subscribed to
}

// Row is the record of one open request.
type Row struct {
	Session  SessionID
	N        uint64
	Service  string
	ClientID string
	Digest   uint64 // as Call.Digest
	Deadline time.Time
	Had      *Progress // what its client has acknowledged of a streamed answer; nil for nothing
	Follows  RequestID // the kept request whose outcome is this one's; "" for none

	WantTrace, WantHeaders bool   // as Call's
	Entity                 string // as Request.Entity
}

// Verdict is what became of a reply that was routed.
type Verdict struct {
	Fate Fate
	// Epoch is the session's when Fate is Here.
	Epoch uint64
	// Drop is the reason when Fate is Dropped, and Foreign that the reply may well be
	// another gateway's, which reads the same topic.
	Drop    Drop
	Foreign bool
	// Err is why when Fate is Failed, and Early that the table has answered: it does
	// not know this one session, and may yet.
	Err   error
	Early bool
}

// Fate is what the table did with a reply.
type Fate uint8

const (
	Failed  Fate = iota // nothing is known to have happened: route it again
	Relayed             // it is in its owner's inbox
	Held                // it is kept for a session that no live node has attached
	Dropped             // nobody waits for it
	Here                // its session is this node's after all: deliver again (or, of Hold: keep it)
	Moved               // another node has taken its session over: route it
)
