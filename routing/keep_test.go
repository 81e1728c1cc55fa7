package routing

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// keyed is a call with an idempotency key.
func keyed(id, key, body string) *Call {
	return &Call{Door: DoorHTTP, ClientID: id, Service: "orders", Body: []byte(body), IdempotencyKey: key}
}

// keepOne has a request kept that must be.
func keepOne(t *testing.T, r *Router, c *Call, subject string) RequestID {
	t.Helper()
	id, err := r.Keep(t.Context(), c, &Caller{Subject: subject})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// word is an error's word, "" for none.
func word(e *Error) Word {
	if e == nil {
		return ""
	}
	return e.Word
}

// awaitFor awaits for at most so long.
func awaitFor(t *testing.T, r *Router, q Collection, d time.Duration) Collected {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	c, err := r.Await(ctx, q)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// A node takes a request to be collected and is killed. Its reply is consumed
// elsewhere, and whoever asks for it there gets it, as often as they ask.
func TestKeptOutlivesItsNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		a, kill := w.start(t, "a", &topic{ack: true}, Limits{})
		b, _ := w.start(t, "b", &topic{}, Limits{})
		id := keepOne(t, a, call("1"), "ann")
		kill()
		c, _ := b.Collect(t.Context(), Collection{ID: id, Subject: "ann"})
		want(t, "before", c.State, Pending)
		p := &partition{}
		part, final := answer(id, 0), answer(id, 1)
		part.Final = false
		for i, reply := range []*Reply{part, final} {
			reply.Receipt, reply.Token = p, Token{B: int64(i)}
		}
		b.Deliver(t.Context(), []*Reply{part, final})
		synctest.Wait()
		want(t, "kept, so committed", len(p.offsets()), 2)
		for range 2 {
			c, _ = b.Collect(t.Context(), Collection{ID: id, Subject: "ann"})
			want(t, "state", c.State, Over)
			want(t, "replies", len(c.Replies), 2)
		}
		c, _ = b.Collect(t.Context(), Collection{ID: id, Subject: "ann", From: 1})
		want(t, "from 1", len(c.Replies), 1)
		c, _ = b.Collect(t.Context(), Collection{ID: id, Subject: "bob"})
		want(t, "for another", c.State, Gone)
		_, err := b.Collect(t.Context(), Collection{ID: "nonsense"})
		want(t, "nonsense", word(err), UnknownRequest)
	})
}

// Who waits for a reply that its own node holds is woken at once, who waits
// elsewhere within a moment, who leaves is forgotten.
func TestAwait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		a, _ := w.start(t, "a", &topic{ack: true}, Limits{Waiters: 2})
		b, _ := w.start(t, "b", &topic{}, Limits{})
		id := keepOne(t, a, call("1"), "")
		q := Collection{ID: id}
		began := time.Now()
		want(t, "in vain", awaitFor(t, b, q, time.Second).State, Pending)
		want(t, "took", time.Since(began), time.Second)
		want(t, "still wait", b.Waiting(), 0)

		began = time.Now()
		took := make(chan time.Duration, 4)
		for _, r := range []*Router{a, a, b} {
			go func() {
				if awaitFor(t, r, q, time.Minute).State == Over {
					took <- time.Since(began)
				}
			}()
		}
		synctest.Wait()
		_, err := a.Await(t.Context(), q)
		want(t, "a third", word(err), Overloaded)
		time.Sleep(330 * time.Millisecond)
		began = time.Now()
		a.Deliver(t.Context(), []*Reply{answer(id, 0)})
		want(t, "here", <-took+<-took, 0)
		if late := <-took; late <= 0 || late > awaitEvery {
			t.Errorf("elsewhere after %v", late)
		}
		want(t, "still wait", a.Waiting()+b.Waiting(), 0)
	})
}

