package routing

import (
	"context"
	"errors"
	"sync"
	"time"
)

// keeper is who wants a request kept. Its method is called once, from any
// goroutine, with no lock held, and must not block.
type keeper interface {
	// kept tells which request there is now: in the topic, or an earlier one with the
	// same key. With an error it may be there all the same, where that is Unknown.
	kept(id RequestID, err *Error)
}

// keeping is a call on its way to being kept: recorded in the table, then produced.
type keeping struct {
	Request
	claim, digest string
	to            keeper // nil once it was told
	began         time.Time
	failed        *Error  // why it is to be taken off the table again
	joins         *joined // the request that has its key; nil where it is its own
}

// Keep has a request of caller's kept and produced, and blocks until Kafka has it, or
// ctx ends, after which it goes on all the same. Where call has an idempotency key that
// was used before, the answer is the request that was made then, once Kafka has that,
// whichever node makes it. An error with an id says that it is not known whether that
// request was made.
func (r *Router) Keep(ctx context.Context, call *Call, caller *Caller) (RequestID, *Error) {
	k, err := r.newKeeping(call, caller)
	if err != nil {
		r.refused(call, err)
		return "", err
	}
	answer := make(told, 1)
	k.to = answer
	r.keep(k)
	select {
	case word := <-answer:
		return word.id, word.err
	case <-ctx.Done():
		return k.ID, &Error{Word: Timeout, Message: "the request is not known to be in the topic yet", Outcome: Unknown, Retry: true}
	}
}

// told is a keeper that waits.
type told chan struct {
	id  RequestID
	err *Error
}

func (t told) kept(id RequestID, err *Error) {
	t <- struct {
		id  RequestID
		err *Error
	}{id, err}
}

// newKeeping admits a call that is to be kept.
func (r *Router) newKeeping(call *Call, caller *Caller) (*keeping, *Error) {
	service := r.services[call.Service]
	now := time.Now()
	if service == nil {
		return nil, refuse(UnknownService, false, "there is no service %q", call.Service)
	}
	if e := service.Allow.Refuse(caller, service.Name); e != nil {
		return nil, e
	}
	about, err := entityOf(service, call)
	switch {
	case err != nil:
		return nil, err
	case r.table.Fenced(now):
		return nil, refuse(Unavailable, true, "this node has slept, and does not know yet whether it may go on")
	case !r.admit():
		return nil, refuse(Overloaded, true, "this node has as many requests in flight as it may")
	}
	k := &keeping{began: now}
	k.Request = Request{
		Session: newSessionID(), Subject: caller.Name(), Service: service, Call: call,
		Deadline: now.Add(r.limits.Keep), Entity: about, from: r, kept: k,
	}
	if about == "" {
		k.ID, k.ReplyPartition = r.minter.mint(k.Session, keptN, service.Partitioner)
	} else {
		k.ID, k.ReplyPartition = bareID(k.Session, keptN), NoPartition
	}
	if key := call.IdempotencyKey; key != "" {
		k.claim, k.digest = claimOf(caller.Name(), service.Name, key), digestOf(call)
	}
	return k, nil
}

// keptN is the number of the one request that a kept request's session has.
const keptN = 1

// row is what the table keeps.
func (k *keeping) row() *Kept {
	session, n, _ := k.ID.Split()
	key := ""
	switch {
	case !k.Service.Cancel:
	case k.Call.Key != nil:
		key = string(k.Call.Key)
	case k.Entity != "":
		key = k.Entity
	default:
		key = string(k.Session)
	}
	return &Kept{
		ID: k.ID, Subject: k.Subject, Life: k.from.limits.Keep, Claim: k.claim, Digest: k.digest, Key: key,
		Row: Row{Session: session, N: n, Service: k.Service.Name, ClientID: k.Call.ClientID, Digest: k.Call.Digest, Deadline: k.Deadline, Entity: k.Entity},
	}
}

// keepers is the queue of what is to be kept.
type keepers struct {
	*queue[*keeping]
	mu    sync.Mutex
	ended bool
}

// keep queues a call to be kept, or one that failed to be taken off the table. It
// does not block; what waits is bounded by Limits.InFlight.
func (r *Router) keep(k *keeping) {
	r.keepers.mu.Lock()
	ended := r.keepers.ended
	if !ended {
		r.keepers.put(k)
	}
	r.keepers.mu.Unlock()
	if ended {
		r.keptNot(k, refuse(Unavailable, true, "this node is going away: try another, or again"))
	}
}

// keepAll records and produces what is to be kept, until ctx ends.
func (r *Router) keepAll(ctx context.Context) {
	defer r.keepNoMore()
	var failed []*keeping
	for pause := relayAgain; ; {
		if len(failed) == 0 {
			pause = relayAgain
			select {
			case <-r.keepers.wakeup:
			case <-ctx.Done():
				return
			}
		} else if !sleep(ctx, pause) {
			return
		}
		for batch := r.keepers.take(relayBatch); len(batch) > 0; batch = r.keepers.take(relayBatch) {
			failed = append(failed, r.record(ctx, batch)...)
		}
		if failed = r.forget(ctx, failed); len(failed) > 0 {
			pause = min(2*pause, relayAgainMax)
		}
	}
}

