package routing

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// answer is the final reply to a request, the n-th record of the reply topic.
func answer(id RequestID, n int64) *Reply {
	return &Reply{ID: id, Final: true, Body: []byte(id), From: RecordAt{Topic: "replies", Offset: n}, Consumed: time.Now()}
}

func bodies(c *client) (all []string) {
	for _, d := range c.outcomes() {
		switch {
		case d.Err != nil:
			all = append(all, d.ClientID+":"+string(d.Err.Word))
		default:
			all = append(all, fmt.Sprintf("%s:%d", d.ClientID, d.Seq))
		}
	}
	return all
}

func resume(t *testing.T, r *Router, s *Session, open ...string) (*Session, *client, []string) {
	t.Helper()
	c := &client{}
	got, missing, err := r.Resume(context.Background(), ResumeSession{ID: s.id, Secret: s.secret, Open: open, Sink: c})
	if err != nil {
		t.Fatal(err)
	}
	return got, c, missing.IDs
}

// A client loses its socket with one answer unacknowledged and one on its way,
// and comes back to the same node: it gets both, numbered anew, and what it
// acknowledges is forgotten.
func TestResumeOnTheSameNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		a, _ := w.start(t, "a", &topic{ack: true}, Limits{})
		old := &client{}
		s, _ := a.Open(t.Context(), OpenSession{Sink: old, Acks: true})
		var ids []RequestID
		for n := range 4 {
			id, _ := s.Submit(call(strconv.Itoa(n)), nil)
			ids = append(ids, id)
		}
		a.Deliver(t.Context(), []*Reply{answer(ids[0], 0), answer(ids[1], 1)})
		s.Ack(old, 1)
		s.Detach(old)
		a.Deliver(t.Context(), []*Reply{answer(ids[2], 2)})
		got, c, unknown := resume(t, a, s, "1", "2", "3", "nonsense")
		want(t, "session", got, s)
		want(t, "unknown", unknown, []string{"nonsense"})
		want(t, "delivered again", bodies(c), []string{"1:1", "2:2"})
		a.Deliver(t.Context(), []*Reply{answer(ids[3], 3)})
		want(t, "then", bodies(c), []string{"1:1", "2:2", "3:3"})
		s.Ack(c, 3)
		want(t, "rows", w.rows(s.id), 0)
		if err := s.Ack(old, 99); err != nil || len(old.left) != 0 {
			t.Errorf("the old socket's word counts no more: %v, left %v", err, old.left)
		}
	})
}

// A client comes back to another node while the first still lives: the first lets
// go of the old socket and hands over what is not acknowledged.
func TestResumeOnAnotherNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		a, _ := w.start(t, "a", &topic{ack: true}, Limits{})
		b, _ := w.start(t, "b", &topic{ack: true}, Limits{})
		old := &client{}
		s, _ := a.Open(t.Context(), OpenSession{Sink: old, Acks: true})
		one, _ := s.Submit(call("1"), nil)
		two, _ := s.Submit(call("2"), nil)
		a.Deliver(t.Context(), []*Reply{answer(one, 0)})
		got, c, unknown := resume(t, b, s, "1", "2")
		synctest.Wait()
		want(t, "unknown", unknown, nil)
		want(t, "old sink", old.left, []Leaving{LeaveTakenOver})
		want(t, "handed over", bodies(c), []string{"1:1"})
		a.Deliver(t.Context(), []*Reply{answer(two, 1)}) // consumed by the node that has the session no more
		synctest.Wait()
		want(t, "relayed", bodies(c), []string{"1:1", "2:2"})
		if _, err := s.Submit(call("3"), nil); err == nil || err.Word != SessionGone {
			t.Errorf("a request on the old node: %v", err)
		}
		three, err := got.Submit(call("3"), nil)
		if err != nil {
			t.Fatal(err)
		}
		if three == one || three == two {
			t.Errorf("RequestID %s was used before", three)
		}
		got.Ack(c, 2)
		want(t, "rows", w.rows(s.id), 1)
		want(t, "open on a", a.OpenRequests()+a.Sessions(), 0)
	})
}

