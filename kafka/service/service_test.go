package service

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"parley/routing"
)

func echo(_ context.Context, r *Request) error {
	return r.Reply(Answer{Body: r.Body, ContentType: r.ContentType})
}

// Whatever a handler does, its caller gets one final answer: what it replied, what
// it returned, or that it failed.
func TestAnswers(t *testing.T) {
	w := newWorld(t)
	w.serve(func(ctx context.Context, r *Request) error {
		switch string(r.Body) {
		case "silent":
			return nil
		case "no":
			return fmt.Errorf("look: %w", &Failure{Code: "not_found", Status: 404, Message: "there is none", Body: []byte("{}")})
		case "secret":
			return errors.New("password is wrong")
		case "panic":
			panic("oh")
		case "stream":
			for i := range 3 {
				if err := r.Part(Answer{Body: fmt.Append(nil, i), Status: 206}); err != nil {
					return err
				}
			}
			return nil
		case "twice":
			_ = r.Reply(Answer{Body: []byte("first")})
			if err := r.Reply(Answer{Body: []byte("second")}); !errors.Is(err, ErrAnswered) {
				t.Errorf("a second reply: got %v", err)
			}
			return nil
		case "large":
			return r.Reply(Answer{Body: make([]byte, 3<<20)})
		}
		return echo(ctx, r)
	}, nil)
	internal := reply{code: "internal", message: "the service has failed", status: "500", final: true}
	for ask, want := range map[string][]reply{
		"hello":  {{body: "hello", contentType: "text/plain", final: true}},
		"silent": {{final: true}},
		"no":     {{code: "not_found", message: "there is none", status: "404", body: "{}", final: true}},
		"secret": {internal},
		"panic":  {internal},
		"stream": {{part: "0", body: "0", status: "206"}, {part: "1", body: "1", status: "206"}, {part: "2", body: "2", status: "206"}, {part: "3", final: true}},
		"twice":  {{body: "first", final: true}},
		"large":  {{code: "too_large", message: "the answer has 3145728 bytes, which is too many", status: "500", final: true}},
	} {
		w.ask(ask, "k", ask, "content-type", "text/plain")
		got := w.await(ask)
		for i := range got {
			got[i].id, got[i].partition = "", 0
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: got %+v, want %+v", ask, got, want)
		}
	}
}

// An answer goes to the partition that the request names, and to that of its id
// where it names none or one that is not there.
func TestReplyPartition(t *testing.T) {
	w := newWorld(t)
	w.serve(echo, nil)
	for i := range 16 {
		id := fmt.Sprint("r", i)
		want, asked := routing.Murmur2.Partition([]byte(id), partitions), "99"
		if i%2 == 0 {
			want = int32(i/2) % partitions
			asked = fmt.Sprint(want)
		}
		w.ask(id, "k", "", "parley-reply-partition", asked)
		if got := w.await(id)[0].partition; got != want {
			t.Errorf("request %s with partition %s was answered on %d, want %d", id, asked, got, want)
		}
	}
}

// A notification is handled, also when it is old, and nothing comes back.
func TestNotification(t *testing.T) {
	w := newWorld(t)
	handled := make(chan error, 1)
	w.serve(func(ctx context.Context, r *Request) error {
		if !r.Wanted() {
			handled <- r.Reply(Answer{Body: []byte("to nobody")})
		}
		return nil
	}, nil)
	w.write("k", "note", "parley-deadline", "1000")
	if err := <-handled; err != nil {
		t.Errorf("reply to a notification: %v", err)
	}
	w.ask("after", "k", "")
	w.await("after")
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.got) != 1 {
		t.Errorf("got %d replies, want one: %+v", len(w.got), w.got)
	}
}

// outcomes is an Observer that remembers.
type outcomes struct {
	mu  sync.Mutex
	all map[Outcome]int
}

func (o *outcomes) Finished(_ string, how Outcome, _ time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.all == nil {
		o.all = make(map[Outcome]int)
	}
	o.all[how]++
}

func (o *outcomes) of(how Outcome) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.all[how]
}

