package routing

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// whatIsMissing resumes the session at a node, with one id that no node has ever seen.
func whatIsMissing(t *testing.T, r *Router, s *Session) (*Session, *client, Missing) {
	t.Helper()
	c := &client{}
	got, missing, err := r.Resume(context.Background(), ResumeSession{ID: s.id, Secret: s.secret, Open: []string{"never"}, Sink: c})
	if err != nil {
		t.Fatal(err)
	}
	return got, c, missing
}

// three starts three nodes, and opens a session at the first.
func (w *world) three(t *testing.T) (a, b, c *Router, s *Session) {
	t.Helper()
	a, _ = w.start(t, "a", &topic{}, Limits{})
	b, _ = w.start(t, "b", &topic{}, Limits{})
	c, _ = w.start(t, "c", &topic{}, Limits{})
	s, _ = a.Open(t.Context(), OpenSession{Sink: &client{}, Acks: true})
	return a, b, c, s
}

// A client goes from a to b, back to b, and to a: each node is certain that what it
// does not know never came, as the one before has said that it has written all. Of c,
// which dies with what it knows, nobody can say that, nor can those who come after.
func TestNeverReceived(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.lag = 5 * time.Millisecond
		a, _ := w.start(t, "a", &topic{}, Limits{})
		b, _ := w.start(t, "b", &topic{}, Limits{})
		c, kill := w.start(t, "c", &topic{}, Limits{})
		s, _ := a.Open(t.Context(), OpenSession{Sink: &client{}, Acks: true})
		var sink *client
		for _, step := range []struct {
			at    *Router
			never bool
		}{{a, true}, {b, true}, {b, true}, {a, true}, {c, true}, {b, false}, {b, false}, {a, false}} {
			if !step.never {
				kill()
			}
			var missing Missing
			s, sink, missing = whatIsMissing(t, step.at, s)
			want(t, "missing at "+string(step.at.node), missing, Missing{[]string{"never"}, step.never})
			if _, err := s.SubmitFrom(sink, call(string(step.at.node))); err != nil && err.Word != DuplicateID {
				t.Fatal(err)
			}
		}
	})
}

// A node sleeps through its own removal. What its client sent meanwhile it has never read:
// whoever has the session then is certain of that, since the node says so as it wakes.
func TestNeverReceivedByASleeper(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.lag = 5 * time.Millisecond
		a, _ := w.start(t, "a", &topic{}, Limits{})
		b, _ := w.start(t, "b", &topic{}, Limits{})
		s, _ := a.Open(t.Context(), OpenSession{Sink: &client{}, Acks: true})
		s.Submit(call("taken"), nil)
		a.Removed()
		_, _, missing := whatIsMissing(t, b, s)
		want(t, "missing", missing, Missing{[]string{"never"}, true})
	})
}

// A client goes on to the next node before the one that it leaves has heard from the node
// before. Who has the session in the end is certain all the same, since each of them says
// what it has done itself. So are those who come after.
func TestNeverReceivedInHaste(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.lag = 100 * time.Millisecond
		a, b, c, s := w.three(t)
		go func() { whatIsMissing(t, b, s) }()
		time.Sleep(20 * time.Millisecond)
		for _, at := range []*Router{c, a, b} {
			var missing Missing
			s, _, missing = whatIsMissing(t, at, s)
			want(t, "missing at "+string(at.node), missing, Missing{[]string{"never"}, true})
		}
	})
}

// A client that is always gone before the table has been asked again is told at once when it
// comes back to a node that has asked.
func TestLooksOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		a, kill := w.start(t, "a", &topic{}, Limits{})
		b, _ := w.start(t, "b", &topic{}, Limits{})
		s, _ := a.Open(t.Context(), OpenSession{Sink: &client{}, Acks: true})
		kill()
		for _, looks := range []bool{true, false} {
			began := time.Now()
			_, _, missing := whatIsMissing(t, b, s)
			want(t, "missing", missing, Missing{[]string{"never"}, false})
			want(t, "it looks", time.Since(began) > 0, looks)
		}
	})
}

// Two nodes take a session over in a row before the first owner has heard of either:
// what it says when it is told of the second must not pass for the word of the node
// between them, whose rows are on their way.
func TestNeverReceivedByWhom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		a, b, c, s := w.three(t)
		w.deaf = map[NodeID]bool{"a": true, "b": true}
		moved, _, missing := whatIsMissing(t, b, s)
		want(t, "missing at b", missing, Missing{[]string{"never"}, false})
		go func() {
			time.Sleep(time.Millisecond)
			a.TakenOver(s.id, 3)
		}()
		_, _, missing = whatIsMissing(t, c, moved)
		want(t, "missing at c", missing, Missing{[]string{"never"}, false})
	})
}

// What the reader of the old socket has in hand when the session is resumed is
// refused: the new socket was told that it never came.
func TestOldSocketIsCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, topic := newWorld(), &topic{}
		a, _ := w.start(t, "a", topic, Limits{})
		old := &client{}
		s, _ := a.Open(t.Context(), OpenSession{Sink: old, Acks: true})
		_, fresh, missing := whatIsMissing(t, a, s)
		want(t, "missing", missing, Missing{[]string{"never"}, true})
		_, err := s.SubmitFrom(old, call("never"))
		want(t, "from the old socket", err.Word, SessionGone)
		want(t, "which was", err.Outcome, NotSent)
		want(t, "requests", len(topic.written), 0)
		if _, err := s.SubmitFrom(fresh, call("never")); err != nil {
			t.Fatal(err)
		}
		want(t, "requests", len(topic.written), 1)
	})
}
