package routing

import (
	"context"
	"errors"
	"strconv"
	"time"
)

// Entity is what an event is about, in the eyes of a service that is answered by
// events.
type Entity struct{ Service, Key string }

// Wait is a request that the next event about an entity may answer.
type Wait struct {
	Entity
	Request RequestID
	Until   time.Time // it may be forgotten then
}

// ErrCrowded says that as many requests wait for events about an entity as may.
var ErrCrowded = errors.New("too many requests wait for events about this")

const (
	// maxEntity bounds an entity's key, in bytes.
	maxEntity = 512
	// waitGrace is how much longer than its request a wait is kept: the event may
	// have been in time, and be consumed again after its node's death.
	waitGrace = 10 * time.Second
)

// entityOf answers what a call is about, "" where its service answers by itself.
func entityOf(service *Service, call *Call) (string, *Error) {
	if service.Entity == nil || call.Notify {
		return "", nil
	}
	key, err := service.Entity(call)
	switch {
	case err != nil:
		return "", refuse(InvalidParams, false, "%s is answered by an event about what the request names: %v", service.Name, err)
	case key == "":
		return "", refuse(InvalidParams, false, "%s is answered by an event about what the request names: it names nothing", service.Name)
	case len(key) > maxEntity:
		return "", refuse(InvalidParams, false, "a key of %s has at most %d bytes", service.Name, maxEntity)
	}
	return key, nil
}

// sendAwaited has the table know of requests that events answer, and then has them
// produced: an event can be consumed by any node, as soon as the service has seen the
// request. It works until ctx ends.
func (r *Router) sendAwaited(ctx context.Context) {
	for {
		select {
		case <-r.unsent.wakeup:
		case <-ctx.Done():
			return
		}
		for batch := r.unsent.take(relayBatch); len(batch) > 0; batch = r.unsent.take(relayBatch) {
			waits := make([]Wait, len(batch))
			for i, o := range batch {
				waits[i], _ = o.row().Wait()
			}
			errs := r.table.Await(ctx, waits)
			if !r.awake(ctx) {
				return
			}
			for i, o := range batch {
				o.registered(errs[i])
			}
		}
	}
}

// Wait is what the table keeps besides a row where an event answers the request; ok
// is false where none does.
func (r Row) Wait() (w Wait, ok bool) {
	return Wait{Entity{r.Service, r.Entity}, bareID(r.Session, r.N), r.Deadline.Add(waitGrace)}, r.Entity != ""
}

// bareID is the id of a request that an event answers. It needs no home, so that it has
// no salt and follows from its row.
func bareID(session SessionID, n uint64) RequestID {
	return RequestID(session) + "." + RequestID(strconv.FormatUint(n, 10))
}

// registered produces a request whose wait the table knows of, or ends it.
func (o *open) registered(err error) {
	s, r := o.session, o.session.router
	s.mu.Lock()
	switch {
	case o.over:
		s.mu.Unlock()
		r.unwait(o)
		return
	case err != nil:
		if s.open[o.n] == o { // else its next owner lets it time out
			r.log.Warn("request not sent: its wait for an event is not in the table", "request", string(o.ID), "service", o.Service.Name, "err", err)
			r.observer.Count(Refusals, string(noWait(err).Word))
			s.failLocked(o, noWait(err))
		}
		s.mu.Unlock()
		return
	}
	// A session that has left this node meanwhile waits for the request elsewhere.
	o.unsent = false
	s.mu.Unlock()
	r.producer.Produce(&o.Request)
}

// awaitKept has the table know of requests that are kept and that events answer, and
// then has them produced. It answers those that are to be taken off the table again.
func (r *Router) awaitKept(ctx context.Context, batch []*keeping) (failed []*keeping) {
	if len(batch) == 0 {
		return nil
	}
	waits := make([]Wait, len(batch))
	for i, k := range batch {
		waits[i], _ = k.row().Row.Wait()
	}
	for i, err := range r.table.Await(ctx, waits) {
		if k := batch[i]; err != nil {
			k.unwait() // it may be there all the same
			k.failed = noWait(err)
			failed = append(failed, k)
		} else {
			r.producer.Produce(&k.Request)
		}
	}
	return failed
}

// unwait has the table forget the wait of a kept request, if an event was to answer it.
func (k *keeping) unwait() {
	if k.Entity != "" {
		k.from.table.Unwait(Entity{k.Service.Name, k.Entity}, k.ID)
	}
}

func noWait(err error) *Error {
	e := refuse(Unavailable, true, "events cannot be waited for at the moment")
	if errors.Is(err, ErrCrowded) {
		e = refuse(Overloaded, true, "too many requests wait for events about the same")
	}
	e.Cause = err
	return e
}

// certainty is what is known of a request that ends without an answer.
func (o *open) certainty() Certainty {
	if o.unsent {
		return NotSent
	}
	return Unknown
}

// unwait has the table forget the wait of a request that no event has answered.
// What answers one is who removes its wait otherwise, once the answer is safe.
func (r *Router) unwait(o *open) {
	if o.Entity != "" {
		r.table.Unwait(Entity{o.Service.Name, o.Entity}, o.ID)
	}
}