// A request that nobody waits for is not begun, one whose deadline passes is told so,
// and neither holds up the commits of what comes behind.
func TestDeadline(t *testing.T) {
	w := newWorld(t)
	var seen outcomes
	var begun atomic.Int32
	w.serve(func(ctx context.Context, r *Request) error {
		begun.Add(1)
		if r.ID == "slow" {
			<-ctx.Done()
			if err := r.Part(Answer{}); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("a part after the deadline: %v", err)
			}
			return ctx.Err()
		}
		return echo(ctx, r)
	}, func(o *Options) { o.Observer = &seen })
	w.ask("old", "k", "", "parley-deadline", "1000")
	w.ask("slow", "k", "", "parley-deadline", fmt.Sprint(time.Now().Add(300*time.Millisecond).UnixMilli()))
	w.ask("next", "k", "")
	w.await("next")
	w.until("two to expire", func() bool { return seen.of(Expired) == 2 })
	if n := begun.Load(); n != 2 {
		t.Errorf("%d handlers were called, want 2", n)
	}
	w.until("all to be committed", func() bool { return w.committed() == 3 })
	if late := append(w.repliesTo("old"), w.repliesTo("slow")...); len(late) > 0 {
		t.Errorf("answers that nobody waits for: %+v", late)
	}
}

// A client cancels: the handler's context ends for that reason, a request that still
// waits is not begun, and a cancel of something that is over changes nothing.
func TestCancel(t *testing.T) {
	w := newWorld(t)
	var seen outcomes
	started, began := make(chan struct{}), make(chan string, 10)
	w.serve(func(ctx context.Context, r *Request) error {
		began <- r.ID
		if r.ID != "runs" {
			return echo(ctx, r)
		}
		close(started)
		<-ctx.Done()
		if cause := context.Cause(ctx); cause != ErrCancelled {
			t.Errorf("the context ended by %v", cause)
		}
		if err := r.Reply(Answer{}); err != ErrCancelled {
			t.Errorf("a reply to a cancelled request: %v", err)
		}
		return ctx.Err()
	}, func(o *Options) { o.Observer, o.Concurrency = &seen, 1 })
	w.ask("runs", "k", "")
	<-started
	w.ask("waits", "k", "")
	w.ask("stays", "k", "")
	for _, id := range []string{"waits", "unknown", "runs"} {
		w.write("k", "", "parley-cancel", id, "parley-service", "shop")
	}
	w.await("stays")
	w.write("k", "", "parley-cancel", "stays")
	w.until("all to be committed", func() bool { return w.committed() == 7 })
	if a, b := <-began, <-began; a != "runs" || b != "stays" || seen.of(Cancelled) != 2 {
		t.Errorf("handlers began %s, %s; %d were cancelled, want 2", a, b, seen.of(Cancelled))
	}
}

// Requests of one key are handled in their order, one at a time, while those of
// other keys go on.
func TestOrdered(t *testing.T) {
	w := newWorld(t)
	var mu sync.Mutex
	order := make(map[string][]string)
	hold := make(chan struct{})
	w.serve(func(ctx context.Context, r *Request) error {
		if string(r.Body) == "wait" {
			<-hold
		}
		mu.Lock()
		order[string(r.Key)] = append(order[string(r.Key)], r.ID)
		mu.Unlock()
		return r.Reply(Answer{})
	}, func(o *Options) { o.Ordered = true })
	w.ask("a-first", "a", "wait")
	var want []string
	for i := range 20 {
		w.ask(fmt.Sprint("a", i), "a", "")
		w.ask(fmt.Sprint("b", i), "b", "")
		want = append(want, fmt.Sprint("a", i))
	}
	w.await("b19")
	if got := w.repliesTo("a0"); len(got) > 0 {
		t.Error("a request overtook another of its key")
	}
	close(hold)
	w.await("a19")
	if got := order["a"]; !slices.Equal(got, append([]string{"a-first"}, want...)) {
		t.Errorf("handled in the order %v", got)
	}
}

// A request that is asked again under its idempotency key gets the answer of the
// first, parts and failures too, without a second call; one of another caller, or
// whose first has failed by mistake, is handled.
func TestMemory(t *testing.T) {
	w := newWorld(t)
	var calls atomic.Int32
	release := make(chan struct{})
	w.serve(func(ctx context.Context, r *Request) error {
		n := calls.Add(1)
		switch string(r.Body) {
		case "broken":
			if n == 1 {
				return errors.New("for once")
			}
		case "no":
			return &Failure{Code: "sold_out"}
		case "slow":
			<-release
		}
		_ = r.Part(Answer{Body: []byte("part")})
		return r.Reply(Answer{Body: fmt.Append(nil, n)})
	}, func(o *Options) { o.Memory.For = time.Minute })
	ask := func(id, key, body string, headers ...string) {
		w.ask(id, "k", body, append([]string{"parley-idempotency-key", key}, headers...)...)
	}
	ask("b1", "broken", "broken")
	w.await("b1")
	ask("b2", "broken", "broken")
	ask("b3", "broken", "broken", "parley-subject", "somebody else")
	if two, three := w.await("b2"), w.await("b3"); two[1].body != "2" && three[1].body != "2" || two[1].body == three[1].body {
		t.Errorf("after a mistake: got %+v and %+v", two, three)
	}
	ask("n1", "no", "no")
	w.await("n1")
	ask("n2", "no", "no")
	if got := w.await("n2"); got[0].code != "sold_out" {
		t.Errorf("a failure again: got %+v", got)
	}
	before := calls.Load()
	ask("s1", "slow", "slow")
	ask("s2", "slow", "slow")
	w.until("the first to be called", func() bool { return calls.Load() == before+1 })
	close(release)
	one, two := w.await("s1"), w.await("s2")
	if calls.Load() != before+1 || len(two) != 2 || one[1].body != two[1].body || two[0].body != "part" || two[0].part != "0" {
		t.Errorf("%d calls; got %+v and %+v", calls.Load()-before, one, two)
	}
}