// A node is killed: what it had not settled is consumed again by another, held
// until the client comes back, and delivered.
func TestResumeAfterANodeDied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		a, kill := w.start(t, "a", &topic{ack: true}, Limits{})
		b, _ := w.start(t, "b", &topic{ack: true}, Limits{})
		s, _ := a.Open(t.Context(), OpenSession{Sink: &client{}, Acks: true})
		id, _ := s.Submit(call("1"), nil)
		kill()
		received := &partition{}
		reply := answer(id, 7)
		reply.Receipt, reply.Token = received, Token{B: 7}
		b.Deliver(t.Context(), []*Reply{reply})
		synctest.Wait()
		want(t, "committable once held", received.offsets(), []int64{7})
		_, c, unknown := resume(t, b, s, "1")
		want(t, "unknown", unknown, nil)
		want(t, "delivered", bodies(c), []string{"1:1"})
	})
}

// Secret and subject are checked, and a session that was never there is gone.
func TestResumeNeedsTheSecret(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		a, _ := w.start(t, "a", &topic{ack: true}, Limits{})
		old := &client{}
		s, _ := a.Open(t.Context(), OpenSession{Sink: old, Acks: true, Caller: &Caller{Subject: "me"}})
		for _, o := range []ResumeSession{
			{ID: s.id, Secret: "guess", Caller: &Caller{Subject: "me"}},
			{ID: s.id, Secret: s.secret, Caller: &Caller{Subject: "you"}},
			{ID: newSessionID(), Secret: s.secret, Caller: &Caller{Subject: "me"}},
			{ID: "short", Secret: s.secret, Caller: &Caller{Subject: "me"}},
		} {
			o.Sink = &client{}
			if _, _, err := a.Resume(t.Context(), o); err == nil || err.Word != SessionGone {
				t.Errorf("resume with %+v: %v", o, err)
			}
		}
		want(t, "the session's own socket stays", len(old.left), 0)
		want(t, "sessions", a.Sessions(), 1)
	})
}

// A client that reads but does not acknowledge frees the partition's commits
// after a while: its replies are held, leave memory, and come again on resume.
func TestUnacknowledgedIsHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		a, _ := w.start(t, "a", &topic{ack: true}, Limits{Patience: 5 * time.Second})
		received := &partition{}
		old := &client{}
		s, _ := a.Open(t.Context(), OpenSession{Sink: old, Acks: true})
		for n := range int64(2) {
			id, _ := s.Submit(call(strconv.FormatInt(n, 10)), nil)
			reply := answer(id, n)
			reply.Receipt, reply.Token = received, Token{B: n}
			a.Deliver(t.Context(), []*Reply{reply})
			time.Sleep(3 * time.Second)
			synctest.Wait()
		}
		want(t, "committable after 6 s", received.offsets(), []int64{0})
		want(t, "in the table", w.held(s.id), 1)
		time.Sleep(3 * time.Second)
		synctest.Wait()
		want(t, "bytes in memory", s.inMemory(), 0)
		_, c, _ := resume(t, a, s)
		want(t, "delivered again", bodies(c), []string{"0:1", "1:2"})
		want(t, "left", old.left, []Leaving{LeaveTakenOver})
		s.Ack(c, 2)
		want(t, "held after the acknowledgement", w.held(s.id), 0)
		want(t, "receipts", received.offsets(), []int64{0, 1})
	})
}

// Memory is bounded: a session with too much unacknowledged loses its socket, and
// nothing else.
func TestTooMuchUnacknowledged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		a, _ := w.start(t, "a", &topic{ack: true}, Limits{Unacked: 60})
		old := &client{}
		s, _ := a.Open(t.Context(), OpenSession{Sink: old, Acks: true})
		for n := range 5 {
			id, _ := s.Submit(call(strconv.Itoa(n)), nil)
			a.Deliver(t.Context(), []*Reply{answer(id, int64(n))}) // 28 bytes each
			if n == 2 {
				want(t, "left", old.left, []Leaving{LeaveUnread})
			}
		}
		synctest.Wait()
		if n := s.inMemory(); n > 60 {
			t.Errorf("%d bytes are kept in memory", n)
		}
		_, c, _ := resume(t, a, s)
		want(t, "delivered again", bodies(c), []string{"0:1", "1:2", "2:3", "3:4", "4:5"})
	})
}

