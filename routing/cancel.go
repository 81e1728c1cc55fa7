package routing

import (
	"context"
	"time"
)

// Cancel ends the open request with the client's id as cancelled, and tells
// whether there was one. The service may see it all the same.
func (s *Session) Cancel(clientID string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.byClient[clientID]
	if o == nil {
		return false
	}
	s.failLocked(o, &Error{Word: Cancelled, Message: "the client cancelled the request", Outcome: o.certainty()})
	s.recallLocked(o)
	return true
}

// Abandon forgets an open request whose client has left: no outcome is
// delivered. It does nothing when the request has ended.
func (s *Session) Abandon(id RequestID) {
	_, n, _ := id.Split()
	s.mu.Lock()
	defer s.mu.Unlock()
	if o := s.open[n]; o != nil && o.ID == id {
		s.discardLocked(o, DropSessionGone)
		s.forgetLocked(o, Cancelled)
		s.recallLocked(o)
	}
}

// Recall is what became of the wish to tell a service that nobody waits for a
// request any longer.
type Recall string

const (
	RecallSent    Recall = "sent"    // the record is in the service's topic
	RecallFailed  Recall = "failed"  // Kafka did not take it
	RecallAdopted Recall = "adopted" // another node made the request: its key is not known here
	RecallUnsure  Recall = "unsure"  // its session may be another node's by now, and its client be waiting there
)

// recallLocked tells the service of a request, if it wants to know, that nobody waits
// for it any longer. The request has just ended.
func (s *Session) recallLocked(o *open) {
	switch {
	case !o.Service.Cancel, o.unsent:
	case o.follows != "" || o.unkept(): // others may wait for it, or come to
	case o.stream != nil && o.stream.outcome != "": // the service has answered: only its client was not ready
	case o.adopted:
		s.router.observer.Count(Recalls, string(RecallAdopted))
	default:
		s.router.recalls.put(&Request{
			Session: s.id, Subject: o.Subject, Service: o.Service, Call: o.Call, Deadline: o.Deadline,
			ReplyPartition: NoPartition, Entity: o.Entity, Cancels: o.ID, from: s.router,
		})
	}
}

// recallKept is recallLocked for a kept request, which any node may have made.
func (r *Router) recallKept(id RequestID, subject string, known Collected) {
	service := r.services[known.Service]
	switch {
	case service == nil || !service.Cancel:
	case known.Key == "": // its node was configured not to tell
		r.observer.Count(Recalls, string(RecallAdopted))
	default:
		session, _, _ := id.Split()
		r.recalls.put(&Request{
			Session: session, Subject: subject, Service: service, Call: &Call{Service: service.Name, Key: []byte(known.Key)},
			ReplyPartition: NoPartition, Entity: known.Entity, Cancels: id, from: r,
		})
	}
}

// recalled takes the producer's word on a recall.
func (r *Router) recalled(q *Request, err error) {
	if err != nil {
		r.log.Info("the service is not told that nobody waits", "request", string(q.Cancels), "service", q.Service.Name, "err", err)
		r.observer.Count(Recalls, string(RecallFailed))
		return
	}
	r.observer.Count(Recalls, string(RecallSent))
}

// recall produces recalls until ctx ends. It stands between the sessions, whose locks
// are held, and the producer.
func (r *Router) recall(ctx context.Context) {
	for {
		select {
		case <-r.recalls.wakeup:
		case <-ctx.Done():
			return
		}
		for batch := r.recalls.take(relayBatch); len(batch) > 0; batch = r.recalls.take(relayBatch) {
			for _, q := range batch {
				r.producer.Produce(q)
			}
		}
	}
}

// recallsLocked tells whether the end of the session would be news for a service.
func (s *Session) recallsLocked() bool {
	for _, o := range s.open {
		if o.Service.Cancel {
			return true
		}
	}
	return false
}

// farewell ends sessions whose clients have not come back, and whose services want
// to know, until ctx ends. Their clients may have come back elsewhere while this node
// could not hear of it: so the table is asked first.
func (r *Router) farewell(ctx context.Context) {
	for {
		select {
		case <-r.expired.wakeup:
		case <-ctx.Done():
			return
		}
		for batch := r.expired.take(relayBatch); len(batch) > 0; batch = r.expired.take(relayBatch) {
			away := false
			for _, s := range batch {
				away = r.sayGoodbye(ctx, s, away) || away
			}
		}
	}
}

// sayGoodbye ends one session. away says that the table could not be reached just now, and
// need not be tried; it answers whether that is so.
func (r *Router) sayGoodbye(ctx context.Context, s *Session, away bool) bool {
	s.mu.Lock()
	epoch := s.epoch
	s.mu.Unlock()
	owns := false
	if !away {
		var err error
		if owns, err = r.table.Owns(ctx, s.id, epoch); err != nil {
			r.log.Info("services are not told of the end of sessions, which may live elsewhere", "session", string(s.id), "err", err)
			away = true
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == live && s.sink == nil && s.epoch == epoch {
		s.expireLocked(owns)
	}
	return away
}

// expireLocked ends a session whose client has not come back in time. Its services
// are told if no other node can have it.
func (s *Session) expireLocked(sure bool) {
	s.router.log.Debug("session expired", "session", string(s.id), "open", len(s.open), "unacknowledged", len(s.unacked))
	if !sure {
		for _, o := range s.open {
			if o.Service.Cancel {
				s.router.observer.Count(Recalls, string(RecallUnsure))
			}
		}
	}
	s.closeLocked(sure)
}

// resumeWindow is a session as the timer of its resume window sees it.
type resumeWindow Session

func (w *resumeWindow) expire(time.Time) {
	s := (*Session)(w)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.state != live || s.sink != nil:
	case s.recallsLocked():
		s.router.expired.put(s)
	default:
		s.expireLocked(true)
	}
}
