package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"

	"parley/kafka"
)

// runDemo is `parley demo`: the demo services on a Kafka of the user's.
func runDemo(ctx context.Context, args []string, _, stderr io.Writer) int {
	flags := flag.NewFlagSet("parley demo", flag.ContinueOnError)
	flags.SetOutput(stderr)
	brokers := flags.String("kafka", "127.0.0.1:9092", "`brokers`, host:port by comma")
	flags.Usage = func() {
		fmt.Fprint(stderr, "Usage: parley demo [flags]\n\nThe demo services orders, basket, customer, echo and checkout on <name>.requests.\n\n")
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return exitOK
		}
		return exitUsage
	}
	log := loggerTo(stderr, LogConfig{Level: "info", Format: "auto"})
	if err := demoAlone(ctx, splitList(*brokers), log); err != nil {
		fmt.Fprintln(stderr, "parley demo:", err)
		return exitError
	}
	return exitOK
}

func demoAlone(ctx context.Context, brokers []string, log *slog.Logger) error {
	topics := []kafka.Topic{{Name: defaultService(checkoutService).Topic}, {Name: checkoutEvents}}
	for _, name := range demoTopics() {
		topics = append(topics, kafka.Topic{Name: name})
	}
	if err := untilKafka(ctx, log, func(ctx context.Context) error {
		_, err := kafka.EnsureTopics(ctx, kafka.Config{Brokers: brokers, ClientID: demoGroup}, true, topics)
		return err
	}); err != nil {
		return err
	}
	shop, err := newDemo(demoTopics(), kafka.Config{Brokers: brokers, ClientID: demoGroup, Log: log}, demoGroup)
	if err != nil {
		return err
	}
	line, err := newPipeline(defaultService(checkoutService).Topic, checkoutEvents, log, kgo.SeedBrokers(brokers...))
	if err != nil {
		return err
	}
	var running sync.WaitGroup
	defer running.Wait()
	running.Go(func() { line.run(ctx) })
	log.Info("demo services run", "kafka", brokers)
	return shop.Run(ctx)
}

// demoGroup is the consumer group of the demo services.
const demoGroup = "parley-demo"

// demoTopics are the request topics of the demo services, by name.
func demoTopics() map[string]string {
	topics := make(map[string]string)
	for name := range demoServices() {
		topics[name] = defaultService(name).Topic
	}
	return topics
}
