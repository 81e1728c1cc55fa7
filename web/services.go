package web

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"parley/routing"
)

const serviceMethods = "DELETE, GET, PATCH, POST, PUT, OPTIONS"

// serveService parks a call of a service until its outcome.
func (s *Server) serveService(w http.ResponseWriter, r *http.Request) {
	name, below := splitPath(r.URL.EscapedPath())
	service := s.router.Service(name)
	if service != nil {
		if e := service.Allow.Refuse(s.caller(r), service.Name); e != nil {
			s.refuseAccess(w, r, service, e)
			return
		}
	}
	if service != nil && service.View != nil {
		s.serveView(w, r, service, below)
		return
	}
	switch r.Method {
	case http.MethodPost, http.MethodGet, http.MethodPut, http.MethodPatch, http.MethodDelete:
	default:
		s.otherMethod(w, r, serviceMethods)
		return
	}
	if service == nil {
		e := &routing.Error{Word: routing.UnknownService, Message: "there is no service of this name", Outcome: routing.NotSent}
		s.refuseCall(w, r, nil, e)
		return
	}
	if s.calls.isDraining() {
		s.refuseCall(w, r, service, goingAway())
		return
	}
	form := streamForm(r.Header["Accept"])
	if last := r.Header.Get("Last-Event-ID"); last != "" && form != nil {
		s.comeBack(w, r, last, form)
		return
	}
	call, ask, e := s.readCall(w, r, service, below)
	switch {
	case e != nil:
		s.refuseCall(w, r, service, e)
	case !s.calls.enter(): // the body took its time
		s.refuseCall(w, r, service, goingAway())
	default:
		defer s.calls.leave()
		switch {
		case ask.async || call.IdempotencyKey != "":
			s.keep(w, r, call, ask, form)
		case form != nil:
			s.stream(w, r, call, ask.applied, form)
		default:
			s.park(w, r, call, ask.applied)
		}
	}
}

// splitPath takes /services/{name}/below apart, below still escaped.
func splitPath(escaped string) (name, below string) {
	name = strings.TrimPrefix(escaped, "/services/")
	if slash := strings.IndexByte(name, '/'); slash >= 0 {
		name, below = name[:slash], name[slash:]
	}
	if plain, err := url.PathUnescape(name); err == nil {
		name = plain
	}
	return name, below
}

// park submits a call and answers with its outcome, unless its client leaves, or its
// token expires, first: then everything that the call holds is freed.
func (s *Server) park(w http.ResponseWriter, r *http.Request, call *routing.Call, wait string) {
	p := s.takeParked()
	session, id, e := s.submit(r, call, p)
	if e != nil {
		s.giveBack(p)
		s.logProblem(r, e, "")
		s.writeProblem(w, 0, e, "")
		return
	}
	expired, stop := s.expiry(r)
	defer stop()
	select {
	case d := <-p.outcome:
		if p.tooLong {
			session.Abandon(id) // the router still waits for the final reply
		}
		s.answer(w, r, p, d, wait)
	case <-expired:
		session.Abandon(id)
		select {
		case d := <-p.outcome:
			s.answer(w, r, p, d, wait) // just in time
		default:
			s.refuseExpired(w, r, id)
		}
	case <-r.Context().Done():
		session.Abandon(id)
		// Whatever came in the meantime is there now, and nothing will come later.
		select {
		case d := <-p.outcome:
			s.lost(d, context.Cause(r.Context()))
			d.Written()
		default:
		}
	}
	s.giveBack(p)
}

// answer writes an outcome, settles it, and reports how long that took.
func (s *Server) answer(w http.ResponseWriter, r *http.Request, p *parked, d routing.Delivery, wait string) {
	defer d.Written()
	if wait != "" {
		w.Header()["Preference-Applied"] = []string{wait}
	}
	if d.Err != nil {
		if p.tooLong {
			s.logProblem(r, d.Err, d.ID)
		}
		s.writeFailure(w, &d)
		return
	}
	if err := s.writeReply(w, p, &d); err != nil {
		s.lost(d, err)
		return
	}
	s.observer.Stage(routing.StagePush, time.Since(p.at))
}

// writeFailure answers with an outcome that is an error.
func (s *Server) writeFailure(w http.ResponseWriter, d *routing.Delivery) {
	if d.Err.Word == routing.FromService {
		s.log.Debug("service answers an error", "request", string(d.ID), "detail", d.Err.Message)
	}
	setIdentity(w.Header(), d)
	s.writeServiceHeaders(w.Header(), d)
	s.writeProblem(w, 0, d.Err, d.ID)
}

// lost counts a reply whose caller left before it was written.
func (s *Server) lost(d routing.Delivery, err error) {
	if d.Reply == nil {
		return
	}
	s.observer.Count(routing.Replies, string(routing.PathDropped))
	s.observer.Count(routing.Drops, string(routing.DropSessionGone))
	s.log.Info("reply dropped", "reason", string(routing.DropSessionGone), "request", string(d.ID), "err", err)
}

// submit hands a call to the server's own session, opened anew should it have
// ended.
func (s *Server) submit(r *http.Request, call *routing.Call, to routing.Sink) (*routing.Session, routing.RequestID, *routing.Error) {
	session := s.session.Load()
	if session == nil {
		var e *routing.Error
		if session, e = s.openSession(r, nil); e != nil {
			return nil, "", e
		}
	}
	s.router.Awake(r.Context())
	id, e := session.Submit(call, to)
	if e == nil || e.Word != routing.SessionGone {
		return session, id, e
	}
	if session, e = s.openSession(r, session); e != nil {
		return nil, "", e
	}
	id, e = session.Submit(call, to)
	return session, id, e
}

// openSession replaces the session that has ended, unless another call already
// did, or the server is closed.
func (s *Server) openSession(r *http.Request, ended *routing.Session) (*routing.Session, *routing.Error) {
	s.opening.Lock()
	defer s.opening.Unlock()
	if s.ended {
		return nil, goingAway()
	}
	if now := s.session.Load(); now != ended {
		return now, nil
	}
	// Without acknowledgements it does not wait for the table.
	session, e := s.router.Open(r.Context(), routing.OpenSession{})
	if e != nil {
		return nil, e
	}
	s.session.Store(session)
	return session, nil
}

// endSession ends the session for good: calls that are still parked get
// unavailable.
func (s *Server) endSession() {
	s.opening.Lock()
	s.ended = true
	s.end()
	session := s.session.Load()
	s.opening.Unlock()
	if session != nil {
		session.Close()
	}
}

// goingAway is the error of a node that drains.
func goingAway() *routing.Error {
	return &routing.Error{Word: routing.Unavailable, Message: "this node is going away: try another, or again", Outcome: routing.NotSent, Retry: true}
}
