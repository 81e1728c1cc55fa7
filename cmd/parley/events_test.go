package main

import (
	"testing"

	"parley/routing"
)

// Conditions that could never be asked are mistakes of the configuration, told with
// the place in them; what a half-written one lacks is told too.
func TestMistakesInConditions(t *testing.T) {
	_, err := load(t, `services:
  a: {answer: {events: {topic: t, key: "requst.id", until: "evnt.state == 'X'"}}}
  b: {answer: {events: {topic: parley.replies, until: "size(event)"}}}
  c: {answer: {events: {key: request.id}}}
  d: {answer: {events: {topic: t}}}
`, nil, nil)
	want := `p.yaml:2: services.a.answer.events.key: "requst.id" is not an expression for a key: at 1:1: undeclared reference to 'requst' (in container '')
p.yaml:2: services.a.answer.events.until: "evnt.state == 'X'" is not a condition: at 1:1: undeclared reference to 'evnt' (in container '')
p.yaml:3: services.b.answer.events.topic: "parley.replies" is not allowed: want another topic than kafka.reply_topic
p.yaml:3: services.b.answer.events.until: "size(event)" is not a condition: it answers int, not bool
services.c.answer.events.topic: is missing: want the topic of the events that answer
services.c.answer.events.until: is missing: want a condition such as event.state == "DONE"
services.d.answer.events.until: is missing: want a condition such as event.state == "DONE"`
	if err == nil || err.Error() != want {
		t.Errorf("got:\n%v\nwant:\n%s", err, want)
	}
}

// What an event must be about is the record key that the client gave, unless the
// configuration says where it lies in the request.
func TestEntityOfACall(t *testing.T) {
	byKey := EventsConfig{Topic: "t"}.entity()
	if about, err := byKey(&routing.Call{Key: []byte("o-1")}); about != "o-1" || err != nil {
		t.Error(about, err)
	}
	if _, err := byKey(&routing.Call{}); err == nil {
		t.Error("a call without a key is about something")
	}
	byBody := EventsConfig{Topic: "t", Key: "request.order"}.entity()
	if about, err := byBody(&routing.Call{Body: []byte(`{"order":"o-2"}`), Key: []byte("o-1")}); about != "o-2" || err != nil {
		t.Error(about, err)
	}
	if (EventsConfig{}).entity() != nil {
		t.Error("a service that replies is answered by events")
	}
}
