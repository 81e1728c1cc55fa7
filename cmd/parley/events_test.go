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

// Conditions of a view that callers could never wait for are mistakes too; those that
// they can are written below the key in the file, and as JSON in a flag.
func TestConditionsOfAView(t *testing.T) {
	_, err := load(t, `services:
  a: {answer: {view: {topic: t, until: {"x y": "true", done: evnt.state, n: "size(event)"}}}}
  b: {answer: {view: {until: {done: "true"}}}}
  c: {answer: {view: {topic: t, until: [done]}}}
  d: {answer: {view: {topic: t, until: "done"}}}
`, nil, nil)
	want := `p.yaml:4: services.c.answer.view.until: is a list: want conditions by name such as {done: event.state == "DONE"}
p.yaml:2: services.a.answer.view.until: "{\"done\":\"evnt.state\",\"n\":\"size(event)\",\"x y\":\"true\"}" has a mistake: done: at 1:1: undeclared reference to 'evnt' (in container ''); n: it answers int, not bool; "x y" is not a name: want 1 to 64 of a-z, A-Z, 0-9, '.', '_' and '-'
services.b.answer.view.topic: is missing: want the topic whose events answer
p.yaml:5: services.d.answer.view.until: "done" has a mistake: want names and expressions, as a JSON object of texts`
	if err == nil || err.Error() != want {
		t.Errorf("got:\n%v\nwant:\n%s", err, want)
	}
	c, err := load(t, `services: {a: {answer: {view: {topic: t, until: {done: event.state == "DONE"}}}}}`, nil, []string{
		"--services.b.answer.view.topic", "t", "--services.b.answer.view.until", `{"done":"event.state == \"DONE\""}`,
	})
	if err != nil {
		t.Fatal(err)
	}
	a, b := c.Services["a"].Answer.View.Until, c.Services["b"].Answer.View.Until
	if compiled, err := a.compile(); a != b || err != nil || len(compiled) != 1 || compiled["done"] == nil {
		t.Errorf("got %q and %q, %v", a, b, err)
	}
}