// That the table gives nobody a session is told once, however many ask, and again when it does.
func TestResumesAreStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lines bytes.Buffer
		w := newWorld()
		w.log = slog.New(slog.NewTextHandler(&lines, nil))
		a, _ := w.start(t, "a", &topic{}, Limits{})
		b, _ := w.start(t, "b", &topic{}, Limits{})
		s, _ := a.Open(t.Context(), OpenSession{Sink: &client{}, Acks: true})
		for range 2 {
			w.sever("b")
			for range 3 {
				_, _, err := b.Resume(t.Context(), ResumeSession{ID: s.id, Secret: s.secret, Sink: &client{}})
				want(t, "while it is cut off", err.Word, Unavailable)
			}
			w.restore("b")
			resume(t, b, s)
			resume(t, b, s)
		}
		want(t, "told that they cannot", strings.Count(lines.String(), "sessions cannot be resumed now"), 2)
		want(t, "and can", strings.Count(lines.String(), "sessions are resumed again"), 2)
	})
}

// The table loses a take-over, so that two nodes have the session by the same epoch, one
// after the other. What each of them makes has a number of its own: not every name has a
// salt that would tell them apart.
func TestTakeoverIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		_, b, c, s := w.three(t)
		numbers := make(map[uint64]bool)
		for _, at := range []*Router{b, c} {
			w.mu.Lock()
			e := w.sessions[s.id]
			e.Epoch, e.owner, e.rows = 1, "a", make(map[uint64]Row)
			w.mu.Unlock()
			moved, _, _ := resume(t, at, s)
			want(t, "epoch", moved.epoch, 2)
			id, err := moved.Submit(call("1"), nil)
			if err != nil {
				t.Fatal(err)
			}
			_, n, _ := id.Split()
			numbers[n] = true
		}
		want(t, "numbers", len(numbers), 2)
	})
}

// A session without a socket ends when its window has passed.
func TestResumeWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		a, _ := w.start(t, "a", &topic{ack: true}, Limits{Resume: time.Minute})
		old := &client{}
		s, _ := a.Open(t.Context(), OpenSession{Sink: old, Acks: true})
		s.Submit(call("1"), nil)
		s.Detach(old)
		time.Sleep(50 * time.Second)
		_, c, _ := resume(t, a, s)
		time.Sleep(2 * time.Minute)
		want(t, "sessions while attached", a.Sessions(), 1)
		s.Detach(c)
		time.Sleep(61 * time.Second)
		synctest.Wait()
		want(t, "sessions", a.Sessions()+len(w.sessions)+a.OpenRequests(), 0)
	})
}

// A node that was taken for dead lets go of all its sockets and keeps nothing.
func TestRemovedNodeLetsGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		a, _ := w.start(t, "a", &topic{ack: true}, Limits{})
		resumable, plain, parked := &client{}, &client{}, &client{}
		s, _ := a.Open(t.Context(), OpenSession{Sink: resumable, Acks: true})
		s.Submit(call("1"), nil)
		a.Open(t.Context(), OpenSession{Sink: plain})
		http, _ := a.Open(t.Context(), OpenSession{})
		http.Submit(call(""), parked)
		a.Removed()
		want(t, "resumable", resumable.left, []Leaving{LeaveRemoved})
		want(t, "plain", plain.left, []Leaving{LeaveRemoved})
		want(t, "parked", bodies(parked), []string{":unavailable"})
		want(t, "left over", a.Sessions()+a.OpenRequests(), 0)
		want(t, "sessions that may be resumed", len(w.sessions), 1)
	})
}

// Whatever the order of things (sockets that drop, clients that come back here or
// there, replies that are consumed by any node, acknowledgements that come late or
// never, nodes that die and return), each request ends once, with its own answer.
func TestManySchedules(t *testing.T) {
	from, to := seeds(100)
	for seed := from; seed < to; seed++ {
		synctest.Test(t, func(t *testing.T) { schedule(t, seed) })
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// seeds is which schedules are tried, from one to before another: those below n, unless
// PARLEY_TEST_SEEDS says otherwise ("1000:2000").
func seeds(n uint64) (from, to uint64) {
	if _, err := fmt.Sscanf(os.Getenv("PARLEY_TEST_SEEDS"), "%d:%d", &from, &to); err == nil {
		return from, to
	}
	return 0, n
}

// answering is a service: it answers what is produced, through a random node that
// lives. What a node dies over is consumed again by another.
type answering struct {
	w      *world
	mu     sync.Mutex
	random *rand.Rand
	next   int64
	log    map[int64]*Reply // not settled
	busy   sync.WaitGroup
}

func (a *answering) Done(t Token) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.log, t.B)
}

