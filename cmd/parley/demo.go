package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// demoServices are ordinary Kafka services: they know nothing of Parley but
// the headers of its records. Each is a function of a request's body.
func demoServices() map[string]func(body []byte) ([]byte, error) {
	baskets := newBaskets()
	return map[string]func([]byte) ([]byte, error){
		"orders":   placeOrder,
		"basket":   baskets.serve,
		"customer": lookUpCustomer,
		"echo":     func(body []byte) ([]byte, error) { return body, nil },
	}
}

// demoError is what a demo service says when it refuses a request.
type demoError struct {
	code    string
	status  int
	message string
}

func (e *demoError) Error() string { return e.message }

// demo runs the demo services over one consumer group.
type demo struct {
	client   *kgo.Client
	services map[string]func([]byte) ([]byte, error) // by request topic
	log      *slog.Logger
	slots    chan struct{} // bounds the requests that are being answered
	busy     sync.WaitGroup
}

// demoSlots is how many requests the demo services work on at once; the others
// wait in their topics.
const demoSlots = 1024

// newDemo connects the demo services. topics gives the request topic of each;
// services that it does not name are left out.
func newDemo(topics map[string]string, log *slog.Logger, opts ...kgo.Opt) (*demo, error) {
	d := &demo{services: make(map[string]func([]byte) ([]byte, error)), log: log, slots: make(chan struct{}, demoSlots)}
	var consume []string
	for name, serve := range demoServices() {
		if topic := topics[name]; topic != "" {
			d.services[topic] = serve
			consume = append(consume, topic)
		}
	}
	opts = append([]kgo.Opt{
		kgo.ConsumerGroup("parley-demo"),
		kgo.ConsumeTopics(consume...),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.AutoCommitMarks(),
		kgo.AutoCommitInterval(time.Second),
		kgo.ProducerLinger(0),
		kgo.ProducerBatchMaxBytes(8 << 20),
		kgo.FetchMaxWait(time.Second),
	}, opts...)
	client, err := kgo.NewClient(opts...)
	if err != nil {
		return nil, fmt.Errorf("connect the demo services: %w", err)
	}
	d.client = client
	return d, nil
}

// run answers requests until ctx ends.
func (d *demo) run(ctx context.Context) {
	defer d.client.Close()
	defer d.busy.Wait()
	for {
		fetches := d.client.PollFetches(ctx)
		if ctx.Err() != nil || fetches.IsClientClosed() {
			return
		}
		fetches.EachError(func(topic string, partition int32, err error) {
			if !errors.Is(err, context.Canceled) {
				d.log.Warn("demo service cannot read", "topic", topic, "partition", partition, "err", err)
			}
		})
		fetches.EachRecord(func(r *kgo.Record) { d.take(ctx, r) })
	}
}

// take answers a record at once, or in a goroutine where the client asked for
// a delay, so that slow requests do not hold up the others.
func (d *demo) take(ctx context.Context, r *kgo.Record) {
	delay, _ := time.ParseDuration(headerOf(r, "x-demo-delay"))
	delay = min(delay, time.Minute)
	parts, _ := strconv.Atoi(headerOf(r, "x-demo-parts"))
	parts = min(max(parts, 0), 100_000)
	if delay <= 0 {
		d.report(ctx, r, parts, 0)
		d.answer(ctx, r, parts)
		return
	}
	select {
	case d.slots <- struct{}{}:
	case <-ctx.Done():
		return
	}
	d.busy.Go(func() {
		defer func() { <-d.slots }()
		if !d.report(ctx, r, parts, delay) {
			return
		}
		select {
		case <-time.After(delay):
			d.answer(ctx, r, parts)
		case <-ctx.Done():
		}
	})
}

// answer serves one request and produces the reply, behind so many parts, if one is
// wanted.
func (d *demo) answer(ctx context.Context, r *kgo.Record, parts int) {
	body, err := d.serve(r)
	if headerOf(r, "parley-reply-topic") == "" {
		d.client.MarkCommitRecords(r)
		return // a notification
	}
	reply := replyTo(r, body)
	if parts > 0 {
		reply.Headers = append(reply.Headers, kgo.RecordHeader{Key: "parley-part", Value: strconv.AppendInt(nil, int64(parts), 10)})
	}
	if contentType := headerOf(r, "content-type"); contentType != "" && err == nil {
		reply.Headers = append(reply.Headers, kgo.RecordHeader{Key: "content-type", Value: []byte(contentType)})
	}
	if err != nil {
		reply.Headers = append(reply.Headers, failure(err)...)
	}
	d.client.Produce(ctx, reply, func(_ *kgo.Record, err error) {
		if err != nil && !errors.Is(err, context.Canceled) {
			d.log.Warn("demo service cannot answer", "request", headerOf(r, "parley-request-id"), "err", err)
		}
		d.client.MarkCommitRecords(r)
	})
}

// replyTo is a reply to a request, without its headers' rest.
func replyTo(r *kgo.Record, body []byte) *kgo.Record {
	id := headerOf(r, "parley-request-id")
	key := id // the default partitioner takes it home
	if headerOf(r, "x-demo-anywhere") != "" {
		key = rand.Text() // to any partition, so that relays can be seen
	}
	return &kgo.Record{
		Topic: headerOf(r, "parley-reply-topic"), Key: []byte(key), Value: body,
		Headers: []kgo.RecordHeader{{Key: "parley-request-id", Value: []byte(id)}},
	}
}

func (d *demo) serve(r *kgo.Record) ([]byte, error) {
	if message := headerOf(r, "x-demo-fail"); message != "" {
		return nil, &demoError{"demo_failure", 422, message}
	}
	return d.services[r.Topic](r.Value)
}

// failure is how a reply says error.
func failure(err error) []kgo.RecordHeader {
	var e *demoError
	if !errors.As(err, &e) {
		e = &demoError{"internal", 500, err.Error()}
	}
	return []kgo.RecordHeader{
		{Key: "parley-status", Value: []byte(strconv.Itoa(e.status))},
		{Key: "parley-error-code", Value: []byte(e.code)},
		{Key: "parley-error-message", Value: []byte(e.message)},
	}
}

func headerOf(r *kgo.Record, name string) string {
	for _, h := range r.Headers {
		if h.Key == name {
			return string(h.Value)
		}
	}
	return ""
}
