package routing

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// part is the n-th reply to a request, which says its number, as record 10*n.
func (b *bench) part(id RequestID, n int, final bool) *Reply {
	r := b.reply(id, int64(10*n))
	r.Final, r.Place, r.From = final, n+1, RecordAt{Topic: "replies", Partition: 3, Offset: int64(10 * n)}
	return r
}

// got is what a client has of the answers to requests: id, number and outcome.
func got(c *client) (all []string) {
	for _, d := range c.outcomes() {
		text := fmt.Sprintf("%s.%d", d.ClientID, d.N)
		switch {
		case d.Err != nil:
			text = d.ClientID + ":" + string(d.Err.Word) + "/" + string(d.Err.Outcome)
		case !d.Part:
			text += "!"
		}
		all = append(all, text)
	}
	return all
}

// Parts that overtake each other are put in order by their numbers, and each comes
// once however often its service sends it; what stands behind the final one has a
// name of its own.
func TestPartsByNumber(t *testing.T) {
	b := newBench(t, Limits{})
	s, c := b.open(t, true)
	id, _ := s.Submit(call("1"), nil)
	b.deliver(t, b.part(id, 0, false), b.part(id, 3, true), b.part(id, 2, false), b.part(id, 2, false))
	want(t, "before the gap", got(c), []string{"1.0"})
	again := b.part(id, 0, false)
	again.From.Offset = 100 // the service has answered the same record twice
	b.deliver(t, again, b.part(id, 1, false))
	want(t, "all", got(c), []string{"1.0", "1.1", "1.2", "1.3!"})
	again = b.part(id, 1, false)
	again.From.Offset = 110
	b.deliver(t, again, b.part(id, 4, false))
	want(t, "duplicates", b.counted.get("drops duplicate"), 3)
	want(t, "after the final one", b.counted.get("drops after_final"), 1)
	s.Ack(c, 4)
	want(t, "settled", len(b.received.offsets()), 8)
}

// A number that never comes ends the request, after a while and by name. What had
// come behind it is dropped, and its record need not be kept.
func TestGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Limits{InFlight: 10})
		s, c := b.open(t, true)
		slow := call("1")
		slow.Timeout = time.Minute
		id, _ := s.Submit(slow, nil)
		b.deliver(t, b.part(id, 0, false), b.part(id, 2, false), b.part(id, 3, false))
		time.Sleep(9 * time.Second)
		want(t, "in time", got(c), []string{"1.0"})
		time.Sleep(2 * time.Second)
		synctest.Wait()
		want(t, "then", got(c), []string{"1.0", "1:internal/unknown"})
		want(t, "dropped", b.counted.get("drops gap"), 2)
		b.deliver(t, b.part(id, 1, false))
		want(t, "late", b.counted.get("drops late"), 1)
		s.Ack(c, 2)
		want(t, "settled", len(b.received.offsets()), 4)
		want(t, "open", b.OpenRequests(), 0)

		slow.ClientID = "2"
		id, _ = s.Submit(slow, nil)
		b.deliver(t, b.part(id, 1, true))
		time.Sleep(11 * time.Second)
		synctest.Wait()
		want(t, "the final one is there", got(c)[2:], []string{"2:internal/done"})
	})
}

// A client gets as many parts as it said that it is ready for. The others wait, and
// hold up neither another request nor, for long, the commits; the outcome comes
// behind them, whatever the deadline says.
func TestCredit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		b := &bench{topic: &topic{ack: true}, received: &partition{}}
		b.Router, _ = w.start(t, "a", b.topic, Limits{Unacked: 1000})
		c := &client{}
		s, _ := b.Open(t.Context(), OpenSession{Sink: c, Acks: true})
		stream := call("1")
		stream.Limited, stream.Credit, stream.Timeout = true, 2, time.Second
		id, _ := s.Submit(stream, nil)
		for n := range 8 {
			r := b.part(id, n, n == 7)
			r.Body = make([]byte, 400) // more than may be unacknowledged
			b.deliver(t, r)
		}
		want(t, "at first", got(c), []string{"1.0", "1.1"})
		other, _ := s.Submit(call("2"), nil)
		b.deliver(t, b.reply(other, 500))
		want(t, "another request", got(c)[2:], []string{"2.0!"})
		s.Ack(c, 3)
		time.Sleep(6 * time.Second)
		synctest.Wait()
		want(t, "settled after a while", len(b.received.offsets()), 9)
		want(t, "held", w.held(s.id), 6)
		want(t, "more for an open one", s.Credit("1", 2), true)
		want(t, "more for none", s.Credit("2", 2), false)
		want(t, "then", got(c)[3:], []string{"1.2", "1.3"})
		s.Ack(c, 5)
		s.Credit("1", 2)
		s.Ack(c, 7)
		s.Credit("1", 1)
		want(t, "the rest", got(c)[5:], []string{"1.4", "1.5", "1.6", "1.7!"})
		want(t, "left", len(c.left), 0)
		s.Ack(c, 9)
		synctest.Wait()
		want(t, "held at the end", w.held(s.id), 0)
		want(t, "rows", w.rows(s.id), 0)
		want(t, "waits", s.waits+int(s.router.waiting.Load()), 0)
	})
}