func (a *answering) Produce(q *Request) {
	a.mu.Lock()
	n, delay := a.next, time.Duration(a.random.IntN(3000))*time.Millisecond
	a.next++
	reply := answer(q.ID, n)
	a.log[n] = reply
	a.mu.Unlock()
	go q.Produced(RecordAt{}, nil)
	a.busy.Go(func() {
		time.Sleep(delay)
		a.consume(n, reply)
	})
}

// consume hands a record to a random node.
func (a *answering) consume(n int64, reply *Reply) {
	again := plain(reply)
	again.Consumed, again.Receipt, again.Token = time.Now(), a, Token{B: n}
	a.w.mu.Lock()
	var nodes []*Router
	for _, name := range []NodeID{"a", "b", "c"} {
		if r := a.w.nodes[name]; r != nil {
			nodes = append(nodes, r)
		} else if cut := a.w.away[name]; cut != nil {
			nodes = append(nodes, cut.router) // it can reach Kafka
		}
	}
	a.w.mu.Unlock()
	a.mu.Lock()
	i := a.random.IntN(len(nodes))
	a.mu.Unlock()
	nodes[i].Deliver(context.Background(), []*Reply{again})
}

// again consumes anew all that a dead node may have left unsettled.
func (a *answering) again() {
	a.mu.Lock()
	left := make(map[int64]*Reply)
	for n, r := range a.log {
		if time.Since(r.Consumed) > 4*time.Second {
			left[n] = r
		}
	}
	a.mu.Unlock()
	for n, r := range left {
		a.consume(n, r)
	}
}

// slowly answers how long each step takes: often no time at all.
func slowly(seed uint64) func() time.Duration {
	var mu sync.Mutex
	random := rand.New(rand.NewPCG(seed, 4))
	return func() time.Duration {
		mu.Lock()
		defer mu.Unlock()
		return time.Duration(max(0, random.IntN(40)-20)) * time.Millisecond
	}
}

// undertaker answers what buries a dead node: at once, or where it is slow after a while.
func (w *world) undertaker(random *rand.Rand, slow bool) (bury func(name NodeID)) {
	if !slow {
		return w.bury
	}
	return func(name NodeID) {
		time.AfterFunc(time.Duration(random.IntN(300))*time.Millisecond, func() { w.bury(name) })
	}
}

