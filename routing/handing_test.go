package routing

import (
	"context"
	"crypto/sha256"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// A node that had a session must say so when it has handed all over, whatever it knows of
// its having had it. Each of these ends with the session at c, where a first part of an
// answer waits for the word of the others.
func TestFormerOwnersAnswer(t *testing.T) {
	for name, before := range map[string]func(w *world, nodes []*Router, s *Session){
		"the table's word that it had the session was lost": func(w *world, nodes []*Router, s *Session) {
			w.grant("b", s)
		},
		"so was the word that it had it once more": func(w *world, nodes []*Router, s *Session) {
			w.grant("a", s)
		},
		"it was to have the session and was overtaken, twice": func(w *world, nodes []*Router, s *Session) {
			w.scramble(s, nodes[1], nodes[2], nodes[1], nodes[2], nodes[1])
		},
		"it has the session now, and another had it while it waited for that": func(w *world, nodes []*Router, s *Session) {
			w.scramble(s, nodes[2], nodes[1], nodes[2])
		},
		"nobody has told it that the session is another's": func(w *world, nodes []*Router, s *Session) {
			w.deaf = map[NodeID]bool{"a": true}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, nodes, _, s, id := inheriting(t)
				s.Ack(s.sink, 2)
				before(w, nodes, s)
				_, c := goOn(t, nodes[2], s, StreamAt{ClientID: "1", Next: 2, Credit: -1})
				nodes[2].Deliver(t.Context(), []*Reply{plainPart(id, 2, -1, false)})
				if time.Sleep(remindAfter / 2); w.deaf != nil {
					want(t, "before it is reminded", offsets(c, "1"), nil)
					time.Sleep(remindAfter)
				}
				want(t, "parts", offsets(c, "1"), []string{"2 is 2"})
			})
		})
	}
}

// scramble has nodes resume a session at almost the same time, one after the other.
func (w *world) scramble(s *Session, nodes ...*Router) {
	w.thinks = func() time.Duration { return 10 * time.Millisecond }
	for _, at := range nodes {
		go at.Resume(context.Background(), ResumeSession{ID: s.id, Secret: s.secret, Sink: &client{}})
		time.Sleep(time.Millisecond)
	}
	time.Sleep(time.Second)
}

// grant gives a session to a node that does not learn of it.
func (w *world) grant(to NodeID, s *Session) {
	hash := sha256.Sum256([]byte(s.secret))
	if _, err := w.as(to).Resume(context.Background(), Resumption{ID: s.id, Secret: hash[:]}); err != nil {
		panic(err)
	}
}

// A session goes to another node and is back before its node has heard of it, with a part
// that waits there already: it is asked for the part once more.
func TestBackWhileAPartWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, nodes, _, s, id := inheriting(t)
		s.Ack(s.sink, 2)
		w.slow = func() time.Duration { return 20 * time.Millisecond }
		goOn(t, nodes[2], s, StreamAt{ClientID: "1", Next: 2, Credit: -1})
		nodes[2].Deliver(t.Context(), []*Reply{plainPart(id, 2, -1, false)})
		goOn(t, nodes[1], s, StreamAt{ClientID: "1", Next: 2, Credit: -1})
		_, c := goOn(t, nodes[2], s, StreamAt{ClientID: "1", Next: 2, Credit: -1})
		time.Sleep(time.Second)
		want(t, "parts", offsets(c, "1"), []string{"2 is 2"})
	})
}

// A numbered part waits for others when its client comes back, which has these by now.
func TestBackWithWhatWasMissing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Limits{})
		w := newWorld()
		a, _ := w.start(t, "a", &topic{ack: true}, Limits{})
		s, _ := a.Open(t.Context(), OpenSession{Sink: &client{}, Acks: true})
		id, _ := s.Submit(call("1"), nil)
		a.Deliver(t.Context(), []*Reply{b.part(id, 3, false)})
		_, c := goOn(t, a, s, StreamAt{ClientID: "1", Next: 3, Credit: -1})
		want(t, "at once", got(c), []string{"1.3"})
	})
}

// What a node has handed on in two goes it speaks of once, when both are done.
func TestHandingsAreOne(t *testing.T) {
	table := &cluster{}
	r := New(Options{Node: "a", Producer: &topic{}, Table: table})
	id := newSessionID()
	first := r.handOver(id, 2)
	first.pass(answer(RequestID(string(id)+".1"), 1))
	first.done()
	r.handOver(id, 4).done()
	want(t, "while one is under way", len(table.log), 0)
	for _, reply := range r.astray.take(1) {
		reply.done()
	}
	want(t, "then", table.log, []string{"handed over 4"})
	want(t, "left", len(r.handings.of), 0)
}

