package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"parley/routing"
)

// waits is a Waits that remembers.
type waits struct {
	mu    sync.Mutex
	of    map[routing.Entity][]routing.RequestID
	asked int
	away  error
	slow  bool // what is to be removed still is to be
}

func (w *waits) Waiting(_ context.Context, about []routing.Entity) ([][]routing.RequestID, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked++
	if w.away != nil {
		return nil, w.away
	}
	found := make([][]routing.RequestID, len(about))
	for i, entity := range about {
		found[i] = slices.Clone(w.of[entity])
	}
	return found, nil
}

func (w *waits) Unwait(about routing.Entity, id routing.RequestID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.slow {
		return
	}
	w.of[about] = slices.DeleteFunc(w.of[about], func(other routing.RequestID) bool { return other == id })
}

func (w *waits) set(away error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.away = away
}

func (w *waits) left(about routing.Entity) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.of[about])
}

// eventsOf runs a consumer of events until the test ends, or it is stopped.
func (k *testKafka) eventsOf(t *testing.T, o EventsOptions) (*Events, func()) {
	t.Helper()
	e, err := NewEvents(k.Config, o)
	if err != nil {
		t.Fatal(err)
	}
	return e, run(t, e.Run)
}

// event is a record of a topic of events.
func eventOf(topic, key, state string) *kgo.Record {
	return &kgo.Record{Topic: topic, Key: []byte(key), Value: fmt.Appendf(nil, `{"state":%q}`, state), Headers: headers("kind", "order")}
}

// orders are the options of a consumer that answers the service orders.
func (k *testKafka) orders(t *testing.T, topic string, w *waits, to *heap) EventsOptions {
	t.Helper()
	done, err := CompileCondition(`event.state in ["VALIDATED", "FAILED"]`)
	if err != nil {
		t.Fatal(err)
	}
	return EventsOptions{
		RepliesOptions: RepliesOptions{Group: "parley-" + k.name + ".events", Node: "a", Boot: unique(), Commit: 50 * time.Millisecond, ShutdownWait: 50 * time.Millisecond, Observer: &tally{}},
		Services:       []EventService{{"orders", topic, done}}, Waits: w, To: to,
	}
}

// tally is an Observer that remembers.
type tally struct {
	mu sync.Mutex
	n  map[string]int
}

func (c *tally) Count(_ routing.Counter, label string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n == nil {
		c.n = make(map[string]int)
	}
	c.n[label]++
}

func (c *tally) get(label string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n[label]
}

// An event that somebody waits for becomes the answer of all who wait for it. Its
// offset is committed, and its waits are removed, when all of them have it; a later
// event that would do as well answers nobody meanwhile. Others cost no look-up.
func TestAnEventAnswers(t *testing.T) {
	k := newKafka(t)
	topic := k.topic(t, "events", 1)
	about, second := routing.Entity{Service: "orders", Key: "o-1"}, routing.Entity{Service: "orders", Key: "o-2"}
	w, got := &waits{of: map[routing.Entity][]routing.RequestID{about: {"S.1", "T.4"}, second: {"S.2"}}}, newHeap()
	o := k.orders(t, topic, w, got)
	e, _ := k.eventsOf(t, o)
	until(t, "assignment", nil, e.Assigned)
	k.write(t, eventOf(topic, "o-1", "CREATED"), eventOf(topic, "o-9", "CREATED"), &kgo.Record{Topic: topic, Value: []byte("{")})
	until(t, "the commit of what answers nobody", nil, func() bool { return k.committed(t, o.Group, topic, 0) == 3 })
	if w.asked != 0 {
		t.Errorf("asked %d times about events that satisfy nobody", w.asked)
	}
	k.write(t, eventOf(topic, "o-1", "VALIDATED"))
	until(t, "the answers", got.news, func() bool { return len(got.all()) == 2 })
	first := got.all()
	for i, id := range []routing.RequestID{"S.1", "T.4"} {
		if r := first[i]; r.ID != id || !r.Final || string(r.Body) != `{"state":"VALIDATED"}` || r.From.Offset != 3 || r.Headers[0].Key != "kind" {
			t.Errorf("answer %d: %+v", i, r)
		}
	}
	settle(first[0])
	k.write(t, eventOf(topic, "o-1", "FAILED"), eventOf(topic, "o-2", "FAILED"))
	until(t, "the third answer", got.news, func() bool { return len(got.all()) == 3 })
	settle(got.all()[2])
	if left := w.left(about); left != 1 {
		t.Errorf("%d wait for o-1, want one: whose answer is not safe", left)
	}
	if at := k.committed(t, o.Group, topic, 0); at != 3 {
		t.Errorf("committed %d before all have the answer", at)
	}
	settle(first[1])
	until(t, "the commit of all", nil, func() bool { return k.committed(t, o.Group, topic, 0) == 6 })
	seen := o.Observer.(*tally)
	if w.left(about)+w.left(second) != 0 || seen.get("answered") != 2 || seen.get("unawaited") != 1 || seen.get("unrelated") != 2 || seen.get("not_json") != 1 {
		t.Errorf("waits %v, counts %v", w.of, seen.n)
	}
}