// Of a stream without a reader no more waits than may: its request ends, by name,
// and no other is affected.
func TestStreamsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Limits{Stream: 2000, Unacked: 1000})
		s, c := b.open(t, true)
		stream := call("1")
		stream.Limited = true
		id, _ := s.Submit(stream, nil)
		s.Submit(call("2"), nil)
		for n := range 20 {
			b.deliver(t, b.part(id, n, false))
		}
		want(t, "outcome", got(c), []string{"1:overloaded/unknown"})
		want(t, "dropped", b.counted.get("drops no_credit"), 8)
		want(t, "late", b.counted.get("drops late"), 12)
		want(t, "settled", len(b.received.offsets()), 20)
		want(t, "the socket stays", len(c.left), 0)
		want(t, "open", s.OpenRequests(), 1)
		want(t, "waits", s.waits+int(s.router.waiting.Load()), 0)
	})
}

// Every way to end a request early drops what waits for it, settled.
func TestEndsWhileItWaits(t *testing.T) {
	for name, end := range map[string]func(s *Session, id RequestID){
		"cancel":  func(s *Session, _ RequestID) { s.Cancel("1") },
		"abandon": func(s *Session, id RequestID) { s.Abandon(id) },
		"close":   func(s *Session, _ RequestID) { s.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, Limits{})
			s, _ := b.open(t, true)
			stream := call("1")
			stream.Limited = true
			id, _ := s.Submit(stream, nil)
			b.deliver(t, b.part(id, 0, false), b.part(id, 1, false), b.part(id, 3, false), b.part(id, 2, true))
			end(s, id)
			want(t, "settled", len(b.received.offsets()), 4)
			want(t, "waits", s.waits+int(s.router.waiting.Load()), 0)
			want(t, "open", b.OpenRequests(), 0)
		})
	}
}

// A stream that times out gives its client the parts that had come, when it is ready
// for them, and then the timeout.
func TestTimeoutBehindParts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Limits{})
		s, c := b.open(t, true)
		stream := call("1")
		stream.Limited, stream.Credit = true, 1
		id, _ := s.Submit(stream, nil)
		b.deliver(t, b.part(id, 0, false), b.part(id, 1, false))
		time.Sleep(2 * time.Second)
		synctest.Wait()
		b.deliver(t, b.part(id, 2, false))
		want(t, "before", got(c), []string{"1.0"})
		s.Credit("1", 5)
		want(t, "after", got(c), []string{"1.0", "1.1", "1:timeout/unknown"})
		want(t, "late", b.counted.get("drops late"), 1)
	})
}

// A call with a sink of its own settles parts as they come, and is told of no more
// than it is ready for.
func TestCreditOfOwnSink(t *testing.T) {
	b := newBench(t, Limits{})
	s, _ := b.open(t, false)
	c := &client{}
	stream := call("")
	stream.Limited, stream.Credit = true, 1
	id, _ := s.Submit(stream, c)
	b.deliver(t, b.part(id, 0, false), b.part(id, 1, false), b.part(id, 2, true))
	want(t, "at first", got(c), []string{".0"})
	want(t, "settled", b.received.offsets(), []int64{10, 20})
	s.Ready(id, 1)
	want(t, "then", got(c), []string{".0", ".1", ".2!"})
	s.Ready(id, 1) // it has ended
}

