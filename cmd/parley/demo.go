package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"parley/kafka"
	"parley/kafka/service"
)

// demoServices are ordinary Kafka services. Each is a function of a request's body.
func demoServices() map[string]func(body []byte) ([]byte, error) {
	baskets := newBaskets()
	return map[string]func([]byte) ([]byte, error){
		"orders":   placeOrder,
		"basket":   baskets.serve,
		"customer": lookUpCustomer,
		"echo":     func(body []byte) ([]byte, error) { return body, nil },
	}
}

// demoSlots is how many requests the demo services work on at once; the others
// wait in their topics.
const demoSlots = 1024

// newDemo makes the demo services, in one consumer group. topics gives the request
// topic of each; services that it does not name are left out.
func newDemo(topics map[string]string, c kafka.Config, group string) (*service.Service, error) {
	handlers := make(map[string]service.Handler)
	for name, serve := range demoServices() {
		if topic := topics[name]; topic != "" {
			handlers[topic] = demoHandler(serve)
		}
	}
	return service.New(service.Options{
		Kafka: c, Group: group, Handlers: handlers, Concurrency: demoSlots, Dialect: scattered{service.Parley},
	})
}

// demoHandler makes a service obey the headers that all demo services know:
// x-demo-parts and x-demo-delay, which lies before each part and the answer, and
// x-demo-fail.
func demoHandler(serve func([]byte) ([]byte, error)) service.Handler {
	return func(ctx context.Context, r *service.Request) error {
		delay, _ := time.ParseDuration(r.Header("x-demo-delay"))
		parts, _ := strconv.Atoi(r.Header("x-demo-parts"))
		parts = min(parts, 100_000)
		for n := range parts {
			if err := pause(ctx, delay); err != nil {
				return err
			}
			if err := r.Part(service.Answer{Body: fmt.Appendf(nil, `{"part":%d,"of":%d}`, n+1, parts), ContentType: "application/json"}); err != nil {
				return err
			}
		}
		if err := pause(ctx, delay); err != nil {
			return err
		}
		if message := r.Header("x-demo-fail"); message != "" {
			return refusal("demo_failure", 422, message)
		}
		body, err := serve(r.Body)
		if err != nil {
			return err
		}
		return r.Reply(service.Answer{Body: body, ContentType: r.ContentType})
	}
}

// pause waits, at most a minute, unless ctx ends.
func pause(ctx context.Context, delay time.Duration) error {
	if delay <= 0 {
		return ctx.Err()
	}
	select {
	case <-time.After(min(delay, time.Minute)):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// refusal is what a demo service says when it refuses a request.
func refusal(code string, status int, message string) error {
	return &service.Failure{Code: code, Status: status, Message: message}
}

// scattered is a dialect whose answers go to any partition where the header
// x-demo-anywhere asks for it, so that relays can be seen.
type scattered struct{ service.Dialect }

func (d scattered) Read(record *kgo.Record) (*service.Request, string) {
	r, cancels := d.Dialect.Read(record)
	if r.Header("x-demo-anywhere") != "" {
		r.ReplyPartition = -1
	}
	return r, cancels
}

func (d scattered) Write(r *service.Request, a *service.Answer) *kgo.Record {
	record := d.Dialect.Write(r, a)
	if r.Header("x-demo-anywhere") != "" {
		record.Key = []byte(rand.Text())
	}
	return record
}
