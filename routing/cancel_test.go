package routing

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// recalls are the requests whose end services were told.
func (p *topic) recalls() (all []RequestID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, q := range p.written {
		if q.Cancels != "" {
			all = append(all, q.Cancels)
		}
	}
	return all
}

// A client cancels, leaves a parked call, or leaves for good: services that ask for
// it are told, once for each request that was open, under the request's key. Those
// that have ended, and other services, hear nothing.
func TestRecall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Limits{})
		b.services["orders"].Cancel = true
		b.services["quiet"] = &Service{Name: "quiet", Topic: "quiet.requests", Timeout: time.Second}
		s, _ := b.open(t, false)
		ask := func(name string, change func(*Call)) RequestID {
			c := call(name)
			if change != nil {
				change(c)
			}
			var own Sink
			if name == "" {
				own = &client{}
			}
			id, err := s.Submit(c, own)
			if err != nil {
				t.Fatal(err)
			}
			return id
		}
		answered := ask("answered", nil)
		b.deliver(t, b.reply(answered, 0))
		cancelled := ask("cancelled", func(c *Call) { c.Key = []byte("k") })
		parked := ask("", nil)
		open := ask("open", nil)
		ask("quiet", func(c *Call) { c.Service = "quiet" })
		s.Cancel("answered")
		s.Cancel("cancelled")
		s.Cancel("cancelled")
		s.Abandon(parked)
		s.Abandon(answered)
		synctest.Wait()
		want(t, "told of cancels", b.topic.recalls(), []RequestID{cancelled, parked})
		if q := b.topic.written[len(b.topic.written)-2]; string(q.Call.Key) != "k" || q.Service.Name != "orders" || q.ID != "" {
			t.Errorf("told %+v", q)
		}
		s.Close()
		synctest.Wait()
		want(t, "told in all", b.topic.recalls(), []RequestID{cancelled, parked, open})
		want(t, "counted", b.counted.get("recalls sent"), 3)
	})
}

// A part is larger than clients may get, and its request ends by that: the service
// need not go on. After a final reply there is nothing to tell.
func TestRecallOfTooLarge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Limits{Reply: 3})
		b.services["orders"].Cancel = true
		s, _ := b.open(t, false)
		part, _ := s.Submit(call("1"), nil)
		final, _ := s.Submit(call("2"), nil)
		large := b.reply(part, 0)
		large.Final = false
		b.deliver(t, large, b.reply(final, 1))
		synctest.Wait()
		want(t, "told", b.topic.recalls(), []RequestID{part})
	})
}

// A deadline needs no word: the request's header has said it.
func TestRecallNotOfTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Limits{})
		b.services["orders"].Cancel = true
		s, _ := b.open(t, false)
		_, _ = s.Submit(call("1"), nil)
		time.Sleep(2 * time.Second)
		s.Cancel("1")
		synctest.Wait()
		want(t, "told", len(b.topic.recalls()), 0)
	})
}

// A client does not come back in time: services are told. While the table cannot say
// that no other node has the session, they are not, for the client may wait there.
func TestRecallOfExpired(t *testing.T) {
	for _, unsure := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t, Limits{Resume: time.Minute})
			b.services["orders"].Cancel = true
			b.cluster.unsure.Store(unsure)
			s, c := b.open(t, true)
			slow := call("1")
			slow.Timeout = time.Hour
			id, _ := s.Submit(slow, nil)
			s.Detach(c)
			time.Sleep(time.Minute + time.Second)
			told := b.topic.recalls()
			if unsure {
				want(t, "told", len(told), 0)
				want(t, "counted", b.counted.get("recalls unsure"), 1)
			} else {
				want(t, "told", told, []RequestID{id})
			}
			want(t, "sessions", b.Sessions(), 0)
		})
	}
}

// A client has gone to another node while its first could not hear of it. When the
// first gives the session up, the service goes on working for the client.
func TestRecallNotOfMoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		topics := &topic{ack: true}
		a, _ := w.start(t, "a", topics, Limits{Resume: time.Minute})
		a.services["orders"].Cancel = true
		c := &client{}
		s, _ := a.Open(t.Context(), OpenSession{Sink: c, Acks: true})
		slow := call("1")
		slow.Timeout = time.Hour
		_, _ = s.Submit(slow, nil)
		synctest.Wait()
		s.Detach(c)
		w.mu.Lock()
		w.sessions[s.id].owner = "b" // without a's hearing of it
		w.sessions[s.id].Epoch++
		w.mu.Unlock()
		time.Sleep(time.Minute + time.Second)
		want(t, "told", len(topics.recalls()), 0)
	})
}

// A word that Kafka does not take is counted, and nothing else happens.
func TestRecallFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Limits{})
		b.services["orders"].Cancel = true
		s, _ := b.open(t, false)
		_, _ = s.Submit(call("1"), nil)
		b.topic.fail = errors.New("away")
		s.Cancel("1")
		synctest.Wait()
		want(t, "counted", b.counted.get("recalls failed"), 1)
		want(t, "open", b.OpenRequests(), 0)
	})
}
