package service

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"
)

// Handler answers one request. It is called from a goroutine of its own, and ctx
// ends at the request's deadline, when its client cancels it or leaves for good
// ([ErrCancelled] is the context's cause), and when the service has to stop
// ([ErrStopping]).
//
// An error that is a [*Failure], or wraps one, is what the client is told; of any
// other it learns only that the service has failed, and the log has the rest. A
// panic counts as such an error. A handler that answers nothing and returns nil
// has answered with an empty body.
type Handler func(ctx context.Context, r *Request) error

// Request is what a client asks. Its fields are read, not changed; its methods may
// be called from any goroutine until the handler returns.
type Request struct {
	ID             string // names the request; "" for a notification, to which nobody wants an answer
	Service        string // the name that the client called
	Subject        string // who the caller is, where the gateway authenticates
	IdempotencyKey string // the same if a record comes twice, or a client asks twice
	Deadline       time.Time

	Key         []byte // the record's
	Body        []byte
	ContentType string
	Headers     []Header // the client's own, and trace headers

	// Method, Path and Query tell how an HTTP caller called; they are "" where the
	// client is on a socket. Path is what stands below the service's name, escaped.
	Method, Path, Query string

	// ReplyTopic and ReplyPartition are where answers go. They are for dialects.
	ReplyTopic     string
	ReplyPartition int32 // -1: chosen by the key, which is the request's ID

	ctx   context.Context // of the handler's call
	write func(Answer)    // takes an answer; nil where nobody wants one

	mu     sync.Mutex
	parts  int
	ended  bool
	failed bool
	kept   []Answer // what was answered, for the memory
	keeps  int      // how many more bytes may be kept; negative for nothing at all
}

// Header is a header of a record.
type Header struct {
	Key   string
	Value []byte
}

// Header answers the value of one of the client's headers, "" where there is none.
func (r *Request) Header(name string) string {
	for i := range r.Headers {
		if r.Headers[i].Key == name {
			return string(r.Headers[i].Value)
		}
	}
	return ""
}

// Wanted tells whether anybody waits for an answer. Without it, Reply and Part do
// nothing.
func (r *Request) Wanted() bool { return r.ReplyTopic != "" && r.ID != "" }

// ErrAnswered is what Reply and Part answer once the final answer was given.
var ErrAnswered = errors.New("service: the request has been answered")

// Reply gives the final answer. It does not wait for Kafka, which keeps the answer
// in order behind the parts before it; the request's record is committed only when
// Kafka has acknowledged it. The error is ErrAnswered, or ErrCancelled when nobody
// waits any longer.
func (r *Request) Reply(a Answer) error {
	if cause := context.Cause(r.ctx); errors.Is(cause, ErrCancelled) {
		return cause
	}
	return r.answer(a, true)
}

// Part gives a part of an answer, of which more follows: the client gets it at
// once. Parts are numbered from 0; Reply gives the last, and where the handler
// returns without it, an empty one is sent. After the end of the handler's context
// Part answers its cause, so that a long stream ends when nobody reads it. It waits
// while the producer has as much to write as it may.
func (r *Request) Part(a Answer) error {
	if r.ctx.Err() != nil {
		return context.Cause(r.ctx)
	}
	return r.answer(a, false)
}

// Fail gives an error as the final answer. A handler that returns the failure does
// the same.
func (r *Request) Fail(f *Failure) error {
	return r.Reply(Answer{Body: f.Body, ContentType: f.ContentType, Failure: f})
}

func (r *Request) answer(a Answer, final bool) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended {
		return ErrAnswered
	}
	a.n, a.final = r.parts, final
	r.parts++
	r.ended, r.failed = final, a.Failure != nil
	if r.keeps -= len(a.Body) + answerCost; r.keeps >= 0 {
		r.kept = append(r.kept, a)
	} else {
		r.kept = nil
	}
	if r.write != nil {
		r.write(a)
	}
	return nil
}

// state tells whether the final answer was given, and whether it was a failure.
func (r *Request) state() (ended, failed bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.ended, r.failed
}

// conclude gives the final answer that follows from what a handler returned, unless
// it was given, and tells how the request has ended.
func (r *Request) conclude(err error) Outcome {
	var failure *Failure
	ended, failed := r.state()
	cause := context.Cause(r.ctx)
	switch {
	case ended && failed, errors.As(err, &failure):
		if !ended {
			_ = r.Fail(failure)
		}
		return Failed
	case ended && (err == nil || cause != nil):
		return Answered
	case errors.Is(cause, ErrCancelled):
		return Cancelled
	case err == nil:
		_ = r.Reply(Answer{})
		return Answered
	case errors.Is(cause, ErrStopping) && !ended:
		return Stopped
	case cause != nil && !ended:
		return Expired
	}
	_ = r.Fail(&Failure{Code: "internal", Status: 500, Message: "the service has failed"}) // unless it has answered
	return Broken
}

// Answer is an answer, or a part of one. The zero value is an empty body.
type Answer struct {
	Body        []byte
	ContentType string
	Status      int      // an HTTP status, 200 to 599; 0 for the usual one
	Headers     []Header // location, etag, cache-control and x-… go to HTTP callers
	Failure     *Failure // makes it an error

	n     int // its position, from 0
	final bool
}

// N is the answer's position among those to its request, from 0. It is for dialects.
func (a *Answer) N() int { return a.n }

// Final tells whether no other answer follows. It is for dialects.
func (a *Answer) Final() bool { return a.final }

// JSON is an answer in JSON. The error is encoding/json's.
func JSON(v any) (Answer, error) {
	body, err := json.Marshal(v)
	return Answer{Body: body, ContentType: "application/json"}, err
}

// Try calls a handler without Kafka, and answers all that it answered: for tests of
// handlers. The request needs no more than the handler looks at. A panic is not
// caught.
func Try(ctx context.Context, h Handler, r *Request) (answers []Answer) {
	r.ctx, r.write, r.keeps = ctx, func(a Answer) { answers = append(answers, a) }, -1
	r.conclude(h(ctx, r))
	return answers
}

// Failure is an error that the client is told.
type Failure struct {
	Code    string // for machines
	Status  int    // an HTTP status, 400 to 599; 0 is as good as 500
	Message string // for people

	Body        []byte // more about it, if there is more
	ContentType string // of Body
}

func (f *Failure) Error() string { return f.Code + ": " + f.Message }