func schedule(t *testing.T, seed uint64) {
	random := rand.New(rand.NewPCG(seed, 2))
	w := newWorld()
	w.slow, w.thinks = slowly(seed), slowly(seed+1)
	service := &answering{w: w, random: rand.New(rand.NewPCG(seed, 3)), log: make(map[int64]*Reply)}
	kills := make(map[NodeID]func())
	for _, name := range []NodeID{"a", "b", "c"} {
		_, kills[name] = w.start(t, name, service, Limits{Patience: 500 * time.Millisecond, Unacked: 200})
	}
	names := []NodeID{"a", "b", "c"}
	node := func() *Router {
		w.mu.Lock()
		defer w.mu.Unlock()
		for {
			if r := w.nodes[names[random.IntN(3)]]; r != nil {
				return r
			}
		}
	}
	c := &client{}
	s, err := node().Open(context.Background(), OpenSession{Sink: c, Acks: true})
	if err != nil {
		t.Fatal(err)
	}
	sent := make(map[string]RequestID)
	seen := make(map[string]string) // what the client has got, by its id
	look := func() {
		for _, d := range c.outcomes() {
			got := "error " + fmt.Sprint(d.Err)
			if d.Err == nil {
				got = string(d.Reply.Body)
			}
			if before, twice := seen[d.ClientID]; twice && before != got {
				t.Errorf("request %s ended as %s and as %s", d.ClientID, before, got)
			}
			seen[d.ClientID] = got
		}
	}
	back := func() {
		look()
		for {
			c = &client{}
			open := []string{}
			for id := range sent {
				if _, ended := seen[id]; !ended {
					open = append(open, id)
				}
			}
			resumed, missing, err := node().Resume(context.Background(), ResumeSession{ID: s.id, Secret: s.secret, Open: open, Sink: c})
			if err == nil {
				s = resumed
				if len(missing.IDs) > 0 {
					t.Errorf("unknown requests: %v", missing)
				}
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
	// What was asked or acknowledged while its node was cut off only that node knows.
	secrets := false
	cut := func() bool { return w.away[s.router.node] != nil }
	for step := range 60 {
		switch random.IntN(11) {
		case 10:
			if len(w.away) > 0 {
				for name := range w.away {
					w.restore(name)
				}
				break
			}
			victim := names[random.IntN(3)]
			w.sever(victim)
			secrets = false
			if time.Sleep(time.Duration(random.IntN(500)) * time.Millisecond); random.IntN(3) > 0 {
				w.remove(victim)
			}
		case 0, 1, 2, 3:
			id := strconv.Itoa(step)
			rid, err := s.Submit(call(id), nil)
			if err == nil {
				sent[id] = rid
				secrets = secrets || cut()
			} else if err.Word == SessionGone {
				back()
			}
		case 4, 5:
			if n := len(c.outcomes()); n > 0 {
				look()
				s.Ack(c, uint64(1+random.IntN(n)))
				secrets = secrets || cut()
			}
		case 6:
			if cut() && secrets {
				break
			}
			s.Detach(c)
			time.Sleep(time.Duration(random.IntN(1500)) * time.Millisecond)
			back()
		case 7:
			if !cut() || !secrets {
				back()
			}
		case 8:
			if victim := names[random.IntN(3)]; random.IntN(3) == 0 && len(w.away) == 0 {
				kills[victim]()
				w.bury(victim)
				synctest.Wait()
				if _, elsewhere := w.nodes[s.router.node]; !elsewhere {
					back()
				}
				_, kills[victim] = w.start(t, victim, service, Limits{Patience: 500 * time.Millisecond, Unacked: 200})
			}
		case 9:
			time.Sleep(time.Duration(random.IntN(1000)) * time.Millisecond)
		}
	}
	service.busy.Wait()
	for name := range w.away {
		w.restore(name)
	}
	for range 5 {
		time.Sleep(5 * time.Second)
		service.again()
		back()
		synctest.Wait()
		look()
		s.Ack(c, s.seq)
	}
	for id, rid := range sent {
		if seen[id] != string(rid) {
			t.Errorf("request %s got %q, want %q", id, seen[id], rid)
		}
	}
	s.Ack(c, s.seq)
	synctest.Wait()
	if e := w.sessions[s.id]; len(e.rows) > 0 || len(e.held) > 0 {
		t.Errorf("seed %d: left in the table: %v, %d held; open here %d, unacked %d, sink is %v", seed, e.rows, len(e.held), len(s.open), len(s.unacked), s.sink == c)
	}
	for _, kill := range kills {
		kill()
	}
	time.Sleep(time.Second) // what was about to be read stays unread
}

// A client that goes to another node again and again gets its timeout all the same:
// a request waits no longer than its deadline and a grace.
func TestAdoptedRequestsTimeOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		a, _ := w.start(t, "a", &topic{ack: true}, Limits{})
		b, _ := w.start(t, "b", &topic{ack: true}, Limits{})
		c := &client{}
		s, _ := a.Open(t.Context(), OpenSession{Sink: c, Acks: true})
		slow := call("1")
		slow.Timeout = time.Second
		s.Submit(slow, nil)
		began := time.Now()
		for nodes := []*Router{b, a}; len(c.outcomes()) == 0; nodes[0], nodes[1] = nodes[1], nodes[0] {
			if time.Since(began) > 10*time.Second {
				t.Fatal("no timeout")
			}
			s, c, _ = resume(t, nodes[0], s, "1")
			time.Sleep(100 * time.Millisecond)
		}
		want(t, "outcome", bodies(c), []string{"1:timeout"})
		if took := time.Since(began); took < time.Second+adoptGrace {
			t.Errorf("it timed out after %v", took)
		}
	})
}

