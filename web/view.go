package web

import (
	"context"
	"maps"
	"net/http"
	"net/url"
	"slices"
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
	if applied == "" && wanted.until != nil {
		timeout = service.Timeout
	}
	valid, done := s.whileValid(r)
	defer done()
	ctx, cancel := context.WithTimeout(valid, timeout)
	defer cancel()
	event, e := s.consult(ctx, service.View, key, wanted)
	if e == nil && event != nil && !wanted.holds(event) {
		e = wanted.unmet(key, s.calls.isDraining())
	}
	switch {
	case r.Context().Err() != nil:
		s.observer.Finished(service.Name, routing.DoorHTTP, routing.Cancelled, time.Since(began))
		return
	case valid.Err() != nil && !wanted.satisfies(event):
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
	outcome := s.writeEvent(w, event, key, wanted.notThis)
	s.observer.Finished(service.Name, routing.DoorHTTP, outcome, time.Since(began))
}

// wanted is what a caller wants of a key's newest event.
type wanted struct {
	notThis string                    // tags that it has, as If-None-Match
	name    string                    // of the condition that is to be true
	until   func(*routing.Event) bool // nil for any
}

// readWanted reads what a request wants.
func readWanted(r *http.Request, service *routing.Service) (wanted, *routing.Error) {
	w := wanted{notThis: r.Header.Get("If-None-Match")}
	query, err := url.ParseQuery(r.URL.RawQuery)
	switch names := query["until"]; {
	case err != nil:
		return w, invalidParams("the query cannot be read")
	case len(names) == 0:
	case len(names) > 1 || service.Until[names[0]] == nil:
		return w, invalidParams("%s has no condition %q to wait for: %s", service.Name, clip(strings.Join(names, ",")), known(service.Until))
	default:
		w.name, w.until = names[0], service.Until[names[0]]
	}
	return w, nil
}

// known says which conditions a service has.
func known(conditions map[string]func(*routing.Event) bool) string {
	if len(conditions) == 0 {
		return "it has none"
	}
	return "it has " + strings.Join(slices.Sorted(maps.Keys(conditions)), ", ")
}

// holds tells whether the caller's condition is true of an event.
func (w *wanted) holds(e *routing.Event) bool { return w.until == nil || w.until(e) }

// satisfies tells whether an event is what the caller waits for.
func (w *wanted) satisfies(e *routing.Event) bool {
	return e != nil && !matches(w.notThis, entityTag(e)) && w.holds(e)
}

// unmet is the error of a wait that has ended without the condition's being true.
func (w *wanted) unmet(key string, draining bool) *routing.Error {
	if draining {
		return goingAway()
	}
	e := refusal(routing.Timeout, "the newest event of %q is not %s yet", clip(key), w.name)
	e.Retry = true
	return e
}

// consult answers a key's newest event, as soon as it is what the caller wants. When ctx
// ends, or the server drains, it answers what there is.
func (s *Server) consult(ctx context.Context, view routing.View, key string, want wanted) (*routing.Event, *routing.Error) {
	for {
		changed, stop, e := view.Watch(key)
		if e != nil {
			return nil, e
		}
		event, e := view.Latest(key)
		if e != nil || want.satisfies(event) || ctx.Err() != nil {
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

// writeEvent answers with an event; with 304 if the caller has it, with 404 if
// there is none.
func (s *Server) writeEvent(w http.ResponseWriter, event *routing.Event, key, has string) (outcome routing.Word) {
	if event == nil {
		e := notFound(key)
		s.writeProblem(w, 0, e, "")
		return e.Word
	}
	h, tag := w.Header(), entityTag(event)
	h["Etag"] = []string{tag}
	h["Cache-Control"] = []string{"no-cache"} // to be asked for again, with the tag
	h["Last-Modified"] = []string{event.Stamp.UTC().Format(http.TimeFormat)}
	if matches(has, tag) {
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

// entityTag names an event: no other has its place.
func entityTag(e *routing.Event) string {
	return `"` + strconv.Itoa(int(e.At.Partition)) + "-" + strconv.FormatInt(e.At.Offset, 10) + `"`
}

// matches tells whether a list of If-None-Match has a tag (RFC 9110, 13.1.2: a
// weak comparison).
func matches(list, tag string) bool {
	for item := range strings.SplitSeq(list, ",") {
		if item = strings.TrimSpace(item); item == "*" || strings.TrimPrefix(item, "W/") == tag {
			return true
		}
	}
	return false
}