// infos counts what is logged at info or above, by its text.
type infos struct {
	tally
	slog.Handler
}

func (i *infos) Enabled(context.Context, slog.Level) bool { return true }
func (i *infos) WithAttrs([]slog.Attr) slog.Handler       { return i }
func (i *infos) Handle(_ context.Context, r slog.Record) error {
	if r.Level >= slog.LevelInfo {
		i.Count(routing.Events, r.Message)
	}
	return nil
}

// A topic full of events that no condition can be asked about is counted event by
// event, and told of once.
func TestStrangeEventsAreToldOnce(t *testing.T) {
	k := newKafka(t)
	log := new(infos)
	k.Log = slog.New(log)
	topic := k.topic(t, "events", 1)
	o := k.orders(t, topic, &waits{of: map[routing.Entity][]routing.RequestID{}}, newHeap())
	e, _ := k.eventsOf(t, o)
	until(t, "assignment", nil, e.Assigned) // what came before that is history
	for range 3 {
		k.write(t, &kgo.Record{Topic: topic, Value: []byte("{")})
	}
	until(t, "the commit of all", nil, func() bool { return k.committed(t, o.Group, topic, 0) == 3 })
	if n, told := o.Observer.(*tally).get("not_json"), log.get("event passed over"); n != 3 || told != 1 {
		t.Errorf("%d events were counted, and told of %d times", n, told)
	}
}

// A node that ends with an answer out leaves the event, and its wait, to the next.
func TestAnEventOutlivesItsNode(t *testing.T) {
	k := newKafka(t)
	topic := k.topic(t, "events", 2)
	about := routing.Entity{Service: "orders", Key: "o-1"}
	w, got := &waits{of: map[routing.Entity][]routing.RequestID{about: {"S.1"}}}, newHeap()
	o := k.orders(t, topic, w, got)
	e, stop := k.eventsOf(t, o)
	until(t, "assignment", nil, e.Assigned)
	k.write(t, eventOf(topic, "o-1", "FAILED"))
	until(t, "the answer", got.news, func() bool { return len(got.all()) == 1 })
	stop()
	o.Node, o.Boot = "b", unique()
	k.eventsOf(t, o)
	until(t, "the answer once more", got.news, func() bool { return len(got.all()) == 2 })
	if w.left(about) != 1 {
		t.Error("the wait was removed before its answer was safe")
	}
	settle(got.all()...)
}