// The same key at two nodes at once makes one request, which both get. Another body
// under it is refused; another subject's key, and another key, are others.
func TestKeyIsClaimedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		out := &topic{ack: true}
		a, _ := w.start(t, "a", out, Limits{})
		b, _ := w.start(t, "b", out, Limits{})
		ids := make([]RequestID, 200)
		var both sync.WaitGroup
		for i := range ids {
			both.Go(func() {
				ids[i] = keepOne(t, []*Router{a, b}[i%2], keyed("", strconv.Itoa(i/2), "x"), "ann")
			})
		}
		both.Wait()
		for i := range ids {
			want(t, "id", ids[i], ids[i/2*2])
		}
		want(t, "records", len(out.written), 100)
		_, err := a.Keep(t.Context(), keyed("", "7", "y"), &Caller{Subject: "ann"})
		want(t, "another body", word(err), DuplicateID)
		want(t, "is not sent", err.Outcome, NotSent)
		if id := keepOne(t, a, keyed("", "7", "y"), "bob"); id == ids[14] {
			t.Error("two subjects share a key")
		}
	})
}

// A request that certainly never got into the topic frees its key before its
// caller knows, and who had joined it meanwhile, be it elsewhere, learns what its caller
// does. One that may be there keeps its key, and who joins it is told no more than is known,
// until its reply comes.
func TestKeyOfAFailedProduce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		out := &topic{}
		a, _ := w.start(t, "a", out, Limits{})
		b, _ := w.start(t, "b", &topic{}, Limits{})
		first := make(chan *Error, 1)
		go func() {
			_, err := a.Keep(t.Context(), keyed("", "k", "x"), nil)
			first <- err
		}()
		synctest.Wait()
		joined := make(chan *Error, 1)
		go func() {
			_, err := b.Keep(t.Context(), keyed("", "k", "x"), nil)
			joined <- err
		}()
		time.Sleep(time.Second)
		want(t, "told before Kafka has it", len(joined), 0)
		failed := out.last().ID
		out.last().Produced(RecordAt{}, refuse(Overloaded, true, "full"))
		want(t, "the first", word(<-first), Overloaded)
		e := <-joined
		want(t, "the joined", word(e), Overloaded)
		want(t, "the joined's", e.Outcome, NotSent)

		out.mu.Lock()
		out.fail = &Error{Word: Unavailable, Outcome: Unknown}
		out.mu.Unlock()
		id, err := a.Keep(t.Context(), keyed("", "k", "x"), nil)
		want(t, "again", word(err), Unavailable)
		want(t, "a new request", id != "" && id != failed, true)
		out.mu.Lock()
		out.fail, out.ack = nil, true
		out.mu.Unlock()
		for _, r := range []*Router{a, b} {
			again, err := r.Keep(t.Context(), keyed("", "k", "x"), nil)
			want(t, "joins the unknown", again, id)
			want(t, "as that", err.Outcome, Unknown)
		}
		a.Deliver(t.Context(), []*Reply{answer(id, 0)})
		synctest.Wait()
		want(t, "joins what was answered", keepOne(t, b, keyed("", "k", "x"), ""), id)
		want(t, "records", len(out.written), 2)
		synctest.Wait() // who has been told is counted for a moment more
		want(t, "in flight", a.OpenRequests()+b.OpenRequests(), 0)
	})
}

