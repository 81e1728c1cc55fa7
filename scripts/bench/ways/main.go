// Command ways measures the other ways to ask, and to be answered: answers in parts,
// answers by event among many events that nobody waits for, idempotency keys, and
// views. It is run by scripts/bench/run --ways, on a gateway whose services are those
// of [gateway], and prints a Markdown table. It is load and service at once.
//
// Each way is measured in every round, one after the other, so that what the machine
// does meanwhile meets all of them.
package main

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"parley/kafka"
	"parley/kafka/service"
)

// gateway is what is measured. Its configuration has to have the services echo
// (bench.echo), parts (bench.parts), order (bench.orders, answered by the first of
// bench.events whose state is DONE) and view (of bench.view).
type gateway struct {
	url, admin string // of its clients, and of its metrics
	broker     string
	pid        int

	http  *http.Client
	kafka kafka.Config
}

// way is one thing to measure.
type way struct {
	name, each string // what it is, and what is counted
	measure    func(context.Context) (*measured, error)
	rounds     []*measured
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "ways:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	g := &gateway{}
	flag.StringVar(&g.url, "url", "http://127.0.0.1:8080", "of the gateway")
	flag.StringVar(&g.admin, "admin", "http://127.0.0.1:9090", "where its metrics are")
	flag.StringVar(&g.broker, "kafka", "127.0.0.1:9092", "host:port of a broker")
	flag.IntVar(&g.pid, "pid", 0, "process id of the gateway")
	create := flag.Bool("create", false, "make the topics, and end")
	duration := flag.Duration("duration", 5*time.Second, "of each measurement")
	rounds := flag.Int("rounds", 3, "of all measurements")
	flag.Parse()
	g.kafka = kafka.Config{Brokers: []string{g.broker}, ClientID: "ways"}
	g.http = &http.Client{Transport: &http.Transport{MaxIdleConns: 2000, MaxIdleConnsPerHost: 2000}}
	if *create {
		return g.create(ctx)
	}
	return g.measure(ctx, *duration, *rounds)
}

func (g *gateway) create(ctx context.Context) error {
	const partitions = 8
	_, err := kafka.EnsureTopics(ctx, g.kafka, true, []kafka.Topic{
		{Name: partsTopic, Partitions: partitions}, {Name: ordersTopic, Partitions: partitions},
		{Name: eventsTopic, Partitions: partitions}, {Name: viewTopic, Partitions: partitions, Compact: true},
	})
	return err
}

// measure serves what the gateway's services need, and measures all ways.
func (g *gateway) measure(ctx context.Context, d time.Duration, rounds int) error {
	s, err := service.New(service.Options{
		Kafka: g.kafka, Group: "ways", Handlers: map[string]service.Handler{partsTopic: parts, ordersTopic: ignore},
		Concurrency: 2 * manyStreams, Backlog: 4 * manyStreams,
	})
	if err != nil {
		return err
	}
	serving, stop := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() { err = s.Run(serving) })
	defer running.Wait()
	defer stop()
	if err := g.fillView(ctx); err != nil {
		return err
	}
	ways := g.ways(d)
	for range rounds {
		for _, w := range ways {
			fmt.Fprintf(os.Stderr, "ways: %s\n", w.name)
			m, err := w.measure(ctx)
			if err != nil {
				return fmt.Errorf("%s: %w", w.name, err)
			}
			w.rounds = append(w.rounds, m)
		}
	}
	fmt.Print(table(ways))
	return nil
}

func (g *gateway) ways(d time.Duration) []*way {
	lines, sse := "application/x-ndjson", "text/event-stream"
	return []*way{
		{name: "parts, one stream, lines", each: "part", measure: g.streams(d, 1, lines)},
		{name: "parts, one stream, server-sent events", each: "part", measure: g.streams(d, 1, sse)},
		{name: "parts, 1,000 streams, lines", each: "part", measure: g.streams(d, manyStreams, lines)},
		{name: "parts, 1,000 streams, server-sent events", each: "part", measure: g.streams(d, manyStreams, sse)},
		{name: "requests, 50 callers", each: "request", measure: g.requests(d, noKey)},
		{name: "the same, each with a new idempotency key", each: "request", measure: g.requests(d, newKey)},
		{name: "the same, all with keys that were used before", each: "request", measure: g.requests(d, usedKey)},
		{name: "views, 50 callers", each: "read", measure: g.views(d)},
		{name: "events with another state", each: "event", measure: g.flood(d, "RUNNING")},
		{name: "events with the state, of orders that nobody waits for", each: "event", measure: g.flood(d, "DONE")},
	}
}
