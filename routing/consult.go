package routing

import (
	"encoding/json"
	"strconv"
	"time"
)

// consult answers a call of a view at once. The call's record key names the
// entity, else its body: a JSON string, or an object whose member key is one.
func (s *Session) consult(call *Call, service *Service, own, from Sink, now time.Time) (RequestID, *Error) {
	key := viewKey(call)
	if key == "" {
		return "", refuse(InvalidParams, false, "%s answers by key: send a string, or an object with a member key", service.Name)
	}
	event, e := service.View.Latest(key)
	if e != nil {
		return "", e
	}
	if call.Notify {
		return "", nil // nothing comes back
	}
	o, again, e := s.enter(call, service, "", own, from, now)
	if e == nil && !again {
		reply := answerOf(event, key)
		reply.ID, reply.Final, reply.Consumed, reply.ConsumedBy = o.ID, true, now, s.router.node
		s.deliver(early{Reply: reply, sure: true}, PathHome)
	}
	return idOf(o), e
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
	return &Reply{ContentType: event.ContentType, Headers: event.Headers, Body: event.Body, From: event.At, Stamp: event.Stamp}
}

// NotFound is the error of a view that has no event with a key.
func NotFound(message string) *Error {
	reply := &Reply{Status: 404, Err: &ServiceError{Code: "not_found", Message: message}}
	return &Error{Word: FromService, Message: message, Outcome: Done, Reply: reply}
}
