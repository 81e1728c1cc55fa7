// Command raw measures what a gateway is compared with: the round trip of a
// request and its reply by franz-go alone, over the same topics and the same
// service, driven by the load generator of `parley bench`. With --create it
// makes the topics and ends.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"parley/cmd/parley/bench"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx))
}

func run(ctx context.Context) int {
	flags := flag.NewFlagSet("raw", flag.ExitOnError)
	kafka, options := &kafka{}, &bench.Options{}
	flags.StringVar(&kafka.broker, "kafka", "127.0.0.1:9092", "host:port of a broker")
	flags.StringVar(&kafka.requests, "topic", "bench.echo", "request topic")
	flags.StringVar(&kafka.replies, "replies", "bench.replies", "reply topic")
	create := flags.String("create", "", "make these topics instead, `name=partitions` by comma")
	options.Define(flags)
	flags.Parse(os.Args[1:])
	if *create == "" {
		return options.Run(ctx, flags, kafka, os.Stdout, os.Stderr)
	}
	if err := kafka.create(ctx, *create); err != nil {
		fmt.Fprintln(os.Stderr, "raw:", err)
		return 1
	}
	return 0
}

// create makes topics, and waits until each of their partitions has a leader.
func (k *kafka) create(ctx context.Context, topics string) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(k.broker))
	if err != nil {
		return err
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	for topic := range strings.SplitSeq(topics, ",") {
		var partitions int32
		name, number, _ := strings.Cut(topic, "=")
		if _, err := fmt.Sscan(number, &partitions); err != nil {
			return fmt.Errorf("create %q: name=partitions", topic)
		}
		made, err := admin.CreateTopic(ctx, partitions, 1, nil, name)
		if err == nil {
			err = made.Err
		}
		if err != nil && err != kerr.TopicAlreadyExists {
			return fmt.Errorf("create %s: %w", name, err)
		}
		if err := awaitLeaders(ctx, admin, name); err != nil {
			return err
		}
	}
	return nil
}

func awaitLeaders(ctx context.Context, admin *kadm.Client, topic string) (err error) {
	for range 100 {
		var ends kadm.ListedOffsets
		if ends, err = admin.ListEndOffsets(ctx, topic); err == nil {
			if err = ends.Error(); err == nil {
				return nil
			}
		}
		time.Sleep(100 * time.Millisecond)
	}
	return fmt.Errorf("no leaders for %s: %w", topic, err)
}