// The answer of a request is safe, and the table still says that it waits: that it does
// not is to be written yet, or it was noted again by a node that wrote its sessions anew. A
// later event is no answer; the same one is, consumed again.
func TestOnlyTheFirstEventAnswers(t *testing.T) {
	k := newKafka(t)
	topic := k.topic(t, "events", 1)
	w, got := &waits{of: map[routing.Entity][]routing.RequestID{{Service: "orders", Key: "o-1"}: {"S.1"}}, slow: true}, newHeap()
	o := k.orders(t, topic, w, got)
	e, _ := k.eventsOf(t, o)
	until(t, "assignment", nil, e.Assigned)
	k.write(t, eventOf(topic, "o-1", "VALIDATED"))
	until(t, "the answer", got.news, func() bool { return len(got.all()) == 1 })
	settle(got.all()...)
	until(t, "its commit", nil, func() bool { return k.committed(t, o.Group, topic, 0) == 1 })
	k.write(t, eventOf(topic, "o-1", "FAILED"))
	until(t, "the commit of the other", nil, func() bool { return k.committed(t, o.Group, topic, 0) == 2 })
	if n := len(got.all()); n != 1 {
		t.Errorf("%d answers, want the first", n)
	}
	at := place64{place{topic, 0}, 0}
	if !e.flights.start("S.1", at) {
		t.Error("the event that answered is refused when it comes again")
	}
}

// So many are remembered, at least and at most.
func TestFlightsAreBounded(t *testing.T) {
	f, first, later := newFlights(), place64{offset: 1}, place64{offset: 2}
	id := func(n int) routing.RequestID { return routing.RequestID(fmt.Sprint(n)) }
	for n := range 3 * remembered {
		f.start(id(n), first)
		f.end(id(n))
		f.end(id(n))
		if oldest := n - remembered + 1; oldest >= 0 && f.start(id(oldest), later) {
			t.Fatalf("request %d is forgotten after %d", oldest, n)
		}
		if size := len(f.out) + len(f.landed) + len(f.before); size > 2*remembered {
			t.Fatalf("%d are remembered", size)
		}
	}
	if !f.start(id(0), later) {
		t.Error("the first is remembered for ever")
	}
}

// An event of the time between the end of a gateway's only node and its next start
// is not lost, even where its partition was never read from before.
func TestEventsOfTheMeantime(t *testing.T) {
	k := newKafka(t)
	topic := k.topic(t, "events", 3)
	about := routing.Entity{Service: "orders", Key: "o-1"}
	w, got := &waits{of: map[routing.Entity][]routing.RequestID{about: {"S.1"}}}, newHeap()
	o := k.orders(t, topic, w, got)
	_, stop := k.eventsOf(t, o)
	until(t, "a commit of where each partition starts", nil, func() bool {
		return k.committed(t, o.Group, topic, 0) == 0 && k.committed(t, o.Group, topic, 1) == 0 && k.committed(t, o.Group, topic, 2) == 0
	})
	stop()
	k.write(t, eventOf(topic, "o-1", "FAILED"))
	o.Boot = unique()
	late, err := NewEvents(k.Config, o)
	if err != nil {
		t.Fatal(err)
	}
	late.since = time.Now().Add(time.Hour) // as if the event were older than it reads by itself
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = late.Run(ctx) })
	defer running.Wait()
	defer cancel()
	until(t, "the answer", got.news, func() bool { return len(got.all()) == 1 })
	settle(got.all()...)
}

// While the table is away events wait in Kafka, and answer when it is back.
func TestEventsWaitForTheTable(t *testing.T) {
	k := newKafka(t)
	topic := k.topic(t, "events", 1)
	w, got := &waits{of: map[routing.Entity][]routing.RequestID{{Service: "orders", Key: "o-1"}: {"S.1"}}, away: errors.New("away")}, newHeap()
	e, _ := k.eventsOf(t, k.orders(t, topic, w, got))
	until(t, "assignment", nil, e.Assigned)
	k.write(t, eventOf(topic, "o-1", "FAILED"))
	until(t, "a second try", nil, func() bool { w.mu.Lock(); defer w.mu.Unlock(); return w.asked > 1 })
	w.set(nil)
	until(t, "the answer", got.news, func() bool { return len(got.all()) == 1 })
	settle(got.all()...)
}

// subscribers is a Feeds that remembers.
type subscribers map[routing.Feed][]routing.SessionID

func (s subscribers) Subscribers(_ context.Context, feeds []routing.Feed) ([][]routing.SessionID, error) {
	found := make([][]routing.SessionID, len(feeds))
	for i, feed := range feeds {
		found[i] = s[feed]
	}
	return found, nil
}

