package routing

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// topic is a Producer that remembers, and acknowledges when told to.
type topic struct {
	mu      sync.Mutex
	written []*Request
	ack     bool  // acknowledge at once
	fail    error // answer this instead
}

func (p *topic) Produce(q *Request) {
	p.mu.Lock()
	p.written = append(p.written, q)
	at := RecordAt{Topic: q.Service.Topic, Offset: int64(len(p.written) - 1)}
	ack, fail := p.ack, p.fail
	p.mu.Unlock()
	if ack || fail != nil {
		q.Produced(at, fail)
	}
}

func (p *topic) last() *Request {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.written[len(p.written)-1]
}

// cluster is a Table that remembers, and judges strangers by a function.
type cluster struct {
	mu     sync.Mutex
	log    []string
	judge  func([]*Reply) []Verdict
	awaits error // what Await answers

	fenced atomic.Bool
	unsure atomic.Bool // it cannot say who owns a session
}

func (*cluster) Look(context.Context, SessionID) (Looked, error) { return Looked{}, nil }

func (c *cluster) Owns(context.Context, SessionID, uint64) (bool, error) {
	if c.unsure.Load() {
		return false, errors.New("away")
	}
	return true, nil
}

func (*cluster) CatchUp(context.Context) bool { return true }

func (c *cluster) Fenced(time.Time) bool { return c.fenced.Load() }

func (c *cluster) note(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.log = append(c.log, fmt.Sprintf(format, args...))
}

func (c *cluster) Open(context.Context, SessionRow) error { c.note("open"); return nil }
func (c *cluster) Announce(SessionRow)                    { c.note("announce") }
func (c *cluster) End(SessionID)                          { c.note("end") }
func (c *cluster) Release(_ SessionID, n uint64)          { c.note("release %d", n) }

func (c *cluster) Claim(row Row, _ Claimed) bool { c.note("claim %d", row.N); return false }

func (c *cluster) Left(_ SessionID, from, to uint64) { c.note("left %d to %d", from, to) }

func (c *cluster) HandedOver(_ SessionID, epoch uint64) { c.note("handed over %d", epoch) }

func (*cluster) Inherited(_ context.Context, ids []SessionID) []Legacy {
	return make([]Legacy, len(ids))
}

func (*cluster) Remind(context.Context, []SessionID) {}

func (c *cluster) Unhold(id RequestID) { c.note("unhold %s", id) }

func (c *cluster) Await(_ context.Context, waits []Wait) []error {
	errs := make([]error, len(waits))
	for i, w := range waits {
		c.note("await %s %s", w.Service, w.Key)
		c.mu.Lock()
		errs[i] = c.awaits
		c.mu.Unlock()
	}
	return errs
}

func (c *cluster) Unwait(about Entity, _ RequestID) { c.note("unwait %s %s", about.Service, about.Key) }

func (c *cluster) Subscribe(_ context.Context, subs []Subscription) []error {
	errs := make([]error, len(subs))
	for i, s := range subs {
		c.note("subscribe %s %s", s.Feed.Topic, s.Feed.Key)
		c.mu.Lock()
		errs[i] = c.awaits
		c.mu.Unlock()
	}
	return errs
}

func (c *cluster) Unsubscribe(s Subscription) { c.note("unsubscribe %s %s", s.Feed.Topic, s.Feed.Key) }

func (c *cluster) Resume(context.Context, Resumption) (Resumed, error) {
	return Resumed{}, ErrSessionGone
}

func (c *cluster) Hold(_ context.Context, held []Holding) []Verdict {
	verdicts := make([]Verdict, len(held))
	for i := range held {
		verdicts[i] = Verdict{Fate: Here}
	}
	return verdicts
}

func (c *cluster) Route(_ context.Context, replies []*Reply) []Verdict {
	c.mu.Lock()
	judge := c.judge
	c.mu.Unlock()
	if judge != nil {
		return judge(replies)
	}
	verdicts := make([]Verdict, len(replies))
	for i := range verdicts {
		verdicts[i] = Verdict{Fate: Dropped, Drop: DropUnknownRequest}
	}
	return verdicts
}

// client is a Sink that remembers.
type client struct {
	mu       sync.Mutex
	accepted []string
	got      []Delivery
	left     []Leaving
}

func (c *client) Leave(why Leaving) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.left = append(c.left, why)
}

func (c *client) Accepted(clientID string, _ RequestID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.accepted = append(c.accepted, clientID)
}

func (c *client) Deliver(d Delivery) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.got = append(c.got, d)
}

func (c *client) outcomes() []Delivery {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.got)
}

// partition is a Receipt that remembers.
type partition struct {
	mu   sync.Mutex
	done []int64
}

func (p *partition) Done(t Token) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done = append(p.done, t.B)
}

func (p *partition) offsets() []int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.done)
}

// counted is an Observer that remembers counts and outcomes.
type counted struct {
	mu sync.Mutex
	n  map[string]int
}

func (c *counted) add(label string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n == nil {
		c.n = make(map[string]int)
	}
	c.n[label]++
}

func (c *counted) Finished(service string, _ Door, outcome Word, _ time.Duration) {
	c.add(service + " " + string(outcome))
}
func (c *counted) Stage(stage Stage, _ time.Duration)  { c.add("stage " + string(stage)) }
func (c *counted) Count(counter Counter, label string) { c.add(string(counter) + " " + label) }

func (c *counted) get(label string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n[label]
}
