package routing

import "testing"

// deserted is a Responders that knows who is gone.
type deserted map[string]bool

func (d deserted) Absent(service string) bool { return d[service] }

// Nobody serves: a request is refused before it is sent, and may be tried again. One
// that was sent before goes on, also when its client sends it again; nor is a
// notification refused, or a request of a service whose requests may wait.
func TestNoResponders(t *testing.T) {
	gone := deserted{}
	b := newBench(t, Limits{})
	b.responders = gone
	s, c := b.open(t, false)
	first, err := s.Submit(call("1"), nil)
	if err != nil {
		t.Fatal(err)
	}
	gone["orders"] = true
	if _, err := s.Submit(call("2"), nil); err == nil || err.Word != NoResponders || err.Outcome != NotSent || !err.Retry {
		t.Errorf("nobody serves: got %v", err)
	}
	if again, err := s.Submit(call("1"), nil); err != nil || again != first {
		t.Errorf("sent again: got %s, %v", again, err)
	}
	if _, err := s.Submit(&Call{Door: DoorWS, Service: "orders", Notify: true}, nil); err != nil {
		t.Errorf("a notification: got %v", err)
	}
	want(t, "produced", len(b.topic.written), 2)
	b.deliver(t, b.reply(first, 1))
	want(t, "outcomes", len(c.outcomes()), 1)
	want(t, "counted", b.counted.get("refused no_responders"), 1)
	want(t, "open requests", b.OpenRequests(), 0)

	b.services["orders"].Wait = true
	if _, err := s.Submit(call("3"), nil); err != nil {
		t.Errorf("requests may wait: got %v", err)
	}
}
