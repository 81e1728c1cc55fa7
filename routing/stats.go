package routing

import "time"

// Stage is one leg of a request's way.
type Stage string

const (
	StageProduce Stage = "produce" // submit to Kafka's acknowledgement
	StageService Stage = "service" // Kafka's acknowledgement to the reply's consumption
	StageRelay   Stage = "relay"   // consumption to the owner's inbox being read
	StagePush    Stage = "push"    // the owner has the reply to its being written
	StageAck     Stage = "ack"     // written to acknowledged
)

// Counter names what Observer.Count counts.
type Counter string

const (
	Replies  Counter = "replies" // label: a Path
	Drops    Counter = "drops"   // label: a Drop
	Refusals Counter = "refused" // label: an error word, or a door's close word
	Recalls  Counter = "recalls" // label: a Recall
	Events   Counter = "events"  // label: an EventFate
	Keeps    Counter = "kept"    // label: one of the words below
	Replays  Counter = "replays" // label: a Replay
)

// What happens to kept requests.
const (
	KeptMade      = "made"      // recorded, and handed to the producer
	KeptJoined    = "joined"    // asked for again under its idempotency key
	KeptAnswered  = "answered"  // its outcome came
	KeptCancelled = "cancelled" // by a client
	KeptExpired   = "expired"   // its time was over, and a node has noticed
)

// Path is how a reply travelled.
type Path string

const (
	PathHome    Path = "home"
	PathRelay   Path = "relay"
	PathHeld    Path = "held"
	PathDropped Path = "dropped"
)

// Drop is why a reply was not delivered. Every drop has one.
type Drop string

const (
	DropLate           Drop = "late"            // the request had ended by timeout or cancel
	DropDuplicate      Drop = "duplicate"       // the request had been answered
	DropUnknownRequest Drop = "unknown_request" // nobody made such a request
	DropNoCorrelation  Drop = "no_correlation"  // the record names no request
	DropAfterFinal     Drop = "after_final"     // a part behind the final reply of its stream
	DropGap            Drop = "gap"             // a part of a stream of which an earlier one is missing
	DropNoCredit       Drop = "no_credit"       // its request ended while the client was not ready for the part
	DropTooLarge       Drop = "too_large"       // the client got an error instead
	DropSessionGone    Drop = "session_gone"    // its client left before it was written
	DropUnsubscribed   Drop = "unsubscribed"    // the session follows it no longer
	DropUnread         Drop = "unread"          // a push: too many wait for the client, who is told how many are missing
	DropLost           Drop = "lost"            // a push: lost with the Redis that held it
	DropHeldFull       Drop = "held_full"       // as much is held for its session as may be
)

// EventFate is what became of an event that was consumed.
type EventFate string

const (
	EventUnrelated EventFate = "unrelated"        // no service's condition holds
	EventUnawaited EventFate = "unawaited"        // one does, and nobody waits
	EventAnswered  EventFate = "answered"         // it answers a request, or several
	EventPushed    EventFate = "pushed"           // somebody has subscribed to it
	EventNotJSON   EventFate = "not_json"         // a condition asks for its value, which is not JSON
	EventStrange   EventFate = "condition_failed" // a condition asks for what it has not
)

// Observer is told what happens, on the hot path: its methods are called from
// any goroutine, sometimes under a lock, and must not block.
type Observer interface {
	// Finished reports a request's one outcome: OK or an error's word.
	Finished(service string, door Door, outcome Word, took time.Duration)
	// Stage reports how long one leg took.
	Stage(stage Stage, took time.Duration)
	// Count adds one to a counter's label.
	Count(counter Counter, label string)
}

// nobody is the Observer of a router that was given none.
type nobody struct{}

func (nobody) Finished(string, Door, Word, time.Duration) {}
func (nobody) Stage(Stage, time.Duration)                 {}
func (nobody) Count(Counter, string)                      {}
