package routing

import (
	"testing"
	"testing/synctest"
	"time"
)

// A process wakes after a long sleep, with calls in its sockets, replies on their
// way and deadlines that have passed: it says nothing until the table knows whether
// it still is a node. It is, so that all goes on.
func TestFenced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Limits{})
		kafka, table := b.topic, b.cluster
		kafka.ack = false
		s, c := b.open(t, true)
		for _, id := range []string{"1", "2", "short"} {
			one := call(id)
			if one.Timeout = time.Minute; id == "short" {
				one.Timeout = time.Second
			}
			if _, err := s.Submit(one, nil); err != nil {
				t.Fatal(err)
			}
		}
		first := kafka.written[0]
		table.fenced.Store(true)
		note := call("note")
		note.Notify = true
		for _, one := range []*Call{call("3"), note} {
			_, err := s.Submit(one, nil)
			if err == nil || err.Word != Unavailable || err.Outcome != NotSent || !err.Retry {
				t.Errorf("a call while the node is fenced: %v", err)
			}
		}
		want(t, "produced", len(kafka.written), 3)
		kafka.written[1].Produced(RecordAt{}, nil)
		delivered := make(chan bool)
		go func() {
			b.Deliver(t.Context(), []*Reply{answer(first.ID, 0)})
			close(delivered)
		}()
		time.Sleep(2 * time.Second)
		want(t, "said while fenced", len(c.outcomes())+len(c.accepted), 0)
		table.fenced.Store(false)
		<-delivered
		time.Sleep(fencePoll)
		synctest.Wait()
		want(t, "outcomes", bodies(c), []string{"1:1"})
		want(t, "accepted", c.accepted, []string{"2"})
		time.Sleep(fenceGrace)
		synctest.Wait()
		want(t, "and what had to be in the meantime", bodies(c), []string{"1:1", "short:timeout"})
		if _, err := s.Submit(call("4"), nil); err != nil {
			t.Error(err)
		}
	})
}

// Doors wait until it is clear whether a process that slept is a node still, but all of them
// together no longer than wakeWait; and anew when it has slept again.
func TestAwake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Limits{})
		waits := func() time.Duration {
			began := time.Now()
			b.Awake(t.Context())
			return time.Since(began).Round(10 * fencePoll)
		}
		want(t, "awake", waits(), 0)
		b.cluster.fenced.Store(true)
		time.AfterFunc(time.Second, func() { b.cluster.fenced.Store(false) })
		want(t, "until it knows", waits(), time.Second)
		want(t, "awake again", waits(), 0)
		b.cluster.fenced.Store(true)
		want(t, "at most", waits(), wakeWait)
		want(t, "and then no more", waits(), 0)
		b.cluster.fenced.Store(false)
		want(t, "awake once more", waits(), 0)
		b.cluster.fenced.Store(true)
		want(t, "at most, anew", waits(), wakeWait)
	})
}