// An event is pushed to every session that has subscribed to its key, and may answer a
// request at the same time; it is committed when all of them have it. A push says which one
// its reader has made for the session before. The first come when the node has caught up.
func TestEventsArePushed(t *testing.T) {
	k := newKafka(t)
	topic := k.topic(t, "events", 1)
	about := routing.Entity{Service: "orders", Key: "o-1"}
	w, got := &waits{of: map[routing.Entity][]routing.RequestID{about: {"S.1"}}}, newHeap()
	o := k.orders(t, topic, w, got)
	o.Topics, o.Feeds = []string{topic}, subscribers{{Topic: topic, Key: "o-1"}: {"A", "B"}}
	e, _ := k.eventsOf(t, o)
	until(t, "assignment", nil, e.Assigned)
	k.write(t, eventOf(topic, "o-2", "CREATED"), eventOf(topic, "o-1", "CREATED"), eventOf(topic, "o-1", "FAILED"))
	until(t, "the answer and the pushes", got.news, func() bool { return len(got.all()) == 5 })
	seen := make(map[routing.RequestID]string)
	for _, r := range got.all() {
		seen[r.ID] = string(r.Body)
		if before := map[int64]int64{1: 0, 2: 2}[r.From.Offset]; r.ID != "S.1" && r.After != before {
			t.Errorf("%s stands behind %d, want %d", r.ID, r.After, before)
		}
	}
	if n := got.caughtUp.Load(); n != 1 {
		t.Errorf("caught up %d times", n)
	}
	second, third := routing.RecordAt{Topic: topic, Offset: 1}, routing.RecordAt{Topic: topic, Offset: 2}
	for id, body := range map[routing.RequestID]string{
		"S.1": `{"state":"FAILED"}`, routing.PushID("A", second): `{"state":"CREATED"}`, routing.PushID("A", third): `{"state":"FAILED"}`,
		routing.PushID("B", second): `{"state":"CREATED"}`, routing.PushID("B", third): `{"state":"FAILED"}`,
	} {
		if seen[id] != body {
			t.Errorf("%s: %q, want %q", id, seen[id], body)
		}
	}
	all := got.all()
	settle(all[:4]...)
	if at := k.committed(t, o.Group, topic, 0); at > 2 {
		t.Errorf("committed %d before all have it", at)
	}
	settle(all[4])
	until(t, "the commit of all", nil, func() bool { return k.committed(t, o.Group, topic, 0) == 3 })
	if w.left(about) != 0 {
		t.Error("the wait is still there")
	}
}

// Who has subscribed to all of a topic gets each of its events once, those without a key
// and those that it follows by key as well among them; of another topic it gets nothing.
func TestAllEventsOfATopicArePushed(t *testing.T) {
	k := newKafka(t)
	topic, other := k.topic(t, "events", 1), k.topic(t, "others", 1)
	got := newHeap()
	o := k.orders(t, topic, &waits{}, got)
	o.Services, o.Topics, o.Whole = nil, []string{topic, other}, []string{topic}
	o.Feeds = subscribers{{Topic: topic}: {"A", "B"}, {Topic: topic, Key: "o-1"}: {"C", "A"}, {Topic: other}: {"A"}}
	e, _ := k.eventsOf(t, o)
	until(t, "assignment", nil, e.Assigned)
	k.write(t, eventOf(other, "o-1", "CREATED"), eventOf(topic, "o-1", "CREATED"), eventOf(topic, "o-2", "CREATED"), &kgo.Record{Topic: topic, Value: []byte("poison")})
	until(t, "the pushes", got.news, func() bool { return len(got.all()) == 7 })
	seen := make(map[routing.RequestID]int)
	for _, r := range got.all() {
		seen[r.ID]++
	}
	for offset, sessions := range [][]routing.SessionID{{"A", "B", "C"}, {"A", "B"}, {"A", "B"}} {
		for _, session := range sessions {
			if id := routing.PushID(session, routing.RecordAt{Topic: topic, Offset: int64(offset)}); seen[id] != 1 {
				t.Errorf("event %d came to %s %d times", offset, session, seen[id])
			}
		}
	}
	settle(got.all()...)
	until(t, "the commits", nil, func() bool { return k.committed(t, o.Group, topic, 0) == 3 })
}
