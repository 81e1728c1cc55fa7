package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"log"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"parley/ws/client"
)

// caller is a client of either kind.
type caller interface {
	Call(ctx context.Context, service string, params []byte, o client.CallOptions) (client.Reply, error)
	Close(ctx context.Context) error
}

// streamer is one whose callers can take the parts of an answer at their own pace.
type streamer interface {
	Stream(ctx context.Context, service string, params []byte, o client.CallOptions) iter.Seq2[client.Part, error]
}

// load is what clients ask for during one fault.
type load struct {
	o       *options
	history *history
	timeout time.Duration // of requests that are to be answered in time
	callers []caller

	stop    chan struct{} // no more requests
	asking  sync.WaitGroup
	open    sync.WaitGroup
	skipped atomic.Int64 // requests that were due while a client had as many open as it may
	give    context.Context
	up      context.CancelFunc // on calls that have not ended
}

// newLoad connects the clients. rude are those that misbehave; they ask as well.
func newLoad(ctx context.Context, o *options, h *history, s *services, urls []string, timeout time.Duration, rude manners) (*load, error) {
	l := &load{o: o, history: h, timeout: timeout, stop: make(chan struct{}), callers: make([]caller, o.sessions)}
	l.give, l.up = context.WithCancel(context.Background())
	var (
		dialing sync.WaitGroup
		mu      sync.Mutex
		failed  error
		slots   = make(chan struct{}, 32)
	)
	for i := range o.sessions {
		dialing.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			number := h.first + i
			c, err := dial(ctx, o, newWitness(h, number), choice(urls, i), rude.of(i))
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				failed = err
				return
			}
			l.callers[i] = c
			l.asking.Go(func() { l.ask(number, c, rude.of(i)) })
		})
	}
	dialing.Wait()
	if failed != nil {
		l.end()
		return l, failed
	}
	l.keepAll(urls)
	l.followAll(s, urls)
	return l, nil
}

// strangers is how many clients of a load are not sessions.
const strangers = keepers + readers + 1

// nodeURL is the i-th node's address for HTTP, and its name.
func nodeURL(urls []string, i int) (base, name string) {
	i %= len(urls)
	return "http" + strings.TrimSuffix(strings.TrimPrefix(urls[i], "ws"), "/ws"), nodeName(i)
}

// sessionOf is the n-th of the bundled clients, and its number; nil where there is none.
func (l *load) sessionOf(n int) (*client.Client, int) {
	for i := range l.callers {
		at := (n + i) % len(l.callers)
		if c, ok := l.callers[at].(*client.Client); ok {
			return c, l.history.first + at
		}
	}
	return nil, 0
}

// backoffLongest keeps a client from waiting out more of a fault than the fault lasts:
// by default it tries every 20 s at most, after a while.
const backoffLongest = 4 * time.Second

// steady is after how long on one socket a client no longer holds the loss of former
// ones against its nodes. Faults come every few seconds here: with the default of 30 s
// a client that lost a third node would take its time to come back, as it should, and
// that time would be taken for the gateway's.
const steady = 5 * time.Second

// dial connects one client: the bundled one, or one without manners.
func dial(ctx context.Context, o *options, w *witness, urls []string, how manner) (caller, error) {
	if how != polite || o.thin {
		return dialThin(ctx, w, urls, how)
	}
	return client.Dial(ctx, client.Options{
		URLs: urls, Accepted: true, Events: w.see, Quiet: 5 * time.Second, Pong: 3 * time.Second,
		BackoffLongest: backoffLongest,
		Steady:         steady,
	})
}

// choice is where the i-th client connects: first to one node, later to any other. Each
// fourth knows its first by two addresses, as it were, so that it may come back there;
// they do not stand side by side, for whoever finds one dead tries the next.
func choice(urls []string, i int) []string {
	at := i % len(urls)
	some := append(urls[at:len(urls):len(urls)], urls[:at]...)
	if i%4 == 0 && len(some) > 1 {
		some = slices.Insert(some, 2, some[0])
	}
	return some
}

// openLimit is less than sessions.open_requests.
const openLimit = 200