// reader is a client that reads streams: it knows what it has, by (id, n), gives
// credit, and says both when it comes back.
type reader struct {
	t    *testing.T
	sink *client
	seen int // of the sink's deliveries
	seq  uint64
	next map[string]int
	last map[string]string // outcomes
	give map[string]int    // number of the first part that it is not ready for
}

func newReader(t *testing.T) *reader {
	return &reader{t: t, sink: &client{}, next: make(map[string]int), last: make(map[string]string), give: make(map[string]int)}
}

// read takes what has been delivered. A part that is left out is a mistake.
func (r *reader) read() {
	all := r.sink.outcomes()
	for _, d := range all[r.seen:] {
		switch {
		case d.Err != nil:
			r.last[d.ClientID] = string(d.Err.Word)
		case !d.Part:
			r.last[d.ClientID] = string(d.Reply.Body)
		case d.N > r.next[d.ClientID]:
			r.t.Errorf("request %s: part %d came, %d was missing", d.ClientID, d.N, r.next[d.ClientID])
		case d.N == r.next[d.ClientID]:
			if body := strconv.Itoa(d.N); string(d.Reply.Body) != body {
				r.t.Errorf("request %s: part %d is %s", d.ClientID, d.N, d.Reply.Body)
			}
			r.next[d.ClientID]++
		}
		if d.Part && d.N >= r.give[d.ClientID] {
			r.t.Errorf("request %s: part %d came without credit", d.ClientID, d.N)
		}
		r.seq = d.Seq
	}
	r.seen = len(all)
}

// back resumes at a node.
func (r *reader) back(at *Router, s *Session) *Session {
	r.read()
	r.sink, r.seen, r.seq = &client{}, 0, 0
	o := ResumeSession{ID: s.id, Secret: s.secret, Sink: r.sink}
	for id, give := range r.give {
		if r.last[id] == "" {
			o.Open = append(o.Open, id)
			o.Streams = append(o.Streams, StreamAt{ClientID: id, Next: r.next[id], Credit: give - r.next[id]})
		}
	}
	slices.Sort(o.Open)
	for {
		resumed, unknown, err := at.Resume(context.Background(), o)
		if err == nil {
			if len(unknown.IDs) > 0 {
				r.t.Errorf("unknown: %v", unknown)
			}
			return resumed
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// reply topic of one partition: one node consumes it at a time, from what is
// committed on.
type log struct {
	records []*Reply
	at      int // of the consumer
	trail   Trail

	mu   sync.Mutex
	done []bool
}

func (l *log) Done(t Token) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.done[t.B] = true
}

func (l *log) write(id RequestID, n int, final, numbered bool) {
	r := &Reply{ID: id, Final: final, Body: []byte(strconv.Itoa(n)), From: RecordAt{Topic: "replies", Offset: int64(len(l.records))}}
	if final {
		r.Body = []byte("end")
	}
	if numbered {
		r.Place = n + 1
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.records, l.done = append(l.records, r), append(l.done, false)
}

// move starts a new consumer.
func (l *log) move(to *Router) {
	to.SetHomes(NewHomes(4, nil))
	to.SetHomes(NewHomes(4, []int32{0}))
	l.mu.Lock()
	defer l.mu.Unlock()
	l.trail = Trail{}
	for l.at = 0; l.at < len(l.done) && l.done[l.at]; l.at++ {
	}
}

func (l *log) consume(by *Router, most int) {
	for ; l.at < len(l.records) && most > 0; l.at, most = l.at+1, most-1 {
		r := plain(l.records[l.at])
		r.Place, r.Consumed, r.Receipt, r.Token = l.records[l.at].Place, time.Now(), l, Token{B: int64(l.at)}
		l.trail.Mark(r)
		by.Deliver(context.Background(), []*Reply{r})
	}
}

// gaps is a log that takes no word of streams: nothing may wait until Limits.Gap has passed.
type gaps struct{ *testing.T }

func (gaps) Enabled(context.Context, slog.Level) bool { return true }
func (g gaps) WithAttrs([]slog.Attr) slog.Handler     { return g }
func (g gaps) WithGroup(string) slog.Handler          { return g }

func (g gaps) Handle(_ context.Context, r slog.Record) error {
	if strings.HasPrefix(r.Message, "stream ") {
		g.Errorf("the log says: %s", r.Message)
	}
	return nil
}

// A socket drops in the middle of streams, or the session's node is killed, or the
// partition moves, again and again: every part comes, in order, none twice.
func TestStreamsSurvive(t *testing.T) {
	for _, kind := range []string{"numbered", "plain", "numbered slow", "plain slow"} {
		from, to := seeds(120)
		for seed := from; seed < to; seed++ {
			t.Run(fmt.Sprintf("%s %d", kind, seed), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					streams(t, seed, strings.HasPrefix(kind, "numbered"), strings.HasSuffix(kind, "slow"))
				})
			})
		}
	}
}

