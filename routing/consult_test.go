package routing

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// pages is a view of a fixed set.
type pages map[string]*Event

func (p pages) Latest(key string) (*Event, *Error) {
	if key == "broken" {
		return nil, refuse(Unavailable, true, "still being read")
	}
	return p[key], nil
}

func (p pages) Watch(string, func()) (func(), *Error) { return func() {}, nil }

// A view answers a socket at once, whichever way the key is given, without Kafka; what
// is not there is the service's own error, and a view that cannot tell refuses.
func TestViewOnASocket(t *testing.T) {
	b := newBench(t, Limits{})
	b.Router.services["states"] = &Service{Name: "states", View: pages{"k": {Key: "k", Body: []byte(`{"n":1}`)}}, Timeout: 1, Partitioner: Murmur2}
	s, c := b.open(t, true)
	for i, ask := range []*Call{
		{ClientID: "1", Body: []byte(`"k"`)},
		{ClientID: "2", Body: []byte(` {"key":"k"}`)},
		{ClientID: "3", Key: []byte("k")},
	} {
		ask.Service = "states"
		id, err := s.Submit(ask, nil)
		d := last(c)
		if err != nil || d.ID != id || d.ClientID != ask.ClientID || d.Err != nil || string(d.Reply.Body) != `{"n":1}` || d.Seq != uint64(i+1) {
			t.Errorf("%s: got %+v, %v", ask.ClientID, d, err)
		}
	}
	s.Ack(c, 3)
	if _, err := s.Submit(&Call{ClientID: "4", Service: "states", Body: []byte(`"x"`)}, nil); err != nil {
		t.Error(err)
	}
	if d := last(c); d.Err == nil || d.Err.Word != FromService || d.Reply.Err.Code != "not_found" {
		t.Errorf("got %+v", d)
	}
	for body, word := range map[string]Word{`7`: InvalidParams, ``: InvalidParams, `"broken"`: Unavailable} {
		if _, err := s.Submit(&Call{ClientID: "5", Service: "states", Body: []byte(body)}, nil); err == nil || err.Word != word {
			t.Errorf("%s: got %v, want %s", body, err, word)
		}
	}
	want(t, "open requests", s.OpenRequests(), 0)
	want(t, "requests in the topic", len(b.topic.written), 0)
}

// tide is a view whose events come while a test waits.
type tide struct {
	pages
	at      int64
	waiting map[*func()]bool
}

func (v *tide) Watch(_ string, changed func()) (func(), *Error) {
	if len(v.waiting) == 3 {
		return nil, refuse(Overloaded, true, "as many wait as may")
	}
	v.waiting[&changed] = true
	return func() { delete(v.waiting, &changed) }, nil
}

func (v *tide) put(body string) {
	v.at++
	v.pages["k"] = &Event{Key: "k", Body: []byte(body), At: RecordAt{Partition: 2, Offset: v.at}}
	woken := v.waiting
	v.waiting = make(map[*func()]bool)
	for changed := range woken {
		(*changed)()
	}
}

// status is how a call of a view ended: a reply's body, with its tag, or an error's word.
func status(d Delivery) string {
	switch {
	case d.Err != nil:
		return string(d.Err.Word)
	case d.Reply.Status == unchanged:
		return "unchanged " + string(d.Reply.Headers[0].Value)
	}
	return string(d.Reply.Body) + " " + string(d.Reply.Headers[0].Value)
}

