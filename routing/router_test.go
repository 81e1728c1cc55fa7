package routing

import (
	"context"
	"errors"
	"reflect"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// bench is one node with everything around it replaced by something that remembers.
type bench struct {
	*Router
	topic    *topic
	cluster  *cluster
	counted  *counted
	received *partition
}

func newBench(t *testing.T, limits Limits) *bench {
	b := &bench{topic: &topic{ack: true}, cluster: &cluster{}, counted: &counted{}, received: &partition{}}
	b.Router = New(Options{
		Node: "a", Producer: b.topic, Table: b.cluster, Observer: b.counted, Limits: limits,
		Services: []*Service{{Name: "orders", Topic: "orders.requests", Timeout: time.Second, MaxTimeout: time.Minute, Partitioner: Murmur2}},
	})
	b.SetHomes(NewHomes(4, []int32{1, 2}))
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { b.Run(ctx) })
	t.Cleanup(func() { cancel(); running.Wait() })
	return b
}

func (b *bench) open(t *testing.T, acks bool) (*Session, *client) {
	t.Helper()
	c := &client{}
	s, err := b.Open(t.Context(), OpenSession{Sink: c, Acks: acks})
	if err != nil {
		t.Fatal(err)
	}
	return s, c
}

func call(id string) *Call {
	return &Call{Door: DoorWS, ClientID: id, Service: "orders", Body: []byte(`{}`), WantSafe: true}
}

func (b *bench) reply(id RequestID, offset int64) *Reply {
	return &Reply{ID: id, Final: true, Body: []byte(`"yes"`), Consumed: time.Now(), Receipt: b.received, Token: Token{B: offset}}
}

func (b *bench) deliver(t *testing.T, replies ...*Reply) {
	t.Helper()
	b.Router.Deliver(t.Context(), replies)
}

func want[T any](t *testing.T, what string, got, want T) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

// A request is accepted, answered and written; its reply's offset is free from
// the moment of the writing, since this client does not acknowledge.
func TestRequestAndReply(t *testing.T) {
	b := newBench(t, Limits{})
	s, c := b.open(t, false)
	id, err := s.Submit(call("1"), nil)
	if err != nil {
		t.Fatal(err)
	}
	q := b.topic.last()
	if q.ID != id || Murmur2.Partition([]byte(id), 4) != q.ReplyPartition {
		t.Errorf("request %s does not hash to its reply partition %d", q.ID, q.ReplyPartition)
	}
	b.deliver(t, b.reply(id, 40))
	got := c.outcomes()
	if len(got) != 1 || got[0].ClientID != "1" || string(got[0].Reply.Body) != `"yes"` || got[0].Err != nil || got[0].Seq != 1 {
		t.Fatalf("outcomes: %+v", got)
	}
	want(t, "done before the write", b.received.offsets(), nil)
	s.Wrote(c, 1)
	want(t, "done after the write", b.received.offsets(), []int64{40})
	want(t, "accepted", c.accepted, []string{"1"})
	want(t, "table", b.cluster.log, []string{"announce", "claim 1", "release 1"})
	want(t, "open requests", b.OpenRequests(), 0)
	for _, label := range []string{"orders ok", "replies home", "stage produce", "stage push"} {
		want(t, label, b.counted.get(label), 1)
	}
}

// Where a client acknowledges, writing is not enough, and a seq that was never
// sent is refused.
func TestAcknowledgementSettles(t *testing.T) {
	b := newBench(t, Limits{})
	s, c := b.open(t, true)
	for n := range int64(3) {
		id, _ := s.Submit(call(strconv.FormatInt(n, 10)), nil)
		b.deliver(t, b.reply(id, n))
	}
	s.Wrote(c, 3)
	want(t, "done after the write", b.received.offsets(), nil)
	if err := s.Ack(c, 2); err != nil {
		t.Fatal(err)
	}
	want(t, "done after ack 2", b.received.offsets(), []int64{0, 1})
	if err := s.Ack(c, 4); err == nil || err.Word != InvalidRequest {
		t.Errorf("ack of what was never sent: %v", err)
	}
	s.Close()
	want(t, "done after the end", b.received.offsets(), []int64{0, 1, 2})
	want(t, "dropped", b.counted.get("drops session_gone"), 1)
}