// The node that makes a request is killed before it has heard from Kafka. Who joins the
// request elsewhere, over HTTP or on a socket, is told that nobody knows, in time; once its
// reply has come, which proves it, they get that.
func TestJoinedOutliveItsNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		out := &topic{}
		a, kill := w.start(t, "a", out, Limits{})
		b, _ := w.start(t, "b", &topic{}, Limits{Join: 15 * time.Second})
		ids := make([]RequestID, 2)
		for i, key := range []string{"answered", "k"} {
			go func() { _, _ = a.Keep(t.Context(), keyed("", key, "x"), nil) }()
			synctest.Wait()
			ids[i] = out.last().ID
		}
		id := ids[1]
		kill()
		told := make(chan *Error, 1)
		go func() {
			_, err := b.Keep(t.Context(), keyed("", "answered", "x"), nil)
			told <- err
		}()
		time.Sleep(time.Second)
		want(t, "told", len(told), 0)
		b.Deliver(t.Context(), []*Reply{answer(ids[0], 0)})
		want(t, "word", word(<-told), "")

		c := &client{}
		s, _ := b.Open(t.Context(), OpenSession{Sink: c, Acks: true})
		if _, err := s.Submit(&Call{ClientID: "1", Service: "orders", Body: []byte("x"), IdempotencyKey: "k", Timeout: time.Minute}, nil); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		again, err := b.Keep(t.Context(), keyed("", "k", "x"), nil)
		want(t, "joins", again, id)
		want(t, "word", word(err), Unavailable)
		want(t, "outcome", err.Outcome, Unknown)
		want(t, "took", time.Since(began), 15*time.Second)
		synctest.Wait()
		want(t, "on the socket", strings.Join(positions(c, "1"), " "), "unavailable")
		want(t, "accepted", len(c.accepted), 0)

		began = time.Now()
		_, err = b.Keep(t.Context(), keyed("", "k", "x"), nil)
		want(t, "the next one", word(err), Unavailable)
		want(t, "knows at once", time.Since(began), 0)
		b.Deliver(t.Context(), []*Reply{answer(id, 0)})
		synctest.Wait()
		want(t, "with a reply", keepOne(t, b, keyed("", "k", "x"), ""), id)
		s.Close()
		synctest.Wait() // who has been told is counted for a moment more
		want(t, "in flight", b.OpenRequests(), 0)
		want(t, "wait", b.Waiting(), 0)
	})
}

// Who joins a request that is still being produced waits for Kafka as the first does, be
// it at its node or another, over HTTP or on a socket: nobody is told that a request is
// accepted which then is not. One that Kafka has is joined at once.
func TestJoinedWaitForKafka(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		out := &topic{}
		a, _ := w.start(t, "a", out, Limits{})
		b, _ := w.start(t, "b", out, Limits{})
		c := &client{}
		s, _ := a.Open(t.Context(), OpenSession{Sink: c, Acks: true})
		told := make(chan *Error, 3)
		ask := func(r *Router) {
			go func() {
				_, err := r.Keep(t.Context(), keyed("", "k", "x"), nil)
				told <- err
			}()
			synctest.Wait()
		}
		all := func(how Word) {
			t.Helper()
			for range 3 {
				want(t, "told", word(<-told), how)
			}
			synctest.Wait()
		}
		ask(a)
		ask(a)
		ask(b)
		if _, err := s.Submit(keyed("1", "k", "x"), nil); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		want(t, "told before Kafka has it", len(told)+len(c.accepted), 0)
		out.last().Produced(RecordAt{}, refuse(Unavailable, true, "Kafka is away"))
		all(Unavailable)
		want(t, "on the socket", strings.Join(positions(c, "1"), " "), "unavailable")
		ask(a)
		ask(a)
		ask(b)
		out.last().Produced(RecordAt{}, nil)
		all("")
		began := time.Now()
		for _, r := range []*Router{a, b} {
			want(t, "joins", keepOne(t, r, keyed("", "k", "x"), ""), out.last().ID)
		}
		want(t, "at once", time.Since(began), 0)
		want(t, "records", len(out.written), 2)
		s.Close()
		synctest.Wait() // who has been told is counted for a moment more
		want(t, "in flight", a.OpenRequests()+b.OpenRequests(), 0)
	})
}

// With the table away nothing is kept and nothing is sent; what may have been
// recorded is taken off when it is back.
func TestKeepWithTheTableAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		out := &topic{ack: true}
		a, _ := w.start(t, "a", out, Limits{})
		w.sever("a")
		_, err := a.Keep(t.Context(), keyed("", "k", "x"), nil)
		want(t, "word", word(err), Unavailable)
		want(t, "outcome", err.Outcome, NotSent)
		want(t, "records", len(out.written), 0)
		want(t, "waits to be taken off", a.OpenRequests(), 1)
		w.restore("a")
		time.Sleep(time.Second)
		want(t, "in flight", a.OpenRequests(), 0)
		keepOne(t, a, keyed("", "k", "x"), "")
	})
}

