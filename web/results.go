package web

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"parley/routing"
)

// A request whose answer is collected is a kept one (routing.Router.Keep): it was
// made with Prefer: respond-async, or under an idempotency key. A call that is
// parked under a key collects its own answer.

const (
	resultsPath = "/requests/"
	// pendingAfter is the Retry-After of a request that has no outcome yet, in seconds.
	pendingAfter = "1"
)

// keep has a call kept, and answers with its outcome, if that comes while the caller
// wants to wait, or with where it will be.
func (s *Server) keep(w http.ResponseWriter, r *http.Request, call *routing.Call, ask asking, form form) {
	began := time.Now()
	id, e := s.router.Keep(r.Context(), call, call.Caller)
	if e != nil {
		s.refuseKeeping(w, r, e, id)
		return
	}
	if form != nil && !ask.async {
		s.replay(w, r, routing.Collection{ID: id, Subject: s.subject(r)}, form)
		return
	}
	wait := call.Timeout
	switch {
	case wait == 0 && ask.async:
		s.pending(w, id, ask.applied)
		return
	case wait == 0:
		wait = s.router.Service(call.Service).Timeout
	}
	valid, done := s.whileValid(r)
	defer done()
	ctx, cancel := context.WithTimeout(valid, wait)
	defer cancel()
	defer context.AfterFunc(s.ending, cancel)()
	p := s.takeParked()
	defer s.giveBack(p)
	d, standing, e := s.gather(ctx, id, s.subject(r), p)
	switch {
	case r.Context().Err() != nil: // the caller has left: the answer is kept
	case standing != routing.Over && valid.Err() != nil:
		w.Header().Set("Location", resultsPath+string(id))
		s.finished(call, hasExpired(), began)
		s.refuseExpired(w, r, id)
	case e != nil:
		s.refuseKeeping(w, r, e, id)
	case standing == routing.Over:
		s.finished(call, d.Err, began)
		s.answer(w, r, p, d, ask.applied)
	case standing == routing.Pending && ask.async:
		s.pending(w, id, ask.applied)
	default:
		e = unanswered(standing, s.ending.Err() != nil)
		s.finished(call, e, began)
		w.Header().Set("Location", resultsPath+string(id))
		s.refuseKept(w, r, e, id)
	}
}

// finished reports how a call ended for the caller that waited for it.
func (s *Server) finished(call *routing.Call, e *routing.Error, began time.Time) {
	outcome := routing.OK
	if e != nil {
		outcome = e.Word
	}
	s.observer.Finished(call.Service, routing.DoorHTTP, outcome, time.Since(began))
}

// unanswered is the error of a call whose answer did not come in time. With its key
// it may be asked for again.
func unanswered(standing routing.Standing, ending bool) *routing.Error {
	switch {
	case ending:
		return &routing.Error{Word: routing.Unavailable, Message: "this node is going away: ask for the request at another", Outcome: routing.Unknown, Retry: true}
	case standing == routing.Gone:
		return &routing.Error{Word: routing.UnknownRequest, Message: "the request is not kept any longer", Outcome: routing.Unknown}
	}
	return &routing.Error{Word: routing.Timeout, Message: "the service did not answer in time: its answer is kept", Outcome: routing.Unknown, Retry: true}
}

// refuseKeeping answers a call that was not kept, or is not known to be in the topic: then
// its answer will tell, where it can be collected.
func (s *Server) refuseKeeping(w http.ResponseWriter, r *http.Request, e *routing.Error, id routing.RequestID) {
	status := 0
	if e.Word == routing.DuplicateID {
		status = http.StatusUnprocessableEntity // as the draft on the header has it
	}
	if id != "" {
		w.Header().Set("Location", resultsPath+string(id))
	}
	s.logProblem(r, e, id)
	s.writeProblem(w, status, e, id)
}

func (s *Server) refuseKept(w http.ResponseWriter, r *http.Request, e *routing.Error, id routing.RequestID) {
	s.logProblem(r, e, id)
	s.writeProblem(w, 0, e, id)
}

// gather waits for all of an answer, until ctx ends.
func (s *Server) gather(ctx context.Context, id routing.RequestID, subject string, p *parked) (d routing.Delivery, standing routing.Standing, e *routing.Error) {
	for asked := (routing.Collection{ID: id, Subject: subject}); ; {
		c, e := s.router.Await(ctx, asked)
		if e != nil {
			return d, c.State, e
		}
		if d = s.take(&c, id, p); p.tooLong || c.State != routing.Pending || len(c.Replies) == 0 {
			if p.tooLong {
				c.State = routing.Over
			}
			return d, c.State, nil
		}
		asked.From += len(c.Replies)
	}
}

// take adds replies to those that p has, and answers the outcome, if there is one.
func (s *Server) take(c *routing.Collected, id routing.RequestID, p *parked) routing.Delivery {
	d := routing.Delivery{ID: id, WantHeaders: true}
	d.Reply, d.Err = c.Outcome()
	for _, reply := range c.Replies {
		if !reply.Final {
			p.add(reply.Body)
		}
	}
	p.at = time.Now()
	if p.size > p.limit || len(p.parts) > p.most {
		p.tooLong = true
		d.Reply, d.Err = nil, p.error()
	}
	return d
}

