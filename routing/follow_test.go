package routing

import (
	"strconv"
	"testing"
	"testing/synctest"
	"time"
)

// series is an answer of so many replies, the last of which is final.
func streamOf(id RequestID, replies int) (all []*Reply) {
	for n := range replies {
		reply := answer(id, int64(n))
		reply.Final = n == replies-1
		all = append(all, reply)
	}
	return all
}

// attached asks for a request under a client's id.
func attached(t *testing.T, s *Session, clientID string, id RequestID) {
	t.Helper()
	if err := s.Attach(nil, &Call{Door: DoorWS, ClientID: clientID}, id); err != nil {
		t.Fatal(err)
	}
}

// positions are what a client was told about one of its requests: "0", "1", "end".
func positions(c *client, clientID string) (all []string) {
	for _, d := range c.outcomes() {
		switch {
		case d.ClientID != clientID:
		case d.Err != nil:
			all = append(all, string(d.Err.Word))
		case d.Part:
			all = append(all, strconv.Itoa(d.N))
		default:
			all = append(all, "end")
		}
	}
	return all
}

// A request was made over HTTP, and its client goes on over a socket: parts and
// outcome come under the id by which it asked. Another subject learns nothing.
func TestAttach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		a, _ := w.start(t, "a", &topic{ack: true}, Limits{})
		b, _ := w.start(t, "b", &topic{}, Limits{})
		id := keepOne(t, a, call("1"), "ann")
		c := &client{}
		s, _ := b.Open(t.Context(), OpenSession{Caller: &Caller{Subject: "ann"}, Sink: c, Acks: true})
		eve, spy := &client{}, (*Session)(nil)
		spy, _ = b.Open(t.Context(), OpenSession{Caller: &Caller{Subject: "eve"}, Sink: eve})
		attached(t, s, "9", id)
		attached(t, spy, "1", id)
		replies := streamOf(id, 4)
		a.Deliver(t.Context(), replies[:2])
		time.Sleep(time.Second)
		wantAll(t, "first", positions(c, "9"), "0", "1")
		a.Deliver(t.Context(), replies[2:])
		time.Sleep(time.Second)
		wantAll(t, "all", positions(c, "9"), "0", "1", "2", "end")
		want(t, "the request's id", c.outcomes()[0].ID, id)
		wantAll(t, "spy", positions(eve, "1"), "unknown_request")
		attached(t, s, "10", id) // once more, after the end
		time.Sleep(time.Second)
		wantAll(t, "again", positions(c, "10"), "0", "1", "2", "end")
		want(t, "wait", b.Waiting(), 0)
		err := s.Attach(nil, &Call{ClientID: "11"}, "nonsense")
		want(t, "nonsense", word(err), UnknownRequest)
	})
}

// A session attaches a request, loses its node in the middle of the answer, and is
// resumed on another: the rest comes there, and what came before again.
func TestAttachSurvivesResume(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		a, _ := w.start(t, "a", &topic{ack: true}, Limits{})
		b, kill := w.start(t, "b", &topic{}, Limits{})
		id := keepOne(t, a, call("1"), "")
		old := &client{}
		s, _ := b.Open(t.Context(), OpenSession{Sink: old, Acks: true})
		attached(t, s, "9", id)
		replies := streamOf(id, 4)
		a.Deliver(t.Context(), replies[:2])
		time.Sleep(time.Second)
		wantAll(t, "before", positions(old, "9"), "0", "1")
		kill()
		moved, c, unknown := resume(t, a, s, "9")
		want(t, "unknown", len(unknown), 0)
		a.Deliver(t.Context(), replies[2:])
		time.Sleep(time.Second)
		wantAll(t, "after", positions(c, "9"), "0", "1", "2", "end")
		want(t, "row", w.rows(s.id), 1)
		moved.Ack(c, 4)
		want(t, "row, acknowledged", w.rows(s.id), 0)

		// And on the same node: what waits for an acknowledgement first, then the rest.
		id = keepOne(t, a, call("2"), "")
		attached(t, moved, "10", id)
		replies = streamOf(id, 3)
		a.Deliver(t.Context(), replies[:1])
		time.Sleep(time.Second)
		moved.Detach(c)
		a.Deliver(t.Context(), replies[1:])
		time.Sleep(time.Second)
		_, again, _ := resume(t, a, moved, "10")
		time.Sleep(time.Second)
		wantAll(t, "resumed", positions(again, "10"), "0", "1", "end")
	})
}

// Two sockets on two nodes make the same request under the same key: it is made once,
// and both get its answer. Each may give it up without taking it from the other.
func TestKeyOnSockets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		out := &topic{ack: true}
		a, _ := w.start(t, "a", out, Limits{})
		b, _ := w.start(t, "b", out, Limits{})
		clients, sessions := []*client{{}, {}, {}}, make([]*Session, 3)
		for i, r := range []*Router{a, b, b} {
			sessions[i], _ = r.Open(t.Context(), OpenSession{Sink: clients[i], Acks: true})
			_, err := sessions[i].Submit(keyed("5", "k", "x"), nil)
			want(t, "submit", word(err), "")
		}
		synctest.Wait()
		want(t, "records", len(out.written), 1)
		want(t, "given up", sessions[2].Cancel("5"), true)
		_, _ = sessions[1].Submit(keyed("6", "k", "y"), nil)
		a.Deliver(t.Context(), []*Reply{answer(out.last().ID, 0)})
		time.Sleep(time.Second)
		wantAll(t, "a", positions(clients[0], "5"), "end")
		wantAll(t, "b", positions(clients[1], "5"), "end")
		wantAll(t, "b, another body", positions(clients[1], "6"), "duplicate_id")
		wantAll(t, "who gave up", positions(clients[2], "5"), "cancelled")
		want(t, "accepted", len(clients[0].accepted)+len(clients[1].accepted), 2)
		want(t, "in flight", a.OpenRequests()+b.OpenRequests(), 0)
		want(t, "wait", a.Waiting()+b.Waiting(), 0)
	})
}

// The socket of a follower does not read: it is let go of like any other, and nothing
// more of the answer is taken into memory until it is back.
func TestSlowFollower(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		a, _ := w.start(t, "a", &topic{ack: true}, Limits{Unacked: 1000})
		id := keepOne(t, a, call("1"), "")
		replies := streamOf(id, 50)
		for _, reply := range replies {
			reply.Body = make([]byte, 100)
		}
		a.Deliver(t.Context(), replies)
		time.Sleep(time.Second)
		c := &client{}
		s, _ := a.Open(t.Context(), OpenSession{Sink: c, Acks: true})
		attached(t, s, "9", id)
		time.Sleep(time.Second)
		synctest.Wait()
		want(t, "let go", c.left[0], LeaveUnread)
		want(t, "in memory", s.inMemory() < 1200, true)
		for got := 0; got < 50; {
			next, again, _ := resume(t, a, s, "9")
			time.Sleep(time.Second)
			all := again.outcomes()
			got = all[len(all)-1].N + 1
			next.Ack(again, all[len(all)-1].Seq)
			s.Detach(again)
		}
	})
}

func wantAll(t *testing.T, what string, got []string, all ...string) {
	t.Helper()
	want(t, what, got, all)
}
