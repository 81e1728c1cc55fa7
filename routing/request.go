package routing

import (
	"sync/atomic"
	"time"
)

// NodeID names one gateway process. It is unique in the cluster and stays the
// same across restarts.
type NodeID string

// SessionID is 22 characters of base64url: 128 random bits.
type SessionID string

// RequestID is "<session>.<n><salt>": plain ASCII, so that any framework that
// decodes or JSON-parses header values returns it unchanged. See affinity.go.
type RequestID string

// Door tells through which protocol a call came.
type Door string

const (
	DoorWS   Door = "ws"
	DoorHTTP Door = "http"
)

// Header is one header of a Kafka record.
type Header struct {
	Key   string
	Value []byte
}

// Service is a name that clients use, and what stands behind it. It is not
// changed once the router has it.
type Service struct {
	Name        string
	Topic       string        // request topic
	Timeout     time.Duration // unless the call asks for another
	MaxTimeout  time.Duration // the longest that a call may ask for
	Dialect     string        // the header names that the service expects
	Partitioner Partitioner   // how its producer picks the reply's partition
	Wait        bool          // its requests may wait in the topic for somebody to serve
	View        View          // answers in the place of a service; nil for none, and Topic is "" if not
	Cancel      bool          // it is told when nobody waits for a request any longer
	Allow       *Rule         // who may use it; nil for everybody

	// Until has, by name, what callers may wait for to be true of a view's newest event.
	Until map[string]Condition

	Description    string // for people
	Request, Reply Schema // nil where it is not known
	// Check answers what is wrong with a request's body, nothing where it is right.
	// It is called before a request is sent, by any goroutine; nil: any body will do.
	Check func(body []byte) []Fault

	// Entity, if not nil, says that the service is answered by events, and what the
	// event that answers a call must be about. It does not block.
	Entity func(*Call) (string, error)
	Events string // the topic of such events, for descriptions
}

// Call is what a door asks on behalf of a client. The router keeps it, and
// everything it points to, until the outcome: the door must not change it after
// Submit.
type Call struct {
	Door     Door
	ClientID string // the client's own id, as JSON text; "" where the door has none
	Digest   uint64 // of the client's message: tells "sent again" from "id used twice"
	Service  string
	Caller   *Caller // who asks, where that is not who the session is of

	Key         []byte // record key; nil for the session's id
	Body        []byte // passed on byte for byte
	ContentType string
	Headers     []Header      // the client's record headers, already checked by the door
	Timeout     time.Duration // 0 for the service's; the door has checked it against MaxTimeout

	// IdempotencyKey, where the client gave one, makes the request a kept one: it is
	// made once a subject, service and key, and found again under it.
	IdempotencyKey string

	// Wanted is what the caller wants of a view; nil for its newest event, at once.
	Wanted *Wanted

	// Method, Path and Query are set by the HTTP door only.
	Method, Path, Query string

	// Limited says that the client tells for how many parts of an answer it is
	// ready: for Credit at first, then as Session.Credit says.
	Credit  int
	Limited bool

	Notify      bool // nothing comes back: produce without reply headers
	WantSafe    bool // the sink is told Accepted
	WantTrace   bool // Delivery.Trace is filled in
	WantHeaders bool // the client wants to see the reply's record headers
}

// RecordAt is a place in Kafka.
type RecordAt struct {
	Topic     string
	Partition int32
	Offset    int64
}

// NoPartition stands for "no home partition": relay covers such requests.
const NoPartition int32 = -1

// Request is one call on its way to its service. The producer reads it and
// then calls Produced, once.
type Request struct {
	ID             RequestID // "" for a notification
	Session        SessionID
	Subject        string
	Service        *Service
	Call           *Call
	Deadline       time.Time
	ReplyPartition int32  // a home partition of this node, or NoPartition
	Entity         string // what the event that answers is about; "" where the service replies

	// Cancels, if not "", makes it no request but the end of one, for the same
	// service and under the same key: of its Call nothing else is meant.
	Cancels RequestID

	open *open    // nil for a notification, and for a kept request
	kept *keeping // nil for any other
	from *Router  // who wants to know how the produce ended
}

// Produced tells the router how the produce ended: at is where the record
// stands when err is nil; otherwise err is an *Error where the producer knows
// the word and the certainty, and counts as unavailable and unknown where it
// does not. It is called exactly once, from any goroutine, and does not block.
func (r *Request) Produced(at RecordAt, err error) {
	if r.from != nil {
		r.from.produced(r, at, err)
	}
}

// Reply is one record that answers a request.
type Reply struct {
	ID          RequestID
	Final       bool
	Place       int           // 1 + the number that the service gave it in its stream; 0 for none
	Status      int           // an HTTP status that the service chose, or 0
	Err         *ServiceError // the reply says error
	ContentType string
	Headers     []Header // the record's other headers
	Body        []byte

	From       RecordAt  // in the reply topic
	After      int64     // 1 + the offset of the reply before it to the same request; 0 where it is not known, or there is none
	Stamp      time.Time // the record's timestamp: the service's clock, milliseconds
	Consumed   time.Time // when a gateway node polled it
	ConsumedBy NodeID
	Relayed    time.Time // when the owner took it from its inbox; zero at home

	Receipt Receipt // nil where nobody keeps count
	Token   Token
	settled uint32 // 1 once the receipt was told; atomic
}

// under answers the same reply with a receipt of its own. It does not read whether this
// one is settled: it may be on its way elsewhere as well, and be so at any moment.
func (r *Reply) under(receipt Receipt) *Reply {
	return &Reply{
		ID: r.ID, Final: r.Final, Place: r.Place, Status: r.Status, Err: r.Err, ContentType: r.ContentType, Headers: r.Headers, Body: r.Body,
		From: r.From, After: r.After, Stamp: r.Stamp, Consumed: r.Consumed, ConsumedBy: r.ConsumedBy, Relayed: r.Relayed,
		Receipt: receipt, Token: r.Token,
	}
}

// ServiceError is a service's own word for what went wrong.
type ServiceError struct {
	Code    string
	Message string
}

// Receipt is implemented by what a reply came from: a partition's commit
// tracker, an inbox. Done says, once a token, that the reply need not be kept
// there any longer. It does not block and may be called from any goroutine.
type Receipt interface {
	Done(Token)
}

// Token is a receipt's own name for a reply; its two numbers mean nothing to
// anyone else.
type Token struct{ A, B int64 }

// done settles the reply with the place it came from, the first time that it is
// called: a client's acknowledgement may meet the reply's being held.
func (r *Reply) done() {
	if r.Receipt != nil && atomic.CompareAndSwapUint32(&r.settled, 0, 1) {
		r.Receipt.Done(r.Token)
	}
}