// ask makes one client's requests, at random moments. What one that never reads is told
// is large, so that it is soon too much to wait for it.
func (l *load) ask(number int, c caller, how manner) {
	random := rand.New(rand.NewPCG(l.o.seed, uint64(number)))
	mean := float64(l.o.sessions) / float64(l.o.rate) * float64(time.Second)
	var open atomic.Int64
	for n := 1; ; n++ {
		select {
		case <-l.stop:
			return
		case <-time.After(time.Duration(random.ExpFloat64() * mean)):
		}
		service, q, timeout := l.draw(random)
		switch {
		case l.history.full():
			return
		case open.Load() >= openLimit:
			l.skipped.Add(1)
			n--
			continue
		}
		q.Client, q.N = number, n
		if how == neverReads {
			q.Large = large
		}
		if service == "wait" {
			q.Key = fmt.Sprintf("%d-%d", number, n)
		}
		open.Add(1)
		l.open.Go(func() {
			defer open.Add(-1)
			l.call(c, service, q, timeout)
		})
	}
}

var padding = strings.Repeat("parley ", 14)

const (
	large    = 700 // times padding: 67 KiB
	streamed = 8   // one request in so many is answered in parts
	awaited  = 16  // one request in so many is answered by an event
)

// draw decides what is asked for next: mostly something that is answered at once,
// and now and then something slow, too late, or not answered at all. Half of the answers
// that come in parts, and of those that are events, take long enough for something to
// happen in their midst.
func (l *load) draw(random *rand.Rand) (service string, q question, timeout time.Duration) {
	service, timeout = "home", l.timeout
	if random.IntN(4) == 0 {
		service = "any"
	}
	q.Pad = padding
	switch dice := random.IntN(100); {
	case dice < 94:
		q.Delay = random.IntN(30)
	case dice < 97:
		q.Delay = 300 + random.IntN(2000)
	case dice < 99:
		q.Delay, timeout = 700+random.IntN(300), 400*time.Millisecond
	default:
		q.Mute, timeout = true, 500*time.Millisecond
	}
	slow := false
	switch dice := random.IntN(streamed * awaited); {
	case dice < streamed:
		service, slow = "wait", dice%2 == 0
	case dice%streamed == 0:
		q.Parts, slow = 2+random.IntN(5), random.IntN(2) == 0
	}
	if slow && timeout == l.timeout {
		q.Delay = 300 + random.IntN(2000)
	}
	return service, q, timeout
}

// call makes one request and waits for its outcome, or for the load's end.
func (l *load) call(c caller, service string, q question, timeout time.Duration) {
	params, _ := json.Marshal(q)
	l.history.add(event{Kind: sent, Client: q.Client, N: q.N, Timeout: timeout, Prompt: !q.Mute && q.Delay < 50 && q.Key == "", Key: q.Key})
	result, err := l.answer(c, service, q, params, timeout)
	e := event{Kind: outcome, Client: q.Client, N: q.N}
	var failed *client.Error
	switch {
	case errors.As(err, &failed):
		e.Word, e.Certainty = failed.Code, string(failed.Outcome)
	case err != nil && l.give.Err() != nil:
		return // no outcome: the judge will ask why
	case err != nil:
		log.Printf("client %d: request %d ended in a surprise: %v", q.Client, q.N, err)
		e.Word = "surprise"
	default:
		e.tell(result)
	}
	l.history.add(e)
}

// answer gets the answer to a request, and tells the history of each part as it comes:
// the caller takes every second stream in a loop that is ready for little at a time.
func (l *load) answer(c caller, service string, q question, params []byte, timeout time.Duration) ([]byte, error) {
	take := func(p client.Part) {
		e := event{Kind: part, Client: q.Client, N: q.N, Part: p.N}
		e.tell(p.Data)
		l.history.add(e)
	}
	s, ok := c.(streamer)
	if q.Parts == 0 || q.N%2 == 0 || !ok {
		reply, err := c.Call(l.give, service, params, client.CallOptions{Timeout: timeout, OnPart: take})
		return reply.Result, err
	}
	for p, err := range s.Stream(l.give, service, params, client.CallOptions{Timeout: timeout, Window: 2}) {
		if err != nil || p.Final {
			return p.Data, err
		}
		take(p)
	}
	return nil, errors.New("the stream has no end")
}

// settle ends the asking and waits until every request has its outcome, at most
// as long as the slowest may take.
func (l *load) settle() {
	close(l.stop)
	l.asking.Wait()
	done := make(chan struct{})
	go func() { l.open.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(l.timeout + 10*time.Second):
		log.Print("some requests have no outcome")
	}
}

// end closes all clients. What is open is given up.
func (l *load) end() {
	select {
	case <-l.stop:
	default:
		close(l.stop)
	}
	l.asking.Wait()
	l.up()
	l.open.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	var closing sync.WaitGroup
	for _, c := range l.callers {
		if c != nil {
			closing.Go(func() { c.Close(ctx) })
		}
	}
	closing.Wait()
}
