package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// The checkout pipeline of the demo answers nobody: it tells what happens. A request
// becomes the event CREATED of its order; three checkers, which know nothing of each
// other, see that and add CHECKED each; who has seen all three adds VALIDATED or
// FAILED. Events have the order as key.
const (
	checkoutService = "checkout"
	checkoutEvents  = "orders.events"
	checkoutKey     = "request.order"
	checkoutUntil   = `event.state in ["VALIDATED", "FAILED"]`
	checkoutSchema  = `{"type":"object","required":["order","customer","items"],"properties":{
		"order":{"type":"string","description":"its name, which is the key of its events","examples":["o-1"]},
		"customer":{"type":"string","description":"who orders: c-1 to c-5","examples":["c-1"]},
		"items":{"type":"array","items":{"type":"object","required":["sku","quantity"],"properties":{
			"sku":{"type":"string","description":"cocoa, coffee, mug, sugar or tea","examples":["tea"]},
			"quantity":{"type":"integer","examples":[2]}}}}}}`

	// statusService answers with an order's newest event, once it is what the caller
	// waits for.
	statusService = "order-status"
	statusUntil   = `{"validated":"event.state == \"VALIDATED\"","decided":"event.state in [\"VALIDATED\", \"FAILED\"]"}`
)

// pipeline runs all of it, over one consumer group.
type pipeline struct {
	client           *kgo.Client
	requests, events string // topics
	log              *slog.Logger
	slots            chan struct{} // bounds the checks that are being made
	busy             sync.WaitGroup

	orders map[string][]checkResult // so far, by order; belongs to run
}

// orderEvent is an event about an order.
type orderEvent struct {
	Order    string        `json:"order"`
	State    string        `json:"state"`
	Customer string        `json:"customer,omitempty"`
	Items    []item        `json:"items,omitempty"`
	Total    cents         `json:"total,omitempty"`
	Check    *checkResult  `json:"check,omitempty"`
	Checks   []checkResult `json:"checks,omitempty"`
	Why      string        `json:"why,omitempty"`
}

type checkResult struct {
	Name string `json:"name"`
	OK   bool   `json:"ok"`
	Why  string `json:"why,omitempty"`
}

// check is one checker.
type check struct {
	name  string
	takes time.Duration
	wrong func(orderEvent) string // "" where nothing is
}

var checks = []check{
	{"stock", 60 * time.Millisecond, func(o orderEvent) string {
		for _, i := range o.Items {
			if i.Quantity > 20 {
				return fmt.Sprintf("there are not %d of %s", i.Quantity, i.SKU)
			}
		}
		return ""
	}},
	{"credit", 120 * time.Millisecond, func(o orderEvent) string {
		if o.Total > 20_000 {
			return "it is for more than 200.00 EUR"
		}
		return ""
	}},
	{"address", 180 * time.Millisecond, func(o orderEvent) string {
		if !slices.ContainsFunc(customers, func(c customer) bool { return c.Customer == o.Customer }) {
			return fmt.Sprintf("there is no customer %q", o.Customer)
		}
		return ""
	}},
}

// newPipeline connects the pipeline.
func newPipeline(requests, events string, log *slog.Logger, opts ...kgo.Opt) (*pipeline, error) {
	opts = append([]kgo.Opt{
		kgo.ConsumerGroup("parley-demo-checkout"),
		kgo.ConsumeTopics(requests, events),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.AutoCommitMarks(),
		kgo.AutoCommitInterval(time.Second),
		kgo.ProducerLinger(0),
		kgo.FetchMaxWait(time.Second),
	}, opts...)
	client, err := kgo.NewClient(opts...)
	if err != nil {
		return nil, fmt.Errorf("connect the checkout pipeline: %w", err)
	}
	return &pipeline{
		client: client, requests: requests, events: events, log: log,
		slots: make(chan struct{}, demoSlots), orders: make(map[string][]checkResult),
	}, nil
}

// run works until ctx ends.
func (p *pipeline) run(ctx context.Context) {
	defer p.client.Close()
	defer p.busy.Wait()
	for {
		fetches := p.client.PollFetches(ctx)
		if ctx.Err() != nil || fetches.IsClientClosed() {
			return
		}
		fetches.EachError(func(topic string, partition int32, err error) {
			if !errors.Is(err, context.Canceled) {
				p.log.Warn("the checkout pipeline cannot read", "topic", topic, "partition", partition, "err", err)
			}
		})
		fetches.EachRecord(func(r *kgo.Record) {
			if r.Topic == p.requests {
				p.create(ctx, r)
			} else {
				p.see(ctx, r)
			}
		})
	}
}

