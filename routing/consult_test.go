package routing

import "testing"

// pages is a view of a fixed set.
type pages map[string]*Event

func (p pages) Latest(key string) (*Event, *Error) {
	if key == "broken" {
		return nil, refuse(Unavailable, true, "still being read")
	}
	return p[key], nil
}

func (p pages) Watch(string) (<-chan struct{}, func(), *Error) { return nil, func() {}, nil }

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

func last(c *client) Delivery {
	all := c.outcomes()
	return all[len(all)-1]
}
