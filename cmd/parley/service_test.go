package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"parley/kafka/service"
)

// answering says how a test service chooses the partition of its replies.
type answering int

const (
	byKey       answering = iota // the client's default partitioner over the kept key
	byPartition                  // the partition that the request's header names
	atRandom                     // any partition, and no key
)

// transforms are what the test services do with a payload: the client can tell
// from the answer which request it belongs to.
var transforms = map[string]func([]byte) []byte{
	"same":    func(b []byte) []byte { return b },
	"reverse": func(b []byte) []byte { b = slices.Clone(b); slices.Reverse(b); return b },
	"digest":  func(b []byte) []byte { return fmt.Appendf(nil, `{"bytes":%d,"sha256":"%x"}`, len(b), sha256.Sum256(b)) },
}

// serve runs a service that applies a transform, until the test ends.
func (c *cluster) serve(name string, how answering, transform func([]byte) []byte) {
	c.t.Helper()
	opts := []kgo.Opt{
		kgo.SeedBrokers(c.kafka), kgo.ConsumerGroup(c.prefix + "." + name), kgo.ConsumeTopics(c.topic(name)),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.ProducerLinger(0), kgo.ProducerBatchMaxBytes(8 << 20),
		kgo.FetchMaxBytes(64 << 20),
	}
	if how != byKey {
		opts = append(opts, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	}
	client, err := kgo.NewClient(opts...)
	if err != nil {
		c.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		for ctx.Err() == nil {
			client.PollFetches(ctx).EachRecord(func(r *kgo.Record) {
				client.Produce(ctx, c.replyTo(r, how, transform), func(_ *kgo.Record, err error) {
					if err != nil && ctx.Err() == nil {
						c.t.Errorf("service %s cannot answer: %v", name, err)
					}
				})
			})
		}
	})
	c.t.Cleanup(func() { cancel(); running.Wait(); client.Close() })
}

func (c *cluster) replyTo(r *kgo.Record, how answering, transform func([]byte) []byte) *kgo.Record {
	reply := &kgo.Record{Topic: headerOf(r, "parley-reply-topic"), Value: transform(r.Value)}
	id := headerOf(r, "parley-request-id")
	switch how {
	case byKey:
		reply.Key = []byte(id) // and no header: the key alone correlates
	case byPartition:
		fmt.Sscan(headerOf(r, "parley-reply-partition"), &reply.Partition)
		reply.Headers = []kgo.RecordHeader{{Key: "parley-request-id", Value: []byte(id)}}
	case atRandom:
		reply.Partition = rand.Int32N(12)
		reply.Headers = []kgo.RecordHeader{{Key: "parley-request-id", Value: []byte(id)}}
	}
	return reply
}

func headerOf(r *kgo.Record, name string) string {
	for _, h := range r.Headers {
		if h.Key == name {
			return string(h.Value)
		}
	}
	return ""
}

// The demo services answer in parts, late, or not at all, as they are asked to.
func TestDemoHeaders(t *testing.T) {
	h := demoHandler(func(body []byte) ([]byte, error) { return body, nil })
	ask := func(headers ...string) string {
		r := &service.Request{Body: []byte("hi")}
		for i := 0; i < len(headers); i += 2 {
			r.Headers = append(r.Headers, service.Header{Key: headers[i], Value: []byte(headers[i+1])})
		}
		var said []string
		for _, a := range service.Try(t.Context(), h, r) {
			if a.Failure != nil {
				said = append(said, a.Failure.Error())
			} else {
				said = append(said, string(a.Body))
			}
		}
		return strings.Join(said, " ")
	}
	for _, c := range []struct{ got, want string }{
		{ask(), "hi"},
		{ask("x-demo-fail", "no"), "demo_failure: no"},
		{ask("x-demo-parts", "2", "x-demo-delay", "1ms"), `{"part":1,"of":2} {"part":2,"of":2} hi`},
		{ask("x-demo-parts", "-1", "x-demo-delay", "soon"), "hi"},
	} {
		if c.got != c.want {
			t.Errorf("got %s, want %s", c.got, c.want)
		}
	}
}

// The demo shop prices what it sells and says what it does not.
func TestDemoServices(t *testing.T) {
	services := demoServices()
	for _, c := range []struct{ service, body, want, fails string }{
		{"customer", `{"customer":"c-3"}`, `{"customer":"c-3","name":"Two Rivers Canteen","city":"Lyon","since":"2018-01-30"}`, ""},
		{"customer", `{"customer":"c-9"}`, "", `there is no customer "c-9": c-1 to c-5 exist`},
		{"customer", `5`, "", `say which customer: {"customer":"c-1"}`},
		{"basket", `{"basket":"b","add":{"sku":"tea","quantity":2}}`, `{"basket":"b","currency":"EUR","items":[{"sku":"tea","quantity":2,"price":"6.20","sum":"12.40"}],"total":"12.40"}`, ""},
		{"basket", `{"basket":"b","add":{"sku":"tea","quantity":98}}`, "", `100 of tea cannot be ordered: from 1 to 99`},
		{"basket", `{"basket":"b","remove":{"sku":"tea"}}`, `{"basket":"b","currency":"EUR","items":[],"total":"0.00"}`, ""},
		{"orders", `{"items":[]}`, "", `an order has from 1 to 100 items`},
		{"orders", `{"items":[{"sku":"gold","quantity":1}]}`, "", `there is no "gold": we sell cocoa, coffee, mug, sugar and tea`},
		{"echo", "\x00\xff", "\x00\xff", ""},
	} {
		got, err := services[c.service]([]byte(c.body))
		if c.fails != "" {
			var says *service.Failure
			if !errors.As(err, &says) || says.Message != c.fails {
				t.Errorf("%s %s: got error %v, want %s", c.service, c.body, err, c.fails)
			}
		} else if err != nil || string(got) != c.want {
			t.Errorf("%s %s: got %s, %v, want %s", c.service, c.body, got, err, c.want)
		}
	}
}