// A client that does not acknowledge holds up commits for as long as Patience,
// each delivery by its own clock, and again after the first time.
func TestPatienceEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Limits{Patience: 5 * time.Second})
		s, _ := b.open(t, true)
		push := func(offset int64) {
			id, _ := s.Submit(call(strconv.FormatInt(offset, 10)), nil)
			b.deliver(t, b.reply(id, offset))
		}
		push(1)
		time.Sleep(3 * time.Second)
		push(2)
		want(t, "at 3 s", b.received.offsets(), nil)
		time.Sleep(2*time.Second + 100*time.Millisecond)
		want(t, "at 5.1 s", b.received.offsets(), []int64{1})
		time.Sleep(3 * time.Second)
		want(t, "at 8.1 s", b.received.offsets(), []int64{1, 2})
		push(3)
		time.Sleep(5*time.Second + 100*time.Millisecond)
		want(t, "at 13.2 s", b.received.offsets(), []int64{1, 2, 3})
	})
}

// Every request has one outcome: what comes after it is dropped under the name
// that fits.
func TestOneOutcome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Limits{})
		s, c := b.open(t, false)
		answered, _ := s.Submit(call("1"), nil)
		b.deliver(t, b.reply(answered, 1), b.reply(answered, 2))
		timedOut, _ := s.Submit(call("2"), nil)
		time.Sleep(time.Second + 2*wheelTick)
		b.deliver(t, b.reply(timedOut, 3))
		cancelled, _ := s.Submit(call("3"), nil)
		if !s.Cancel("3") || s.Cancel("3") {
			t.Error("a request can be cancelled exactly once")
		}
		b.deliver(t, b.reply(cancelled, 4), b.reply(RequestID(s.ID())+".99", 5), b.reply(answered+"x", 6), b.reply("nonsense", 7))

		var words []Word
		for _, d := range c.outcomes() {
			if d.Err == nil {
				words = append(words, OK)
			} else {
				words = append(words, d.Err.Word)
			}
		}
		want(t, "outcomes", words, []Word{OK, Timeout, Cancelled})
		want(t, "duplicate", b.counted.get("drops duplicate"), 1)
		want(t, "late", b.counted.get("drops late"), 2)
		want(t, "unknown", b.counted.get("drops unknown_request"), 3)
		want(t, "settled", len(b.received.offsets()), 5) // all but the one that is not written yet, and its twin
	})
}

// The same message again is the same request; another with its id is refused.
func TestSentAgain(t *testing.T) {
	b := newBench(t, Limits{})
	s, c := b.open(t, false)
	first, again, other := call("1"), call("1"), call("1")
	first.Digest, again.Digest, other.Digest = 7, 7, 8
	id, _ := s.Submit(first, nil)
	if twin, err := s.Submit(again, nil); err != nil || twin != id {
		t.Errorf("sent again: %s, %v", twin, err)
	}
	if _, err := s.Submit(other, nil); err == nil || err.Word != DuplicateID || err.Outcome != NotSent {
		t.Errorf("id in use: %v", err)
	}
	want(t, "produced", len(b.topic.written), 1)
	want(t, "accepted", c.accepted, []string{"1", "1"})
}

// What is over a limit is refused by name and changes nothing.
func TestLimitsRefuse(t *testing.T) {
	b := newBench(t, Limits{OpenRequests: 2, InFlight: 3, Sessions: 2, Reply: 4})
	s, c := b.open(t, false)
	other, _ := b.open(t, false)
	if _, err := b.Open(t.Context(), OpenSession{Sink: c}); err == nil || err.Word != Overloaded {
		t.Errorf("third session: %v", err)
	}
	id, _ := s.Submit(call("1"), nil)
	s.Submit(call("2"), nil)
	if _, err := s.Submit(call("3"), nil); err == nil || err.Word != Overloaded || !err.Retry {
		t.Errorf("third request of a session: %v", err)
	}
	other.Submit(call("1"), nil)
	if _, err := other.Submit(call("2"), nil); err == nil || err.Word != Overloaded {
		t.Errorf("fourth request of the node: %v", err)
	}
	b.deliver(t, b.reply(id, 1)) // 5 bytes
	if got := c.outcomes(); len(got) != 1 || got[0].Err.Word != TooLarge || got[0].Err.Outcome != Done {
		t.Errorf("reply over the limit: %+v", got)
	}
	if _, err := s.Submit(&Call{Service: "nobody"}, nil); err == nil || err.Word != UnknownService {
		t.Errorf("unknown service: %v", err)
	}
	want(t, "open", b.OpenRequests(), 2)
	want(t, "refused", b.counted.get("refused overloaded"), 3)
}

