package routing

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"io"
	"time"
)

// Results keeps requests whose answers are collected: by whoever of the same
// subject asks for them, at any node, until their time is over. A kept request is
// a session of its own that no node owns and no client can resume. So a reply to it
// is held as one to any session without an owner is, by whichever node consumes it,
// and the node that took the request may be gone by then.
//
// All methods but Heard block, for a round trip or two, and answer one for each of what
// they are given, in its order.
type Results interface {
	// Keep records requests before they are produced, at most limit of the cluster's
	// at a time. Where a request's key has been claimed before, the answer is the
	// request that has it.
	Keep(ctx context.Context, kept []*Kept, limit int) []Keeping
	// Collect reads what is known of requests: of kept ones, and of those of sessions
	// that can be resumed.
	Collect(ctx context.Context, asked []Collection) []Collected
	// Conclude gives kept requests an outcome that is no reply, unless they have one.
	Conclude(ctx context.Context, ends []Conclusion) []error
	// Heard notes soon what Kafka has said of a kept request, for those who join it by
	// its key, and tells once that is written, perhaps more than once. That it has Arrived
	// stays so. It does not block.
	Heard(id RequestID, word Arrival, tell Claimed)
}

// Kept is what the table keeps of a request whose answer is collected.
type Kept struct {
	ID      RequestID
	Subject string
	Row     Row
	Life    time.Duration
	Claim   string // by which the client's key is found, see claimOf; "" for none
	Digest  string // of what was asked under that key
	Key     string // the record's, where the service is told of the request's end
}

// Keeping is the table's answer to Keep.
type Keeping struct {
	ID  RequestID // the request that there is: another one where the key was claimed before
	Err error     // ErrKeyUsed, ErrTooManyKept, or why it is not known to be recorded
}

var (
	// ErrKeyUsed says that a key was claimed by another request, not the same.
	ErrKeyUsed = errors.New("the key belongs to another request")
	// ErrTooManyKept says that as many requests are kept as may be.
	ErrTooManyKept = errors.New("too many requests are kept")
)

// Collection asks what is known of a request.
type Collection struct {
	ID      RequestID
	Subject string // must be the request's
	From    int    // how many of its replies the asker has
	Arrival bool   // who waits does so until Kafka's word is known, and not for replies
}

// Collected is what is known of a request.
type Collected struct {
	State   Standing
	Arrival Arrival // known of one with a client's key, and of any that has a reply
	Service string
	Key     string   // see Kept
	Entity  string   // as Row's
	Replies []*Reply // from the position that was asked for, in order; not always all of them
	Err     *Error   // the outcome, where it is no reply
	Failed  error    // the table could not be asked
}

// Standing is where a request stands that is collected.
type Standing uint8

const (
	Gone    Standing = iota // unknown, expired, or not the asker's
	Pending                 // there may be more than Replies, now or later
	Over                    // the last reply is the outcome, or Err is
)

// Arrival is whether Kafka has a request, as far as the table has been told.
type Arrival uint8

const (
	Unheard  Arrival = iota // its node has not said, and may be gone
	Arrived                 // Kafka has it
	Doubtful                // it may have it: only a reply will tell
)

// news tells whether there is anything that the asker does not know.
func (c *Collected) news(asked Collection) bool {
	return c.Failed == nil && (c.State != Pending || len(c.Replies) > 0 || asked.Arrival && c.Arrival != Unheard)
}

// Conclusion is an outcome that is no reply.
type Conclusion struct {
	ID      RequestID
	Subject string // must be the request's
	Claim   string // is given up, unless it is another's by now; "" for none
	Err     *Error
}

// ErrNotKept is Conclude's answer where there is no such request for this subject,
// and ErrConcluded where it had its outcome before.
var (
	ErrNotKept   = errors.New("there is no such kept request")
	ErrConcluded = errors.New("the request has its outcome")
)

// claimOf names the claim to a client's key: one a subject, service and key.
func claimOf(subject, service, key string) string { return hashOf(subject, service, key) }

// digestOf tells one request from another under the same key.
func digestOf(call *Call) string {
	return hashOf(call.Method, call.Path, call.Query, string(call.Body))
}

// hashOf hashes texts so that none can be taken for part of its neighbour.
func hashOf(texts ...string) string {
	h := sha256.New()
	for _, text := range texts {
		_, _ = h.Write(binary.AppendUvarint(nil, uint64(len(text))))
		_, _ = io.WriteString(h, text)
	}
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}

// Outcome answers how a request has ended that is Over: with a reply, an error, or
// both where the reply says error.
func (c *Collected) Outcome() (*Reply, *Error) {
	if len(c.Replies) == 0 || !c.Replies[len(c.Replies)-1].Final {
		return nil, c.Err
	}
	reply := c.Replies[len(c.Replies)-1]
	if reply.Err != nil {
		return reply, fromService(reply)
	}
	return reply, nil
}
