package client

import (
	"context"
	"time"
)

// CallOptions are what a call may ask for besides. All are optional.
type CallOptions struct {
	Key     string            // the record key: calls with one key stay in order
	Timeout time.Duration     // for the service to answer, in whole milliseconds: the service's own
	Headers map[string]string // record headers, names in lower case

	// IdempotencyKey makes the request one that is made once, however often, and from
	// wherever, it is asked for under this key: 1 to 256 visible ASCII characters. It
	// outlives the session, in which case the client asks for it again.
	IdempotencyKey string

	// Of a view, whose Reply.Meta then has the headers, etag among them: Wait is for how long
	// the answer may come later, where there is no event yet or none but that of ETag, the
	// header of an earlier answer; Until names a condition that is to be true of the event.
	// Where it is not in time the error is timeout; where the event is still that of ETag,
	// Result is null and Meta has unchanged.
	Wait        time.Duration
	Until, ETag string

	Want []string // what Reply.Meta is to have: "trace", "headers"

	// OnAccepted is told the gateway's id of the request once it is safe in Kafka
	// (needs Options.Accepted), OnPart the parts of a streamed answer, in order, each
	// once. Both are called by the goroutine that is in Call.
	OnAccepted func(request string)
	OnPart     func(Part)

	// Window is for how many parts a Stream is ready that its loop has not taken: 32.
	Window int
	credit int // what a Stream begins with; 0 for a call that takes parts as they come
}

// Part is one of the replies in a streamed answer.
type Part struct {
	N    int    // from 0
	Data []byte // JSON

	Final bool   // it is the last one; only a Stream yields it
	Meta  []byte // of the final one, as Reply.Meta
}

// Reply is how a service answers.
type Reply struct {
	Result  []byte // JSON; see FromBytes
	Meta    []byte // JSON: an object, or nil where there is nothing to say
	Request string // the gateway's id of the request, where it has told it
}

// Call makes a request of a service and waits for its outcome. params is JSON
// (see Bytes), or empty for none. The error is an *Error, or ctx.Err(): then the
// call returns at once and asks the gateway to cancel the request, whose outcome
// nobody learns. It may be called from any goroutine.
//
// With a Timeout the call ends with timeout when the gateway has not said a word
// 5 s after it; without one it waits as long as ctx.
func (c *Client) Call(ctx context.Context, service string, params []byte, o CallOptions) (Reply, error) {
	if err := ctx.Err(); err != nil {
		return Reply{}, err
	}
	k := &call{id: c.lastID.Add(1), o: o, woken: make(chan struct{}, 1)}
	if o.Timeout > 0 {
		k.due = time.Now().Add(o.Timeout)
	}
	k.repeats = o.IdempotencyKey != "" || service == attachMethod || service == subscribeMethod
	var e *Error
	if k.frame, e = appendRequest(make([]byte, 0, frameRoom+len(params)), k.id, service, params, &o); e != nil {
		return Reply{}, e
	}
	if e = c.submit(k); e != nil {
		return Reply{}, e
	}
	var late <-chan time.Time
	if o.Timeout > 0 {
		timer := time.NewTimer(o.Timeout + grace)
		defer timer.Stop()
		late = timer.C
	}
	for {
		select {
		case <-k.woken:
		case <-ctx.Done():
			if c.abandon(k) {
				return Reply{}, ctx.Err()
			}
		case <-late:
			c.giveUp(k, "timeout", "no answer in time")
		}
		if c.surface(k) {
			return k.reply, k.failure()
		}
	}
}

// Attach waits for the outcome of a request that was made elsewhere by the same
// subject, under an idempotency key or over HTTP to be collected. request is the
// gateway's id of it. Parts come from the first one on. Of o, Key, Headers and
// IdempotencyKey mean nothing.
func (c *Client) Attach(ctx context.Context, request string, o CallOptions) (Reply, error) {
	t := texts{dst: []byte(`{"request":`)}
	if t.quote(request); t.err != nil {
		return Reply{}, failed("invalid_params", NotSent, "all texts must be UTF-8")
	}
	return c.Call(ctx, attachMethod, append(t.dst, '}'), CallOptions{Timeout: o.Timeout, Want: o.Want, OnPart: o.OnPart})
}

const attachMethod = "$/attach"

// Notify sends a request that nobody answers: of o, only Key and Headers are
// used. It does not block. Without an error the request is to be written next to
// the present socket, and is lost if that is; where there is none it is refused:
// unavailable, not_sent.
func (c *Client) Notify(service string, params []byte, o CallOptions) error {
	frame, e := appendRequest(nil, 0, service, params, &CallOptions{Key: o.Key, Headers: o.Headers})
	if e != nil {
		return e
	}
	if e = c.submit(&call{frame: frame}); e != nil {
		return e
	}
	return nil
}

const (
	grace     = 5 * time.Second // that the gateway's own timeout may take to reach us
	frameRoom = 128             // bytes of a frame besides params, about
)

// call is a request on its way to exactly one outcome.
type call struct {
	id      uint64 // 0 for a notification
	frame   []byte
	o       CallOptions
	due     time.Time     // after which it is not sent again; zero for never
	woken   chan struct{} // there is something to surface
	repeats bool          // it means the same request in whatever session
	renews  feed          // it makes subscriptions anew, and nobody waits for it

	// Under Client.mu.
	sent    bool // it has been written, or may have been
	socket  int  // as Client.sockets when it was sent
	resent  int  // how often the gateway has asked for it again
	settled bool // it has its outcome, or nobody waits for it
	parts   uint64
	news    []Part // to be surfaced
	request string
	told    bool   // OnAccepted has been
	ready   uint64 // of a stream: number of the first part that it is not ready for
	given   uint64 // what of that the gateway has been told
	reply   Reply
	err     *Error
}

// failure avoids an error that is a nil *Error.
func (k *call) failure() error {
	if k.err == nil {
		return nil
	}
	return k.err
}

// outlives tells whether an error is only that of a session that is gone, in whose
// successor the call is made again.
func (k *call) outlives(e *Error) bool { return k.repeats && e != nil && e.Code == "session_gone" }

func (k *call) wake() {
	select {
	case k.woken <- struct{}{}:
	default:
	}
}

// late tells whether the time that the caller gives the call has passed.
func (k *call) late() bool { return !k.due.IsZero() && time.Now().After(k.due) }

// outcome is what is true of a call that ends on this side.
func (k *call) outcome() Outcome {
	if k.sent {
		return Unknown
	}
	return NotSent
}

// surface tells the caller's functions what is new, and answers whether the call
// has its outcome.
func (c *Client) surface(k *call) bool {
	c.mu.Lock()
	news, settled := k.news, k.settled
	k.news = nil
	accepted := k.request != "" && !k.told && k.o.OnAccepted != nil
	k.told = k.told || accepted
	request := k.request
	c.mu.Unlock()
	if accepted {
		k.o.OnAccepted(request)
	}
	for _, part := range news {
		k.o.OnPart(part)
	}
	return settled
}