// create makes an order of a request.
func (p *pipeline) create(ctx context.Context, r *kgo.Record) {
	var asked struct {
		Order    string `json:"order"`
		Customer string `json:"customer"`
		Items    []item `json:"items"`
	}
	err := json.Unmarshal(r.Value, &asked)
	if asked.Order == "" {
		asked.Order = string(r.Key)
	}
	order := orderEvent{Order: asked.Order, State: "CREATED", Customer: asked.Customer, Items: asked.Items}
	for i := range order.Items {
		if wrong := order.Items[i].price(); wrong != nil {
			err = wrong
		}
	}
	if order.Total = total(order.Items); err == nil && len(order.Items) == 0 {
		err = errors.New("an order has items")
	}
	if err != nil {
		order = orderEvent{Order: asked.Order, State: "FAILED", Why: err.Error()}
	}
	p.tell(ctx, order, r)
}

// see lets the checkers see a new order, and counts what they say.
func (p *pipeline) see(ctx context.Context, r *kgo.Record) {
	var e orderEvent
	if err := json.Unmarshal(r.Value, &e); err != nil || e.Order == "" {
		p.client.MarkCommitRecords(r)
		return // of somebody else's
	}
	switch {
	case e.State == "CREATED":
		for _, c := range checks {
			p.check(ctx, c, e, r)
		}
	case e.State == "CHECKED" && e.Check != nil:
		p.count(ctx, e, r)
	default:
		p.client.MarkCommitRecords(r)
	}
}

// check has a checker work on an order, beside the others.
func (p *pipeline) check(ctx context.Context, c check, order orderEvent, r *kgo.Record) {
	select {
	case p.slots <- struct{}{}:
	case <-ctx.Done():
		return
	}
	p.busy.Go(func() {
		defer func() { <-p.slots }()
		select {
		case <-time.After(c.takes):
			why := c.wrong(order)
			p.tell(ctx, orderEvent{Order: order.Order, State: "CHECKED", Check: &checkResult{c.name, why == "", why}}, r)
		case <-ctx.Done():
		}
	})
}

// count adds what a checker said, and tells the end once all have.
func (p *pipeline) count(ctx context.Context, e orderEvent, r *kgo.Record) {
	if len(p.orders) >= maxBaskets {
		clear(p.orders)
	}
	said := slices.DeleteFunc(p.orders[e.Order], func(c checkResult) bool { return c.Name == e.Check.Name })
	p.orders[e.Order] = append(said, *e.Check)
	if len(p.orders[e.Order]) < len(checks) {
		p.client.MarkCommitRecords(r)
		return
	}
	end := orderEvent{Order: e.Order, State: "VALIDATED", Checks: p.orders[e.Order]}
	var why []string
	for _, c := range end.Checks {
		if !c.OK {
			end.State = "FAILED"
			why = append(why, c.Why)
		}
	}
	end.Why = strings.Join(why, "; ")
	delete(p.orders, e.Order)
	p.tell(ctx, end, r)
}

// tell writes an event, and then has what it follows from committed.
func (p *pipeline) tell(ctx context.Context, e orderEvent, from *kgo.Record) {
	value, err := json.Marshal(e)
	if err != nil {
		p.log.Warn("the checkout pipeline cannot tell", "order", e.Order, "err", err)
		return
	}
	event := &kgo.Record{
		Topic: p.events, Key: []byte(e.Order), Value: value,
		Headers: []kgo.RecordHeader{{Key: "content-type", Value: []byte("application/json")}},
	}
	p.client.Produce(ctx, event, func(_ *kgo.Record, err error) {
		if err != nil && !errors.Is(err, context.Canceled) {
			p.log.Warn("the checkout pipeline cannot tell", "order", e.Order, "err", err)
		}
		p.client.MarkCommitRecords(from)
	})
}

// pipelineFlags configure the services that the pipeline's events answer.
func pipelineFlags() []string {
	const service = "--services." + checkoutService
	return []string{
		service + ".topic", defaultService(checkoutService).Topic, service + ".description", "Makes an order. What three checkers say of it is the answer.",
		service + ".schema.request", checkoutSchema,
		service + ".answer.events.topic", checkoutEvents,
		service + ".answer.events.key", checkoutKey, service + ".answer.events.until", checkoutUntil,
		"--services." + statusService + ".answer.view.topic", checkoutEvents, "--services." + statusService + ".answer.view.until", statusUntil, "--services." + statusService + ".description", "Answers with an order's newest event.",
		"--subscriptions.topics", checkoutEvents, "--subscriptions.whole", checkoutEvents,
	}
}

// UnmarshalText reads what MarshalText wrote.
func (c *cents) UnmarshalText(text []byte) error {
	n, err := strconv.Atoi(strings.Replace(string(text), ".", "", 1))
	*c = cents(n)
	return err
}
