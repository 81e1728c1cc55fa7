package routing

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// thinker makes a world's table take a time that can be changed.
func thinker(w *world) *atomic.Int64 {
	var takes atomic.Int64
	w.thinks = func() time.Duration { return time.Duration(takes.Load()) }
	return &takes
}

// A node learns that a reply is for a session of its own, which it does not have: it
// has been started anew. Before the reply is held the client comes back to that node.
// It gets the reply, which is settled.
func TestHeldTooLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		takes := thinker(w)
		a, kill := w.start(t, "a", &topic{ack: true}, Limits{})
		s, _ := a.Open(t.Context(), OpenSession{Sink: &client{}, Acks: true})
		id, _ := s.Submit(call("1"), nil)
		kill()
		a, _ = w.start(t, "a", &topic{ack: true}, Limits{})
		received := &partition{}
		reply := answer(id, 7)
		reply.Receipt, reply.Token = received, Token{B: 7}
		takes.Store(int64(20 * time.Millisecond))
		a.Deliver(t.Context(), []*Reply{reply})
		time.Sleep(45 * time.Millisecond) // it is this node's, says the table; now it is asked to hold it
		takes.Store(0)
		got, c, _ := resume(t, a, s, "1")
		time.Sleep(time.Second)
		want(t, "delivered", bodies(c), []string{"1:1"})
		got.Ack(c, 1)
		want(t, "settled", received.offsets(), []int64{7})
		want(t, "left over", w.rows(s.id)+w.held(s.id), 0)
	})
}

// A session goes to another node and back to one that has not heard of it, and is
// about to get it again. A reply to a request made meanwhile comes there first. It waits
// for the client, also where the table's word on the take-over was lost.
func TestReplyAheadOfATakeOver(t *testing.T) {
	for _, lost := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld()
			takes := thinker(w)
			w.deaf = map[NodeID]bool{"a": true}
			a, _ := w.start(t, "a", &topic{ack: true}, Limits{})
			b, _ := w.start(t, "b", &topic{ack: true}, Limits{})
			s, _ := a.Open(t.Context(), OpenSession{Sink: &client{}, Acks: true})
			there, _, _ := resume(t, b, s)
			id, _ := there.Submit(call("1"), nil)
			if lost {
				hash := there.row().Secret
				if _, err := w.as("a").Resume(t.Context(), Resumption{ID: s.id, Secret: hash}); err != nil {
					t.Fatal(err)
				}
				a.Deliver(t.Context(), []*Reply{answer(id, 0)})
				synctest.Wait()
				want(t, "held", w.held(s.id), 1)
			} else {
				takes.Store(int64(20 * time.Millisecond))
				time.AfterFunc(21*time.Millisecond, func() {
					takes.Store(0)
					a.Deliver(context.Background(), []*Reply{answer(id, 0)})
				})
			}
			back, c, unknown := resume(t, a, s, "1")
			synctest.Wait()
			want(t, "unknown", unknown, nil)
			want(t, "delivered", bodies(c), []string{"1:1"})
			back.Ack(c, 1)
			want(t, "left over", w.rows(s.id)+w.held(s.id), 0)
		})
	}
}

// While a node waits for the table to give it a session, another gets it after it. The
// first hears of that before it has its answer: it does not take itself for the owner,
// nor the session from the newer socket.
func TestTakenBeforeItWasAttached(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		takes := thinker(w)
		a, _ := w.start(t, "a", &topic{ack: true}, Limits{})
		b, _ := w.start(t, "b", &topic{ack: true}, Limits{})
		s, _ := a.Open(t.Context(), OpenSession{Sink: &client{}, Acks: true})
		there, _, _ := resume(t, b, s)
		synctest.Wait()
		takes.Store(int64(20 * time.Millisecond))
		refused := make(chan *Error)
		go func() {
			_, _, err := a.Resume(t.Context(), ResumeSession{ID: s.id, Secret: s.secret, Sink: &client{}})
			refused <- err
		}()
		time.Sleep(25 * time.Millisecond)
		takes.Store(0)
		_, c, _ := resume(t, b, there)
		if err := <-refused; err == nil || err.Word != Unavailable {
			t.Errorf("the older one got %v", err)
		}
		want(t, "left", c.left, nil)
		want(t, "sessions", []int{a.Sessions(), b.Sessions()}, []int{0, 1})
	})
}

// While requests are looked for that only the client knows, replies to them come in
// two unusual ways: a node that was taken for dead is given what was held meanwhile, and
// the session leaves. None is dropped.
func TestRepliesWhileItLooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.lag = 5 * time.Millisecond
		a, _ := w.start(t, "a", &topic{ack: true}, Limits{})
		b, _ := w.start(t, "b", &topic{ack: true}, Limits{})
		s, _ := a.Open(t.Context(), OpenSession{Sink: &client{}, Acks: true})
		one, _ := s.Submit(call("1"), nil)
		time.AfterFunc(time.Millisecond, func() { b.Reclaimed(s.id, 2, []*Reply{answer(one, 0)}) })
		got, c, unknown := resume(t, b, s, "1")
		want(t, "unknown", unknown, nil)
		want(t, "delivered", bodies(c), []string{"1:1"})
		got.Ack(c, 1)
		two, _ := got.Submit(call("2"), nil)
		time.Sleep(w.lag) // its row is written
		go a.Resume(t.Context(), ResumeSession{ID: s.id, Secret: s.secret, Open: []string{"nonsense"}, Sink: &client{}})
		synctest.Wait()
		found, _ := a.sessions.Load(s.id)
		there, c, _ := resume(t, b, s)
		synctest.Wait()
		found.(*Session).deliver(early{Reply: answer(two, 1)}, PathHome) // by one who has found it just before it left
		time.Sleep(time.Second)
		want(t, "delivered", bodies(c), []string{"2:1"})
		there.Ack(c, 1)
		time.Sleep(time.Second)
		want(t, "left over", w.rows(s.id)+w.held(s.id), 0)
	})
}

// The table holds a whole streamed answer, of which the client has acknowledged all but
// the end, when it comes back to the same node. The end stays held: the node may die.
func TestEndStaysHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		a, kill := w.start(t, "a", &topic{ack: true}, Limits{Patience: time.Second})
		b, _ := w.start(t, "b", &topic{ack: true}, Limits{})
		old := &client{}
		s, _ := a.Open(t.Context(), OpenSession{Sink: old, Acks: true})
		id, _ := s.Submit(call("1"), nil)
		for offset := range int64(3) {
			reply := answer(id, offset)
			reply.Final, reply.Place = offset == 2, int(offset)+1
			a.Deliver(t.Context(), []*Reply{reply})
		}
		time.Sleep(2 * time.Second)
		want(t, "held", w.held(s.id), 3)
		s.Ack(old, 2)
		s, _, _ = resume(t, a, s)
		want(t, "still held", w.held(s.id), 3)
		kill()
		w.bury("a")
		s, c, _ := resume(t, b, s)
		want(t, "delivered", bodies(c), []string{"1:1"})
		s.Ack(c, 1)
		want(t, "left over", w.rows(s.id)+w.held(s.id), 0)
	})
}
