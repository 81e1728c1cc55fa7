package routing

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// newEventBench is a node whose service "checkout" is answered by events about the
// call's record key.
func newEventBench(t *testing.T) *bench {
	b := newBench(t, Limits{})
	b.services["checkout"] = &Service{
		Name: "checkout", Topic: "checkout.requests", Timeout: time.Second, MaxTimeout: time.Minute,
		Entity: func(c *Call) (string, error) {
			if string(c.Key) == "bad" {
				return "", errors.New("it is bad")
			}
			return string(c.Key), nil
		},
	}
	return b
}

func checkout(id, key string) *Call {
	return &Call{Door: DoorWS, ClientID: id, Service: "checkout", Key: []byte(key), Body: []byte(`{}`)}
}

func (p *topic) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.written)
}

func (c *cluster) has(t *testing.T, line string) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if !slices.Contains(c.log, line) {
		t.Errorf("%q is not among %q", line, c.log)
	}
}

// A request that an event answers is in the table, row and wait, before it is
// produced; the event is its outcome; and who consumed that removes the wait.
func TestAWaitComesBeforeTheProduce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newEventBench(t)
		s, c := b.open(t, true)
		id, err := s.Submit(checkout("1", "o-1"), nil)
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		want(t, "log", b.cluster.log, []string{"open", "claim 1", "await checkout o-1"})
		q := b.topic.last()
		if q.ID != id || q.Entity != "o-1" || q.ReplyPartition != NoPartition || id != RequestID(s.ID())+".1" {
			t.Errorf("produced %+v", q)
		}
		b.deliver(t, b.reply(id, 7))
		got := c.outcomes()
		if len(got) != 1 || got[0].Reply == nil || got[0].ClientID != "1" {
			t.Fatalf("got %+v", got)
		}
		if err := s.Ack(c, got[0].Seq); err != nil {
			t.Fatal(err)
		}
		want(t, "log", b.cluster.log, []string{"open", "claim 1", "await checkout o-1", "release 1"})
		want(t, "settled", b.received.offsets(), []int64{7})
	})
}

// Where the table cannot be told, or too many wait for the same, nothing is sent,
// and the client may safely send it again.
func TestWithoutItsWaitARequestIsNotSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newEventBench(t)
		s, c := b.open(t, false)
		for failure, word := range map[error]Word{errors.New("away"): Unavailable, ErrCrowded: Overloaded} {
			b.cluster.awaits = failure
			if _, err := s.Submit(checkout(string(word), "o-1"), nil); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			got := c.outcomes()
			e := got[len(got)-1].Err
			if e == nil || e.Word != word || e.Outcome != NotSent || !e.Retry {
				t.Errorf("%v: %+v", failure, e)
			}
			want(t, "counted", b.counted.get("refused "+string(word)), 1)
		}
		if b.topic.count() != 0 {
			t.Error("it was produced")
		}
		for _, key := range []string{"", "bad", string(make([]byte, maxEntity+1))} {
			if _, err := s.Submit(checkout("x", key), nil); err == nil || err.Word != InvalidParams {
				t.Errorf("%.9q: %v", key, err)
			}
		}
		want(t, "open requests", b.OpenRequests(), 0)
	})
}

// A request that times out, or is cancelled, waits no longer; a later event is late.
// A notification waits for nothing.
func TestWaitsEndWithTheirRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newEventBench(t)
		s, c := b.open(t, false)
		id, _ := s.Submit(checkout("1", "o-1"), nil)
		_, _ = s.Submit(checkout("2", "o-2"), nil)
		synctest.Wait()
		s.Cancel("2")
		time.Sleep(2 * time.Second)
		b.cluster.has(t, "unwait checkout o-1")
		b.cluster.has(t, "unwait checkout o-2")
		got := c.outcomes()
		if len(got) != 2 || got[1].Err.Word != Timeout || got[1].Err.Outcome != Unknown {
			t.Errorf("got %+v", got)
		}
		b.deliver(t, b.reply(id, 1))
		want(t, "late", b.counted.get("drops late"), 1)
		notice := checkout("", "")
		notice.Notify = true
		if _, err := s.Submit(notice, nil); err != nil {
			t.Error(err)
		}
		want(t, "produced", b.topic.count(), 3)
	})
}

// A request that ends before its wait is in the table is never produced.
func TestCancelledBeforeItsWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newEventBench(t)
		s, c := b.open(t, false)
		_, _ = s.Submit(checkout("1", "o-1"), nil) // no goroutine has run since
		s.Cancel("1")
		synctest.Wait()
		got := c.outcomes()
		if len(got) != 1 || got[0].Err.Word != Cancelled {
			t.Fatalf("got %+v", got)
		}
		if sent := b.topic.count(); sent != 0 && got[0].Err.Outcome == NotSent {
			t.Errorf("%d sent, and told that it was not", sent)
		}
		b.cluster.has(t, "unwait checkout o-1")
	})
}