// A node that was awake is taken for dead and comes back: its clients keep their
// sockets and get what was held for them, whoever acknowledges or not; a session that
// was resumed elsewhere stays there, and one that nobody knew of is known.
func TestReclaimed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		a, _ := w.start(t, "a", &topic{ack: true}, Limits{})
		b, _ := w.start(t, "b", &topic{ack: true}, Limits{})
		stays, goes, plain, parked, late := &client{}, &client{}, &client{}, &client{}, &client{}
		s, _ := a.Open(t.Context(), OpenSession{Sink: stays, Acks: true})
		gone, _ := a.Open(t.Context(), OpenSession{Sink: goes, Acks: true})
		p, _ := a.Open(t.Context(), OpenSession{Sink: plain})
		http, _ := a.Open(t.Context(), OpenSession{})
		one, _ := s.Submit(call("1"), nil)
		a.Deliver(t.Context(), []*Reply{answer(one, 0)})
		w.sever("a")
		two, _ := s.Submit(call("2"), nil)
		three, _ := s.Submit(call("3"), nil)
		other, _ := p.Submit(call("4"), nil)
		call5, _ := http.Submit(call(""), parked)
		unknown, _ := a.Open(t.Context(), OpenSession{Sink: late, Acks: true})
		unknown.Submit(call("6"), nil)
		w.remove("a")
		elsewhere, _, _ := resume(t, b, gone)
		b.Deliver(t.Context(), []*Reply{answer(one, 0), answer(two, 1), answer(other, 2), answer(call5, 3)})
		synctest.Wait()
		want(t, "held meanwhile", w.held(s.id), 2)
		w.restore("a")
		synctest.Wait()
		want(t, "delivered", bodies(stays), []string{"1:1", "2:2"})
		want(t, "to the plain door", bodies(plain), []string{"4:1"})
		want(t, "to the parked call", bodies(parked), []string{":0"})
		want(t, "left", append(append(stays.left, plain.left...), late.left...), nil)
		want(t, "the one that was taken", goes.left, []Leaving{LeaveTakenOver})
		want(t, "its owner", w.sessions[gone.id].owner, elsewhere.router.node)
		want(t, "rows", []int{w.rows(s.id), w.rows(unknown.id)}, []int{3, 1})
		b.Deliver(t.Context(), []*Reply{answer(three, 4)})
		synctest.Wait()
		s.Ack(stays, 3)
		want(t, "then", bodies(stays), []string{"1:1", "2:2", "3:3"})
		want(t, "left over", w.rows(s.id)+w.held(s.id)+w.held(p.id)+w.held(http.id), 0)
	})
}

// A client that asks and resumes elsewhere at once, before its rows are written, is
// told at once that it is welcome, and a little later what is unknown: not those
// whose rows have come.
func TestRowsComeLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.lag = 5 * time.Millisecond
		a, _ := w.start(t, "a", &topic{ack: true}, Limits{})
		b, _ := w.start(t, "b", &topic{ack: true}, Limits{})
		s, _ := a.Open(t.Context(), OpenSession{Sink: &client{}, Acks: true})
		one, _ := s.Submit(call("1"), nil)
		two, _ := s.Submit(call("2"), nil)
		c, began := &client{}, time.Now()
		var welcome time.Duration
		go func() {
			time.Sleep(time.Millisecond)
			b.Deliver(t.Context(), []*Reply{answer(two, 1)}) // before its row
		}()
		got, missing, err := b.Resume(t.Context(), ResumeSession{
			ID: s.id, Secret: s.secret, Open: []string{"1", "2", "nonsense"}, Sink: c,
			Attached: func(*Session) { welcome = time.Since(began) },
		})
		if err != nil {
			t.Fatal(err)
		}
		want(t, "welcome after", welcome, 0)
		want(t, "missing", missing, Missing{[]string{"nonsense"}, true})
		want(t, "delivered", bodies(c), []string{"2:1"})
		b.Deliver(t.Context(), []*Reply{answer(one, 0)})
		want(t, "delivered", bodies(c), []string{"2:1", "1:2"})
		got.Ack(c, 2)
		synctest.Wait()
		want(t, "rows", w.rows(s.id), 0)
	})
}