// serveResult answers a request's result as its parked call would have been
// answered, or 202 while there is none.
func (s *Server) serveResult(w http.ResponseWriter, r *http.Request) {
	asked := routing.Collection{ID: resultID(r), Subject: s.subject(r)}
	if form := streamForm(r.Header["Accept"]); form != nil {
		if !s.calls.enter() {
			s.refuse(w, r, 0, goingAway())
			return
		}
		defer s.calls.leave()
		s.replay(w, r, asked, form)
		return
	}
	wait, e := longPoll(r)
	if e != nil {
		s.refuse(w, r, 0, e)
		return
	}
	c, e := s.router.Collect(r.Context(), asked)
	if e != nil {
		s.refuse(w, r, 0, e)
		return
	}
	p := s.takeParked()
	defer s.giveBack(p)
	d := s.take(&c, asked.ID, p)
	if c.State == routing.Pending && wait > 0 && !p.tooLong && s.calls.enter() {
		defer s.calls.leave()
		valid, done := s.whileValid(r)
		defer done()
		ctx, cancel := context.WithTimeout(valid, wait)
		defer cancel()
		defer context.AfterFunc(s.draining, cancel)()
		again := s.takeParked()
		defer s.giveBack(again)
		p = again
		d, c.State, e = s.gather(ctx, asked.ID, asked.Subject, p)
		switch {
		case c.State != routing.Over && valid.Err() != nil && r.Context().Err() == nil:
			s.refuseExpired(w, r, asked.ID)
			return
		case e != nil:
			s.refuse(w, r, 0, e)
			return
		}
	}
	s.writeResult(w, r, c.State, p, d)
}

func (s *Server) writeResult(w http.ResponseWriter, r *http.Request, standing routing.Standing, p *parked, d routing.Delivery) {
	switch {
	case r.Context().Err() != nil: // nobody is there to be told
	case standing == routing.Over || p.tooLong:
		s.answer(w, r, p, d, "")
	case standing == routing.Pending:
		s.pending(w, d.ID, "")
	default:
		s.observer.Count(routing.Refusals, string(routing.UnknownRequest))
		e := refusal(routing.UnknownRequest, "the request is unknown, or its time is over")
		e.Outcome = routing.Unknown
		s.logProblem(r, e, d.ID)
		s.writeProblem(w, http.StatusGone, e, d.ID)
	}
}

// cancelResult gives a request that is pending the outcome cancelled.
func (s *Server) cancelResult(w http.ResponseWriter, r *http.Request) {
	asked := routing.Collection{ID: resultID(r), Subject: s.subject(r)}
	c, e := s.router.Collect(r.Context(), asked)
	if e != nil {
		s.refuse(w, r, 0, e)
		return
	}
	if c.State == routing.Gone {
		s.writeResult(w, r, c.State, new(parked), routing.Delivery{ID: asked.ID})
		return
	}
	err := s.router.Cancel(r.Context(), asked.ID, asked.Subject)
	switch _, was := c.Outcome(); {
	case err == nil, errors.Is(err, routing.ErrConcluded) && was != nil && was.Word == routing.Cancelled:
		w.WriteHeader(http.StatusNoContent)
	case errors.Is(err, routing.ErrConcluded):
		s.refuse(w, r, http.StatusConflict, &routing.Error{Word: routing.InvalidRequest, Message: "the request has its outcome already", Outcome: routing.Done})
	case errors.Is(err, routing.ErrNotKept):
		s.refuse(w, r, http.StatusConflict, &routing.Error{Word: routing.InvalidRequest, Message: "the request is a socket's: it is cancelled there", Outcome: routing.Unknown})
	default:
		s.refuse(w, r, 0, &routing.Error{Word: routing.Unavailable, Message: "requests cannot be cancelled at the moment", Outcome: routing.Unknown, Retry: true, Cause: err})
	}
}

// pending answers for a request that has no outcome yet.
func (s *Server) pending(w http.ResponseWriter, id routing.RequestID, applied string) {
	h := w.Header()
	h["Location"] = []string{resultsPath + string(id)}
	h["Parley-Request-Id"] = []string{string(id)}
	h["Retry-After"] = []string{pendingAfter}
	h["Cache-Control"] = []string{"no-store"}
	h["Content-Type"] = []string{"application/json"}
	if applied != "" {
		h["Preference-Applied"] = []string{applied}
	}
	body, _ := json.Marshal(struct {
		Request routing.RequestID `json:"request"`
		State   string            `json:"state"`
	}{id, "pending"})
	_ = send(w, http.StatusAccepted, body) // a client that has left can ask again
}

// resultID is the request that a path under /requests/ names.
func resultID(r *http.Request) routing.RequestID {
	return routing.RequestID(strings.TrimPrefix(r.URL.Path, resultsPath))
}
