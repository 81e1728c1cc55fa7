package routing

import (
	"testing"
	"testing/synctest"
	"time"
)

// A streamed answer without numbers, whose partition comes to the node that has the
// session while the first parts still stand in its inbox: all come, in order. The node
// does not wait for its inbox otherwise.
func TestPartitionComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.slow = func() time.Duration { return 20 * time.Millisecond }
		a, _ := w.start(t, "a", &topic{ack: true}, Limits{})
		b, _ := w.start(t, "b", &topic{ack: true}, Limits{})
		c := &client{}
		s, _ := a.Open(t.Context(), OpenSession{Sink: c, Acks: true})
		id, _ := s.Submit(call("1"), nil)
		other, _ := s.Submit(call("2"), nil)
		part := func(offset int64) *Reply {
			r := answer(id, offset)
			r.Final = offset == 3
			return r
		}
		a.Deliver(t.Context(), nil) // it has its first partitions
		for offset := range int64(2) {
			b.Deliver(t.Context(), []*Reply{part(offset)})
			time.Sleep(time.Millisecond)
		}
		began := time.Now()
		a.Deliver(t.Context(), []*Reply{answer(other, 7)})
		want(t, "waited", time.Since(began), 0)
		a.SetHomes(NewHomes(4, []int32{0, 1, 2}))
		a.Deliver(t.Context(), []*Reply{part(2), part(3)})
		var offsets []int64
		for _, d := range c.outcomes() {
			offsets = append(offsets, d.Reply.From.Offset)
		}
		want(t, "in order", offsets, []int64{7, 0, 1, 2, 3})
	})
}