// losing is the cluster of the tests below: the node a reads events that a session follows
// whose client is away, and dies once it has relayed the one at an offset; c reads them
// then, from what is committed on.
type losing struct {
	*world
	nodes  []*Router
	takes  *atomic.Int64
	kill   func()
	client *eventReader
	events *eventLog
}

func lose(t *testing.T, dies int64) (l losing, s *Session) {
	l = losing{world: newWorld(), client: &eventReader{t: t, sink: &client{}, had: make(map[int64]bool), newest: -1}}
	l.takes = thinker(l.world)
	l.deaf = map[NodeID]bool{"a": true}
	l.fatal = func(r *Reply) bool { return r.From.Topic == orderEvents.Topic && r.From.Offset == dies }
	for _, name := range []NodeID{"a", "b", "c"} {
		r, kill := l.start(t, name, &topic{ack: true}, Limits{Strangers: 1})
		r.feeds[orderEvents.Topic] = nil
		if l.nodes = append(l.nodes, r); name == "a" {
			l.kill = kill
		}
	}
	s, _ = l.nodes[0].Open(t.Context(), OpenSession{Sink: l.client.sink, Acks: true})
	if err := subscribed(t, s, orderEvents); err != nil {
		t.Fatal(err)
	}
	s.Detach(l.client.sink)
	l.events = &eventLog{session: s.id}
	for range 5 {
		l.events.write()
	}
	return l, s
}

// leaves has the session go from a to b, which a hears of.
func (l *losing) leaves(s *Session) *Session {
	s = l.client.back(l.nodes[1], s)
	l.nodes[0].TakenOver(s.id, s.epoch)
	synctest.Wait()
	return s
}

// allCome has another node read on, and all events come, in their order, to a session at b.
func (l *losing) allCome(t *testing.T, s *Session) {
	t.Helper()
	time.Sleep(100 * time.Millisecond)
	l.kill()
	l.bury("a")
	time.Sleep(time.Second)
	l.mu.Lock()
	l.fatal = nil
	l.mu.Unlock()
	l.events.move(l.nodes[2])
	l.events.consume(l.nodes[2], 5)
	time.Sleep(time.Second)
	l.client.read()
	want(t, "events", len(l.client.had), 5)
	s.Ack(l.client.sink, l.client.seq)
	synctest.Wait()
	want(t, "settled", l.events.done, []bool{true, true, true, true, true})
}

// A node reads events, loses a session that follows them to another node, and dies while it
// hands on what it had. Whatever has got through by then, the events come in order: one that
// it has read since is not sent before those that it had.
func TestReaderDiesWhileItHandsOn(t *testing.T) {
	for dies := range int64(4) {
		synctest.Test(t, func(t *testing.T) {
			l, s := lose(t, dies)
			l.events.consume(l.nodes[0], 3)
			s = l.client.back(l.nodes[1], s)
			l.takes.Store(int64(10 * time.Millisecond))
			l.nodes[0].Deliver(t.Context(), []*Reply{{ID: RequestID(newSessionID()) + ".1"}}) // it is busy with this
			time.Sleep(time.Millisecond)
			l.nodes[0].TakenOver(s.id, s.epoch)
			l.events.consume(l.nodes[0], 1)
			l.allCome(t, s)
		})
	}
}

// A session comes to the node that reads its events while one of them is on its way to
// where it was, and has left again, which that node has not heard of, before the next is
// sent. That one does not overtake the first.
func TestReaderDiesWithASessionThatWasThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, s := lose(t, 1)
		a, b := l.nodes[0], l.nodes[1]
		s = l.leaves(s)
		l.takes.Store(int64(10 * time.Millisecond))
		l.events.consume(a, 1)
		time.Sleep(time.Millisecond)
		l.takes.Store(0)
		s = l.client.back(a, s)
		s.Detach(l.client.sink)
		l.takes.Store(int64(10 * time.Millisecond))
		time.Sleep(10 * time.Millisecond) // the table has found the session at a, and not said so yet
		l.takes.Store(0)
		l.events.consume(a, 1)
		s = l.client.back(b, s)
		l.allCome(t, s)
	})
}

// The table's word that a node has a session was lost, so that an event which it reads is to
// be held. Before it is, the session goes elsewhere: the next event does not overtake it.
func TestReaderDiesWithoutTheSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, s := lose(t, 1)
		a, b := l.nodes[0], l.nodes[1]
		s = l.leaves(s)
		l.grant("a", s)
		l.takes.Store(int64(10 * time.Millisecond))
		l.events.consume(a, 1)
		time.Sleep(25 * time.Millisecond) // the table is asked to hold it
		l.takes.Store(0)
		s = l.client.back(b, s)
		l.events.consume(a, 1)
		l.allCome(t, s)
	})
}
