package web

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"parley/routing"
)

const viewMethods = "GET, HEAD, OPTIONS"

// serveView answers from the newest event of the key that the path names: with its
// ETag, or with 304 where the caller has that already. With "Prefer: wait=N" it
// waits for as long until there is something to answer: an event, another one than
// If-None-Match names, or, with "?until=name", one of which that condition of the
// service's is true.
func (s *Server) serveView(w http.ResponseWriter, r *http.Request, service *routing.Service, below string) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		s.otherMethod(w, r, viewMethods)
		return
	}
	key, err := url.PathUnescape(strings.TrimPrefix(below, "/"))
	if err != nil || key == "" {
		s.refuseCall(w, r, service, invalidParams("the path must name a key: /services/%s/{key}", service.Name))
		return
	}
	wanted, e := readWanted(r, service)
	if e != nil {
		s.refuseCall(w, r, service, e)
		return
	}
	if !s.calls.enter() {
		s.refuseCall(w, r, service, goingAway())
		return
	}
	defer s.calls.leave()
	began := time.Now()
	timeout, applied := preferredWait(r.Header["Prefer"], service)
	if applied == "" && wanted.Until != nil {
		timeout = service.Timeout
	}
	valid, done := s.whileValid(r)
	defer done()
	ctx, cancel := context.WithTimeout(valid, timeout)
	defer cancel()
	event, e := s.consult(ctx, service.View, key, wanted)
	if e == nil {
		e = s.unmet(event, wanted)
	}
	switch {
	case r.Context().Err() != nil:
		s.observer.Finished(service.Name, routing.DoorHTTP, routing.Cancelled, time.Since(began))
		return
	case valid.Err() != nil && !wanted.Satisfies(event):
		s.observer.Finished(service.Name, routing.DoorHTTP, routing.Unauthorized, time.Since(began))
		s.refuseExpired(w, r, "")
		return
	case e != nil:
		s.refuseCall(w, r, service, e)
		return
	}
	if applied != "" {
		w.Header()["Preference-Applied"] = []string{applied}
	}
	outcome := s.writeEvent(w, event, key, wanted)
	s.observer.Finished(service.Name, routing.DoorHTTP, outcome, time.Since(began))
}

// readWanted reads what a request wants.
func readWanted(r *http.Request, service *routing.Service) (*routing.Wanted, *routing.Error) {
	w := &routing.Wanted{Tags: r.Header.Get("If-None-Match")}
	query, err := url.ParseQuery(r.URL.RawQuery)
	names := query["until"]
	switch {
	case err != nil:
		return nil, invalidParams("the query cannot be read")
	case names != nil:
		return w, w.Expect(service, strings.Join(names, ","))
	}
	return w, nil
}

// consult answers a key's newest event, as soon as it is what the caller wants. When ctx
// ends, or the server drains, it answers with what there is.
func (s *Server) consult(ctx context.Context, view routing.View, key string, want *routing.Wanted) (*routing.Event, *routing.Error) {
	for {
		changed := make(chan struct{})
		stop, e := view.Watch(key, func() { close(changed) })
		if e != nil {
			return nil, e
		}
		event, e := view.Latest(key)
		if e != nil || want.Satisfies(event) || ctx.Err() != nil {
			stop()
			return event, e
		}
		select {
		case <-changed:
			continue
		case <-ctx.Done():
		case <-s.calls.going:
		}
		stop()
		return view.Latest(key)
	}
}

// unmet is the error of a wait that has ended, where that is not what the caller is to be
// told of the newest event.
func (s *Server) unmet(event *routing.Event, wanted *routing.Wanted) *routing.Error {
	switch {
	case event != nil && wanted.Holds(event):
		return nil
	case s.calls.isDraining():
		return goingAway() // it may come, and be waited for elsewhere
	case event == nil:
		return nil
	}
	return wanted.Unmet(event)
}

// writeEvent answers with an event; with 304 if the caller has it, with 404 if
// there is none.
func (s *Server) writeEvent(w http.ResponseWriter, event *routing.Event, key string, wanted *routing.Wanted) (outcome routing.Word) {
	if event == nil {
		e := notFound(key)
		s.writeProblem(w, 0, e, "")
		return e.Word
	}
	h := w.Header()
	h["Etag"] = []string{event.Tag()}
	h["Cache-Control"] = []string{"no-cache"} // to be asked for again, with the tag
	h["Last-Modified"] = []string{event.Stamp.UTC().Format(http.TimeFormat)}
	if wanted.Has(event) {
		_ = send(w, http.StatusNotModified, nil) // a client that has left needs no answer
		return routing.OK
	}
	h["Content-Type"] = nil // none, rather than a guess
	if event.ContentType != "" && isFieldValue(event.ContentType) {
		h["Content-Type"] = []string{event.ContentType}
	}
	_ = send(w, http.StatusOK, event.Body)
	return routing.OK
}

func notFound(key string) *routing.Error {
	return routing.NotFound("there is nothing with the key " + strconv.Quote(clip(key)))
}