// streams is one schedule. Where it is slow, what nodes send each other takes a while,
// and so does the burial of a dead one: its partitions are read elsewhere before.
func streams(t *testing.T, seed uint64, numbered, slow bool) {
	random := rand.New(rand.NewPCG(seed, 1))
	w, records := newWorld(), &log{}
	w.log = slog.New(gaps{t})
	if slow {
		w.slow, w.thinks = slowly(seed), slowly(seed+1)
	}
	bury := w.undertaker(random, slow)
	limits := Limits{Patience: 500 * time.Millisecond}
	nodes, kills := make([]*Router, 2), make([]func(), 2)
	start := func(i int) { nodes[i], kills[i] = w.start(t, NodeID(rune('a'+i)), &topic{ack: true}, limits) }
	start(0)
	start(1)
	r := newReader(t)
	home, consumer := 0, 0
	s, _ := nodes[home].Open(t.Context(), OpenSession{Sink: r.sink, Acks: true})
	ids, written := make(map[string]RequestID), make(map[string]int)
	for i := range 3 {
		one := call(strconv.Itoa(i))
		one.Limited, one.Credit = true, random.IntN(6)
		ids[one.ClientID], _ = s.Submit(one, nil)
		r.give[one.ClientID] = one.Credit
	}
	const parts = 30
	for range 120 {
		switch id := strconv.Itoa(random.IntN(3)); random.IntN(12) {
		case 0, 1, 2, 3:
			for range random.IntN(6) {
				if n := written[id]; n <= parts {
					records.write(ids[id], n, n == parts, numbered)
					written[id]++
				}
			}
			records.consume(nodes[consumer], random.IntN(8))
		case 4, 5:
			r.read()
			n := random.IntN(6)
			r.give[id] += n
			s.Credit(id, n)
		case 6, 7:
			if r.read(); r.seq > 0 {
				s.Ack(r.sink, uint64(1+random.Int64N(int64(r.seq))))
			}
		case 8:
			s.Detach(r.sink)
			records.consume(nodes[consumer], random.IntN(8))
			home = random.IntN(2)
			s = r.back(nodes[home], s)
		case 9:
			time.Sleep(time.Duration(random.IntN(1000)) * time.Millisecond)
		case 10:
			kills[home]()
			bury(NodeID(rune('a' + home)))
			dead := home
			home, consumer = 1-home, 1-home
			records.move(nodes[consumer])
			s = r.back(nodes[home], s)
			start(dead)
		case 11:
			consumer = random.IntN(2)
			records.move(nodes[consumer])
		}
		synctest.Wait()
	}
	for id := range ids {
		for n := written[id]; n <= parts; n++ {
			records.write(ids[id], n, n == parts, numbered)
		}
		r.give[id] += 100
		s.Credit(id, 100)
	}
	records.consume(nodes[consumer], len(records.records))
	const wait = 3 * time.Second
	time.Sleep(wait)
	s = r.back(nodes[home], s)
	time.Sleep(wait)
	synctest.Wait()
	r.read()
	for id := range ids {
		if r.next[id] != parts || r.last[id] != "end" {
			t.Errorf("request %s: %d parts, then %q", id, r.next[id], r.last[id])
		}
	}
	s.Ack(r.sink, r.seq)
	synctest.Wait()
	want(t, "rows", w.rows(s.id), 0)
	want(t, "held", w.held(s.id), 0)
	if i := slices.Index(records.done, false); i >= 0 {
		t.Errorf("record %d is not settled", i)
	}
	kills[0]()
	kills[1]()
	time.Sleep(time.Second) // what was about to be read stays unread
}