// keepNoMore refuses what is still queued, and all that comes.
func (r *Router) keepNoMore() {
	r.keepers.mu.Lock()
	r.keepers.ended = true
	left := r.keepers.take(1 << 30)
	r.keepers.mu.Unlock()
	for _, k := range left {
		r.keptNot(k, refuse(Unavailable, true, "this node is going away: try another, or again"))
	}
}

// record has the table keep a batch and produces what it keeps. It answers those
// that are to be taken off the table again.
func (r *Router) record(ctx context.Context, batch []*keeping) (failed []*keeping) {
	var fresh, awaited []*keeping
	var rows []*Kept
	for _, k := range batch {
		if k.failed != nil {
			failed = append(failed, k)
			continue
		}
		fresh, rows = append(fresh, k), append(rows, k.row())
	}
	if len(fresh) == 0 {
		return failed
	}
	for i, answer := range r.table.Keep(ctx, rows, r.limits.Kept) {
		k := fresh[i]
		switch {
		case answer.Err == nil && answer.ID == k.ID:
			r.observer.Count(Keeps, KeptMade)
			if k.claim != "" {
				Pass(PointClaimed)
			}
			if k.Entity != "" {
				awaited = append(awaited, k)
			} else {
				r.producer.Produce(&k.Request)
			}
		case answer.Err == nil:
			r.observer.Count(Keeps, KeptJoined)
			r.log.Debug("request joined", "request", string(answer.ID), "service", k.Service.Name)
			r.join(k, answer.ID)
		case errors.Is(answer.Err, ErrKeyUsed):
			r.keptNot(k, refuse(DuplicateID, false, "the idempotency key was used for another request"))
		case errors.Is(answer.Err, ErrTooManyKept):
			r.keptNot(k, refuse(Overloaded, true, "as many requests are kept as may be: %d", r.limits.Kept))
		default: // it may be recorded all the same
			k.failed = refuse(Unavailable, true, "requests cannot be kept at the moment")
			k.failed.Cause = answer.Err
			failed = append(failed, k)
		}
	}
	return append(failed, r.awaitKept(ctx, awaited)...)
}

// produced takes the producer's word. A request that certainly is not in the topic
// is taken off the table before its caller is told, who may then use its key anew;
// one that may be there stays, for its reply may come.
func (k *keeping) produced(err error) {
	r := k.from
	switch e, _ := err.(*Error); {
	case err == nil:
		r.observer.Stage(StageProduce, time.Since(k.began))
		k.heard(Arrived)
		k.tell(k.ID, nil)
		r.inFlight.Add(-1)
	case e != nil && e.Outcome == NotSent:
		k.unwait()
		k.failed = e
		r.keep(k)
	default:
		e = asError(err)
		r.log.Warn("request not known to be accepted", "request", string(k.ID), "service", k.Service.Name, "err", e)
		r.refused(k.Call, e)
		k.heard(Doubtful)
		k.tell(k.ID, e)
		r.inFlight.Add(-1)
	}
}

// forget takes failed requests off the table, tells their callers, and answers those
// that have to be tried again.
func (r *Router) forget(ctx context.Context, failed []*keeping) (again []*keeping) {
	if len(failed) == 0 {
		return nil
	}
	ends := make([]Conclusion, len(failed))
	for i, k := range failed {
		ends[i] = Conclusion{ID: k.ID, Subject: k.Subject, Claim: k.claim, Err: k.failed}
	}
	for i, err := range r.table.Conclude(ctx, ends) {
		k := failed[i]
		r.waiters.look(k.ID)
		r.tellFailed(k, k.failed)
		if err == nil || errors.Is(err, ErrNotKept) || errors.Is(err, ErrConcluded) || time.Now().After(k.Deadline) {
			r.inFlight.Add(-1)
		} else {
			again = append(again, k)
		}
	}
	return again
}

// keptNot ends a keeping that has left nothing in the table, or cannot be helped.
func (r *Router) keptNot(k *keeping, e *Error) {
	r.tellFailed(k, e)
	r.inFlight.Add(-1)
}

func (r *Router) tellFailed(k *keeping, e *Error) {
	if k.to == nil {
		return
	}
	r.log.Info("request not kept", "request", string(k.ID), "service", k.Service.Name, "err", e)
	r.refused(k.Call, e)
	k.tell("", e)
}

// tell tells who wants to know, once.
func (k *keeping) tell(id RequestID, e *Error) {
	if to := k.to; to != nil {
		k.to = nil
		to.kept(id, e)
	}
}
