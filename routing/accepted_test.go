package routing

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func (c *client) told() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.accepted)
}

// A client that wants to know is told that its request is accepted once Kafka and the
// table have it, whichever is the slower. So if its node dies right after that, the
// next one knows the request. A client that did not ask is not told.
func TestAcceptedWhenSafe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, kafka := newWorld(), &topic{}
		w.lag = 5 * time.Millisecond
		a, kill := w.start(t, "a", kafka, Limits{})
		b, _ := w.start(t, "b", kafka, Limits{})
		c := &client{}
		s, _ := a.Open(t.Context(), OpenSession{Sink: c, Acks: true})
		s.Submit(call("1"), nil)
		kafka.last().Produced(RecordAt{}, nil)
		s.Submit(call("2"), nil)
		slow := kafka.last()
		quiet := call("3")
		quiet.WantSafe = false
		s.Submit(quiet, nil)
		kafka.last().Produced(RecordAt{}, nil)
		again := call("1")
		s.Submit(again, nil)
		time.Sleep(w.lag - time.Millisecond)
		synctest.Wait()
		want(t, "told while the rows wait", c.told(), nil)
		time.Sleep(time.Millisecond)
		synctest.Wait()
		want(t, "told when they are written", c.told(), []string{"1"})
		slow.Produced(RecordAt{}, nil)
		want(t, "told when Kafka has the other", c.told(), []string{"1", "2"})
		kill()
		_, _, unknown := resume(t, b, s, "1", "2")
		want(t, "unknown at the next node", unknown, nil)
	})
}

// With the table away nobody waits for it.
func TestAcceptedWithoutTable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		a, _ := w.start(t, "a", &topic{ack: true}, Limits{})
		c := &client{}
		s, _ := a.Open(t.Context(), OpenSession{Sink: c, Acks: true})
		w.sever("a")
		s.Submit(call("1"), nil)
		want(t, "told", c.told(), []string{"1"})
	})
}