// A request is cancelled while it is pending: that is its outcome, and a reply that
// comes later is late. One that was answered stays so.
func TestCancelKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		a, _ := w.start(t, "a", &topic{ack: true}, Limits{})
		seen := &counted{}
		a.observer = seen
		id := keepOne(t, a, call("1"), "")
		want(t, "another's", a.Cancel(t.Context(), id, "eve"), ErrNotKept)
		got := make(chan Collected, 1)
		go func() { got <- awaitFor(t, a, Collection{ID: id}, time.Minute) }()
		synctest.Wait()
		began := time.Now()
		want(t, "cancel", a.Cancel(t.Context(), id, ""), nil)
		want(t, "who waited", word((<-got).Err), Cancelled)
		want(t, "at once", time.Since(began), 0)
		a.Deliver(t.Context(), []*Reply{answer(id, 0)})
		synctest.Wait()
		want(t, "late", seen.get("drops late"), 1)
		want(t, "again", a.Cancel(t.Context(), id, ""), ErrConcluded)
	})
}

// A kept request is cancelled at another node than made it: its service is told, under
// the key of its record, be that the call's or the asking session's. A service that does
// not want to know is told nothing.
func TestCancelKeptIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		topics := map[NodeID]*topic{"a": {ack: true}, "b": {ack: true}}
		a, _ := w.start(t, "a", topics["a"], Limits{})
		b, _ := w.start(t, "b", topics["b"], Limits{})
		quiet := keepOne(t, a, call("0"), "")
		want(t, "cancel", b.Cancel(t.Context(), quiet, ""), nil)
		a.services["orders"].Cancel, b.services["orders"].Cancel = true, true
		byKey := call("1")
		byKey.Key = []byte("k")
		first := keepOne(t, a, byKey, "ann")
		want(t, "another's", b.Cancel(t.Context(), first, "eve"), ErrNotKept)
		want(t, "cancel", b.Cancel(t.Context(), first, "ann"), nil)
		want(t, "again", b.Cancel(t.Context(), first, "ann"), ErrConcluded)
		s, err := a.Open(t.Context(), OpenSession{Sink: &client{}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Submit(keyed("2", "once", "x"), nil); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		second := topics["a"].written[len(topics["a"].written)-1].ID
		want(t, "cancel", b.Cancel(t.Context(), second, ""), nil)
		synctest.Wait()
		want(t, "told", topics["b"].recalls(), []RequestID{first, second})
		for i, key := range []string{"k", string(s.ID())} {
			if q := topics["b"].written[i]; string(q.Call.Key) != key || q.ID != "" || q.Service.Name != "orders" {
				t.Errorf("told %+v under the key %q, not %q", q, q.Call.Key, key)
			}
		}
	})
}

// Nobody serves: what is kept waits in the topic, for its answer is collected later, and
// one with a key may have its answer already. Any other request is refused.
func TestKeptWaitsForResponders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		topic := &topic{ack: true}
		a, _ := w.start(t, "a", topic, Limits{})
		answered := keepOne(t, a, keyed("", "k", "x"), "")
		a.Deliver(t.Context(), []*Reply{answer(answered, 0)})
		synctest.Wait()
		a.responders = deserted{"orders": true}
		id := keepOne(t, a, call("1"), "")
		want(t, "pending", awaitFor(t, a, Collection{ID: id}, time.Millisecond).State, Pending)
		a.Deliver(t.Context(), []*Reply{answer(id, 1)})
		want(t, "later", awaitFor(t, a, Collection{ID: id}, time.Minute).State, Over)
		c := &client{}
		s, err := a.Open(t.Context(), OpenSession{Sink: c})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Submit(call("2"), nil); word(err) != NoResponders {
			t.Errorf("a request without a key: got %v", err)
		}
		if _, err := s.Submit(keyed("3", "k", "x"), nil); err != nil {
			t.Errorf("a request with a key: got %v", err)
		}
		synctest.Wait()
		want(t, "its outcome", len(c.outcomes()), 1)
		want(t, "produced", len(topic.written), 2)
	})
}