// A produce that fails is the request's outcome, with the producer's own word
// for whether the record may be in the topic.
func TestProduceFails(t *testing.T) {
	b := newBench(t, Limits{})
	s, c := b.open(t, false)
	b.topic.fail = &Error{Word: Unavailable, Outcome: NotSent, Retry: true}
	s.Submit(call("1"), nil)
	b.topic.fail = errors.New("boom")
	s.Submit(call("2"), nil)
	got := c.outcomes()
	if len(got) != 2 || got[0].Err.Outcome != NotSent || got[1].Err.Outcome != Unknown || got[1].Err.Word != Unavailable {
		t.Errorf("outcomes: %+v", got)
	}
	want(t, "open", b.OpenRequests(), 0)
}

// A reply may come before its request's own acknowledgement.
func TestReplyFasterThanAcknowledgement(t *testing.T) {
	b := newBench(t, Limits{})
	b.topic.ack = false
	s, c := b.open(t, false)
	id, _ := s.Submit(call("1"), nil)
	b.deliver(t, b.reply(id, 1))
	b.topic.last().Produced(RecordAt{}, nil)
	want(t, "outcomes", len(c.outcomes()), 1)
	want(t, "accepted", len(c.accepted), 0)
}

// A parked call has a sink of its own: it settles by itself, can be abandoned,
// and is told when the node goes away.
func TestParkedCalls(t *testing.T) {
	b := newBench(t, Limits{OpenRequests: 1})
	node, err := b.Open(t.Context(), OpenSession{})
	if err != nil {
		t.Fatal(err)
	}
	park := func() (RequestID, *client) {
		c := &client{}
		id, err := node.Submit(&Call{Door: DoorHTTP, Service: "orders"}, c)
		if err != nil {
			t.Fatal(err)
		}
		return id, c
	}
	answered, one := park()
	abandoned, two := park()
	_, three := park()
	b.deliver(t, b.reply(answered, 1))
	want(t, "before it is written", b.received.offsets(), nil)
	one.outcomes()[0].Written()
	want(t, "after", b.received.offsets(), []int64{1})
	node.Abandon(abandoned)
	b.deliver(t, b.reply(abandoned, 2))
	want(t, "abandoned", len(two.outcomes()), 0)
	node.Close()
	if got := three.outcomes(); len(got) != 1 || got[0].Err.Word != Unavailable {
		t.Errorf("at the end: %+v", got)
	}
	want(t, "open", b.OpenRequests(), 0)
}

// Parts are numbered and keep the request open; the final one ends it.
func TestParts(t *testing.T) {
	b := newBench(t, Limits{})
	s, c := b.open(t, false)
	id, _ := s.Submit(call("1"), nil)
	for i := range int64(3) {
		r := b.reply(id, i)
		r.Final = i == 2
		b.deliver(t, r)
	}
	for i, d := range c.outcomes() {
		if d.N != i || d.Part != (i < 2) {
			t.Errorf("delivery %d: n %d, part %v", i, d.N, d.Part)
		}
	}
	want(t, "deliveries", len(c.outcomes()), 3)
}

// A table that has lost its sessions is told of those that live, with their
// open requests, and of none that has ended.
func TestEachSession(t *testing.T) {
	b := newBench(t, Limits{})
	resumable, _ := b.open(t, true)
	plain, _ := b.open(t, false)
	ended, _ := b.open(t, false)
	plain.Submit(call("7"), nil)
	ended.Close()
	told := make(map[SessionID]SessionRow)
	rows := make(map[SessionID][]Row)
	b.EachSession(func() bool { return true }, func(s SessionRow, open []Row) { told[s.ID], rows[s.ID] = s, open })
	want(t, "sessions", len(told), 2)
	want(t, "secret of one that may resume", len(told[resumable.ID()].Secret), 32)
	want(t, "secret of one that may not", len(told[plain.ID()].Secret), 0)
	want(t, "rows", len(rows[plain.ID()]), 1)
	want(t, "client id", rows[plain.ID()][0].ClientID, "7")
	b.EachSession(func() bool { return false }, func(SessionRow, []Row) { t.Error("told after it was ended") })
}

// A part whose record is consumed anew, since its partition moved, is no new part.
func TestPartsComeAgain(t *testing.T) {
	b := newBench(t, Limits{})
	s, c := b.open(t, true)
	id, _ := s.Submit(call("1"), nil)
	part := func(offset int64, final bool) *Reply {
		r := b.reply(id, offset)
		r.Final, r.From = final, RecordAt{Topic: "replies", Partition: 3, Offset: offset}
		return r
	}
	b.deliver(t, part(5, false), part(9, false), part(5, false), part(9, false), part(12, true), part(9, false))
	var ns []int
	for _, d := range c.outcomes() {
		ns = append(ns, d.N)
	}
	want(t, "parts", ns, []int{0, 1, 2})
	s.Ack(c, 3)
	want(t, "settled", len(b.received.offsets()), 6)
}
