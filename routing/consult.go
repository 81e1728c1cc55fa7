package routing

import (
	"encoding/json"
	"slices"
	"strconv"
	"time"
)

// consult answers a call of a view: at once, or where it wants to wait, once there is
// what it wants. The call's record key names the entity, else its body: a JSON string,
// or an object whose member key is one.
func (s *Session) consult(call *Call, service *Service, own, from Sink, now time.Time) (RequestID, *Error) {
	key := viewKey(call)
	if key == "" {
		return "", refuse(InvalidParams, false, "%s answers by key: send a string, or an object with a member key", service.Name)
	}
	if _, e := service.View.Latest(key); e != nil {
		return "", e
	}
	if call.Notify {
		return "", nil // nothing comes back
	}
	call.Timeout = call.Wanted.patience(call, service)
	o, again, e := s.enter(call, service, "", own, from, now)
	if e == nil && !again {
		o.look()
	}
	return idOf(o), e
}

// patience is for how long a call may have to wait for its answer: one with a condition
// and without a time as long as any.
func (w *Wanted) patience(call *Call, service *Service) time.Duration {
	switch {
	case w == nil || w.Wait == 0:
		return call.Timeout
	case call.Timeout > 0:
		return min(w.Wait, call.Timeout)
	}
	return w.Wait
}

// unchanged is the status of an event that the caller has.
const unchanged = 304

// waits tells whether a caller waits for what it wants.
func (w *Wanted) waits() bool { return w != nil && (w.Wait > 0 || w.Until != nil) }

// look answers the request of a view, if there is what it wants, or has it looked at
// again at the key's next event.
func (o *open) look() {
	s := o.session
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.state != live || s.open[o.n] != o:
	case s.router.table.Fenced(time.Now()):
		s.router.muted.put(o.look)
	default:
		s.lookLocked(o, !o.Call.Wanted.waits())
	}
}

// lookLocked is look; last says that the request waits no longer.
func (s *Session) lookLocked(o *open, last bool) {
	key, view, want := viewKey(o.Call), o.Service.View, o.Call.Wanted
	event, e := view.Latest(key)
	if e == nil && !last && !want.Satisfies(event) {
		if o.unwatch, e = view.Watch(key, o.look); e == nil {
			event, e = view.Latest(key) // it may have come in between
		}
		if e == nil && !want.Satisfies(event) {
			return
		}
	}
	if e == nil && event != nil && !want.Holds(event) {
		e = want.Unmet(event)
	}
	s.showLocked(o, event, e)
}

// EndWaits has the session's requests of views wait no longer, on a node that goes away:
// a caller is told that it has the newest event still, and any other, at once, that it may
// ask elsewhere.
func (s *Session) EndWaits() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != live || s.router.table.Fenced(time.Now()) {
		return
	}
	for _, o := range s.open {
		if o.Service.View == nil || o.adopted {
			continue
		}
		event, e := o.Service.View.Latest(viewKey(o.Call))
		if want := o.Call.Wanted; e == nil && (event == nil || !want.Holds(event)) {
			e = refuse(Unavailable, true, "this node is going away")
		}
		s.showLocked(o, event, e)
	}
}

// showLocked answers the request of a view: with an event, that it has it already, that
// there is none, or an error.
func (s *Session) showLocked(o *open, event *Event, e *Error) {
	if e != nil {
		s.failLocked(o, e)
		return
	}
	reply := answerOf(event, viewKey(o.Call))
	if event != nil && o.Call.Wanted.Has(event) {
		reply.Status, reply.ContentType, reply.Body = unchanged, "", nil
	}
	reply.ID, reply.Final, reply.Consumed, reply.ConsumedBy = o.ID, true, time.Now(), s.router.node
	s.takeLocked(reply, PathHome)
}

// waitedLocked ends the wait of a request of a view. One that another node has taken can
// be asked again: what it wants is not known here.
func (s *Session) waitedLocked(o *open) {
	if o.adopted {
		s.failLocked(o, refuse(UnknownRequest, true, "the node that was asked is gone: ask again"))
		return
	}
	s.lookLocked(o, true)
}

func idOf(o *open) RequestID {
	if o == nil {
		return ""
	}
	return o.ID
}

func viewKey(call *Call) string {
	if len(call.Key) > 0 {
		return string(call.Key)
	}
	var key string
	if json.Unmarshal(call.Body, &key) == nil {
		return key
	}
	var object struct {
		Key string `json:"key"`
	}
	_ = json.Unmarshal(call.Body, &object) // what is no object has no key
	return object.Key
}

// answerOf is an event as a reply; a nil one is the error that there is none.
func answerOf(event *Event, key string) *Reply {
	if event == nil {
		return NotFound("there is nothing with the key " + strconv.Quote(key)).Reply
	}
	tagged := append(slices.Clip(event.Headers), Header{Key: "etag", Value: []byte(event.Tag())})
	return &Reply{ContentType: event.ContentType, Headers: tagged, Body: event.Body, From: event.At, Stamp: event.Stamp}
}

// NotFound is the error of a view that has no event with a key.
func NotFound(message string) *Error {
	reply := &Reply{Status: 404, Err: &ServiceError{Code: "not_found", Message: message}}
	return &Error{Word: FromService, Message: message, Outcome: Done, Reply: reply}
}
