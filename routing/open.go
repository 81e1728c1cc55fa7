package routing

import "time"

// open is a request that has no outcome yet. What is above the line does not
// change; what is below it belongs to session.mu.
type open struct {
	Request
	session   *Session
	n         uint64
	own       Sink // where the outcome goes, if not to the session's sink
	submitted time.Time
	adopted   bool // another node made it: what is known of it is its row

	accepted time.Time // zero until Kafka acknowledged it
	at       RecordAt  // where it stands in the request topic
	parts    int       // replies delivered so far
	newest   RecordAt  // of the newest of them
	spilled  bool      // the table holds parts that are acknowledged
	stream   *stream   // nil until it is needed
	unsafe   bool      // the table has not written its row yet
	unsent   bool      // the table is to know of its wait before it is produced
	over     bool      // it has its outcome
	moved    bool      // another node had the session since it was made, and may have parts of its answer
	deadline timer
	unwatch  func() // has the view forget that the request waits; nil where it never has

	follows  RequestID // the kept request whose outcome is this one's, once it is known; "" for others
	waiting  *waiter   // for more of it; nil while it does not
	collects int       // replies of it that were collected
}

// shown is the id by which the client may ask for the request elsewhere.
func (o *open) shown() RequestID {
	if o.follows != "" {
		return o.follows
	}
	return o.ID
}

// unkept tells whether the request is to follow a kept one that is not known yet.
func (o *open) unkept() bool {
	return o.follows == "" && (o.Call.IdempotencyKey != "" || o.Service == attachService)
}

// row is what the table keeps of the request.
func (o *open) row() Row {
	row := Row{
		Session: o.session.id, N: o.n, Service: o.Service.Name, ClientID: o.Call.ClientID, Digest: o.Call.Digest, Deadline: o.Deadline, Follows: o.follows, Entity: o.Entity,
		WantTrace: o.Call.WantTrace, WantHeaders: o.Call.WantHeaders,
	}
	if o.stream != nil {
		row.Had = o.stream.had
	}
	return row
}

// expire is called by the wheel when the deadline has passed.
func (o *open) expire(now time.Time) {
	s := o.session
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open[o.n] != o {
		return // the outcome was faster
	}
	if s.router.table.Fenced(now) {
		s.router.muted.put(o.waitOn)
		return
	}
	if o.Service.View != nil {
		s.waitedLocked(o)
		return
	}
	s.router.log.Info("request timed out", "request", string(o.ID), "service", o.Service.Name, "accepted", !o.accepted.IsZero())
	s.loseAheadLocked(o, DropGap)
	s.endLocked(o, Timeout, Delivery{Err: &Error{Word: Timeout, Message: "the service did not answer in time", Outcome: o.certainty(), Retry: false}}, "")
}

// produced takes the producer's word on a request of this router's.
func (r *Router) produced(q *Request, at RecordAt, err error) {
	if q.Cancels != "" {
		r.recalled(q, err)
		return
	}
	if q.kept != nil {
		q.kept.produced(err)
		return
	}
	if q.open == nil {
		if err != nil {
			r.log.Warn("notification lost", "service", q.Service.Name, "err", err)
			r.observer.Count(Refusals, string(asError(err).Word))
		}
		return
	}
	o, s := q.open, q.open.session
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open[o.n] != o {
		return // its outcome, a timeout or even the reply, was faster
	}
	if err != nil {
		e := asError(err)
		r.log.Warn("request not accepted", "request", string(o.ID), "service", o.Service.Name, "err", e)
		r.observer.Count(Refusals, string(e.Word))
		s.failLocked(o, e)
		return
	}
	o.at, o.accepted = at, time.Now()
	r.observer.Stage(StageProduce, o.accepted.Sub(o.submitted))
	switch {
	case !o.Call.WantSafe:
	case r.table.Fenced(o.accepted):
		r.muted.put(o.tellAccepted)
	default:
		o.tellAcceptedLocked()
	}
}

// Claimed is called by the table: the row of the request is written.
func (o *open) Claimed() {
	s := o.session
	s.mu.Lock()
	defer s.mu.Unlock()
	if !o.unsafe {
		return // it has been told before
	}
	if o.unsafe = false; o.accepted.IsZero() {
		return
	}
	if s.router.table.Fenced(time.Now()) {
		s.router.muted.put(o.tellAccepted)
	} else {
		o.tellAcceptedLocked()
	}
}

// tellAccepted tells a client, later than usual, that its request is accepted.
func (o *open) tellAccepted() {
	o.session.mu.Lock()
	defer o.session.mu.Unlock()
	o.tellAcceptedLocked()
}

// tellAcceptedLocked tells the client that its request is accepted, where it asked
// for that, and it is true, and the request is still open.
func (o *open) tellAcceptedLocked() {
	s := o.session
	if !o.Call.WantSafe || o.unsafe || o.accepted.IsZero() || s.open[o.n] != o {
		return
	}
	if to := s.sinkLocked(o); to != nil {
		to.Accepted(o.Call.ClientID, o.shown())
	}
}

// asError finds the *Error in what a producer answered.
func asError(err error) *Error {
	if e, ok := err.(*Error); ok {
		return e
	}
	return &Error{Word: Unavailable, Message: "the request could not be written to Kafka", Outcome: Unknown, Retry: true, Cause: err}
}

// trace tells what is known of the request's way, as its owner knows it.
func (o *open) trace(r *Reply, path Path) *Trace {
	if !o.Call.WantTrace {
		return nil
	}
	t := &Trace{
		ID: o.shown(), Node: o.session.router.node, Service: o.Service.Name, Path: path,
		Request: RecordAt{Topic: o.Service.Topic, Partition: NoPartition},
		Reply:   RecordAt{Partition: NoPartition},

		Submitted: o.submitted, Accepted: o.accepted, Pushed: time.Now(),
	}
	if !o.accepted.IsZero() {
		t.Request = o.at
	}
	if o.adopted {
		t.Submitted = time.Time{} // to another node
	}
	if r != nil {
		t.Reply, t.ConsumedBy = r.From, r.ConsumedBy
		t.Replied, t.Consumed, t.Relayed = r.Stamp, r.Consumed, r.Relayed
	}
	return t
}