// Who wants to wait on a socket gets what is not there yet, what changes, or of what a
// condition becomes true, as soon as that is so, and at the end of the wait what there is.
// What is cancelled, or ends with its session, waits no longer.
func TestViewWaitsOnASocket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Limits{})
		v := &tide{pages: pages{}, waiting: make(map[*func()]bool)}
		full := func(e *Event) bool { return strings.HasPrefix(string(e.Body), "full") }
		service := &Service{Name: "states", View: v, Timeout: 7 * time.Second, Partitioner: Murmur2, Until: map[string]Condition{"full": {Holds: full}}}
		b.Router.services["states"] = service
		go b.Router.Run(t.Context())
		s, c := b.open(t, true)
		began := time.Now()
		ask := func(id string, w Wanted) {
			t.Helper()
			if _, err := s.Submit(&Call{ClientID: id, Service: "states", Key: []byte("k"), Wanted: &w}, nil); err != nil {
				t.Fatal(err)
			}
		}
		expect := func(id, how string, after time.Duration) {
			t.Helper()
			synctest.Wait()
			d := last(c)
			want(t, "id", d.ClientID, id)
			want(t, "outcome of "+id, status(d), how)
			want(t, "when "+id, time.Since(began), after)
			s.Ack(c, d.Seq)
		}
		ask("absent", Wanted{Wait: time.Second})
		time.Sleep(time.Second)
		expect("absent", "service_error", time.Second)
		ask("comes", Wanted{Wait: 3 * time.Second})
		time.Sleep(time.Second)
		v.put("one")
		expect("comes", `one "2-1"`, 2*time.Second)
		ask("there", Wanted{Wait: 3 * time.Second})
		expect("there", `one "2-1"`, 2*time.Second)
		ask("has it", Wanted{Tags: `"2-1"`})
		expect("has it", `unchanged "2-1"`, 2*time.Second)
		ask("same", Wanted{Tags: `"2-1"`, Wait: time.Second})
		time.Sleep(time.Second)
		expect("same", `unchanged "2-1"`, 3*time.Second)
		ask("never full", Wanted{Name: "full", Until: full, Wait: time.Second})
		time.Sleep(time.Second)
		expect("never full", "timeout", 4*time.Second)
		ask("full", Wanted{Name: "full", Until: full})
		v.put("half full")
		time.Sleep(6 * time.Second)
		want(t, "wait", len(v.waiting), 1)
		v.put("full")
		expect("full", `full "2-3"`, 10*time.Second)

		for _, id := range []string{"x", "y", "z"} {
			ask(id, Wanted{Tags: `"2-3"`, Wait: 5 * time.Second})
		}
		want(t, "wait", len(v.waiting), 3)
		ask("one more", Wanted{Tags: `"2-3"`, Wait: time.Second})
		expect("one more", "overloaded", 10*time.Second)
		s.Cancel("x")
		expect("x", "cancelled", 10*time.Second)
		want(t, "wait", len(v.waiting), 2)
		s.Close()
		want(t, "wait", len(v.waiting), 0)
		want(t, "in flight", b.Router.OpenRequests(), 0)
	})
}

// A node that goes away keeps nobody waiting for events: who has the newest is told so,
// and who wants another, or one of a key that has none, that it may ask elsewhere. What a
// service is to answer is left alone.
func TestViewWaitsEnd(t *testing.T) {
	b := newBench(t, Limits{})
	v := &tide{pages: pages{}, waiting: make(map[*func()]bool)}
	full := func(e *Event) bool { return strings.HasPrefix(string(e.Body), "full") }
	b.Router.services["states"] = &Service{Name: "states", View: v, Timeout: time.Minute, Partitioner: Murmur2, Until: map[string]Condition{"full": {Holds: full}}}
	s, c := b.open(t, true)
	v.put("half full")
	for id, w := range map[string]Wanted{"has it": {Tags: `"2-1"`, Wait: time.Second}, "full": {Name: "full", Until: full}, "absent": {Wait: time.Second}} {
		key := "k"
		if id == "absent" {
			key = "x"
		}
		if _, err := s.Submit(&Call{ClientID: id, Service: "states", Key: []byte(key), Wanted: &w}, nil); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Submit(call("of a service"), nil); err != nil {
		t.Fatal(err)
	}
	want(t, "told before", len(c.outcomes()), 0)
	s.EndWaits()
	got := map[string]string{}
	for _, d := range c.outcomes() {
		if got[d.ClientID] = status(d); d.Err != nil {
			got[d.ClientID] += " " + string(d.Err.Outcome)
		}
	}
	want(t, "told", got, map[string]string{"has it": `unchanged "2-1"`, "full": "unavailable not_sent", "absent": "unavailable not_sent"})
	want(t, "wait", len(v.waiting), 0)
	want(t, "open", s.OpenRequests(), 1)
}

// A session whose request of a view waits goes on at another node: its client is told
// there that it may ask again, soon.
func TestViewWaitsAndItsNodeDies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		a, kill := w.start(t, "a", &topic{}, Limits{})
		b, _ := w.start(t, "b", &topic{}, Limits{})
		v := &tide{pages: pages{}, waiting: make(map[*func()]bool)}
		for _, r := range []*Router{a, b} {
			r.services["states"] = &Service{Name: "states", View: v, Timeout: time.Minute, Partitioner: Murmur2}
		}
		s, _ := a.Open(t.Context(), OpenSession{Sink: &client{}, Acks: true})
		if _, err := s.Submit(&Call{ClientID: "1", Service: "states", Key: []byte("k"), Wanted: &Wanted{Wait: time.Minute}}, nil); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		kill()
		c := &client{}
		_, missing, err := b.Resume(t.Context(), ResumeSession{ID: s.ID(), Secret: s.Secret(), Open: []string{"1"}, Sink: c})
		if err != nil || len(missing.IDs) > 0 {
			t.Fatal(missing, err)
		}
		time.Sleep(time.Second)
		d := last(c)
		want(t, "word", d.Err.Word, UnknownRequest)
		want(t, "outcome", d.Err.Outcome, NotSent)
	})
}

func last(c *client) Delivery {
	all := c.outcomes()
	return all[len(all)-1]
}