// A service that stops lets its handlers end, and then ends them. What is answered
// is committed, what is not goes to the next process, and every request gets an
// answer.
func TestStop(t *testing.T) {
	w := newWorld(t)
	started, stopping := make(chan struct{}, 2), make(chan struct{})
	s := w.service(func(ctx context.Context, r *Request) error {
		switch string(r.Body) {
		case "quick":
			started <- struct{}{}
			<-stopping
		case "stuck":
			started <- struct{}{}
			<-ctx.Done()
			if cause := context.Cause(ctx); cause != ErrStopping {
				t.Errorf("the context ended by %v", cause)
			}
			return ctx.Err()
		}
		return echo(ctx, r)
	}, func(o *Options) { o.Shutdown, o.Concurrency = 300*time.Millisecond, 2 })
	stop := w.run(s)
	w.ask("quick", "k", "quick")
	w.ask("stuck", "k", "stuck")
	w.ask("waits", "k", "waits")
	<-started
	<-started
	stopped := make(chan struct{})
	go func() { stop(); close(stopped) }()
	w.until("the end to begin", s.crew.ends)
	close(stopping)
	<-stopped
	if got := w.await("quick"); got[0].body != "quick" {
		t.Errorf("got %+v", got)
	}
	if n := w.committed(); n != 1 {
		t.Errorf("%d records are committed, want 1", n)
	}
	w.serve(func(ctx context.Context, r *Request) error { return r.Reply(Answer{Body: []byte("again")}) }, nil)
	for _, id := range []string{"stuck", "waits"} {
		if got := w.await(id); got[0].body != "again" {
			t.Errorf("%s: got %+v", id, got)
		}
	}
	if got := w.repliesTo("quick"); len(got) != 1 {
		t.Errorf("an answered request was answered again: %+v", got)
	}
}

// ends tells whether the end has begun.
func (c *crew) ends() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ending
}

// Processes come and go while requests are asked: each is answered, and in the end
// all are committed.
func TestRebalance(t *testing.T) {
	w := newWorld(t)
	const n = 400
	var asked [n]chan struct{}
	for i := range asked {
		asked[i] = make(chan struct{})
	}
	work := func(ctx context.Context, r *Request) error {
		i, _ := strconv.Atoi(string(r.Body))
		<-asked[min(i+3, n-1)] // so that there is always something in work
		return echo(ctx, r)
	}
	w.serve(work, nil)
	var stops []func()
	for i := range n {
		switch i {
		case 100, 200:
			stops = append(stops, w.serve(work, nil))
		case 250, 350:
			go stops[i/300]()
		}
		w.ask(fmt.Sprint(i), fmt.Sprint("k", i), fmt.Sprint(i))
		close(asked[i])
	}
	for i := range n {
		if got := w.await(fmt.Sprint(i)); got[0].body != fmt.Sprint(i) {
			t.Fatalf("request %d got %+v", i, got)
		}
	}
	w.until("all to be committed", func() bool { return w.committed() == n })
}

// A backlog that is full leaves the rest in Kafka, and goes on when there is room.
func TestBacklog(t *testing.T) {
	w := newWorld(t)
	release := make(chan struct{})
	var running, most atomic.Int32
	w.serve(func(ctx context.Context, r *Request) error {
		most.Store(max(most.Load(), running.Add(1)))
		defer running.Add(-1)
		<-release
		return r.Reply(Answer{})
	}, func(o *Options) { o.Concurrency, o.Backlog = 3, 5 })
	for i := range 30 {
		w.ask(fmt.Sprint(i), fmt.Sprint(i), "")
	}
	w.until("three to run", func() bool { return running.Load() == 3 })
	close(release)
	for i := range 30 {
		w.await(fmt.Sprint(i))
	}
	if n := most.Load(); n > 3 {
		t.Errorf("%d handlers ran at once, want 3", n)
	}
}
