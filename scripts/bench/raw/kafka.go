package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"parley/cmd/parley/bench"
)

// kafka is the bench.Transport that has no gateway in it: a lane is a client
// that produces requests and consumes the reply topic.
type kafka struct{ broker, requests, replies string }

// Open starts a client that reads the replies from here on.
func (k *kafka) Open(ctx context.Context) (bench.Lane, error) {
	from, err := k.ends(ctx)
	if err != nil {
		return nil, fmt.Errorf("find the end of %s: %w", k.replies, err)
	}
	client, err := kgo.NewClient(
		kgo.SeedBrokers(k.broker),
		kgo.ClientID("raw"),
		kgo.ConsumePartitions(from),
		kgo.ProducerLinger(0), // batches form by themselves under load
		kgo.MaxBufferedRecords(100_000),
	)
	if err != nil {
		return nil, err
	}
	return &lane{kafka: k, client: client, prefix: rand.Text()[:22] + ".", failed: make(chan error, 1)}, nil
}

func (k *kafka) ends(ctx context.Context) (map[string]map[int32]kgo.Offset, error) {
	client, err := kgo.NewClient(kgo.SeedBrokers(k.broker))
	if err != nil {
		return nil, err
	}
	defer client.Close()
	ends, err := kadm.NewClient(client).ListEndOffsets(ctx, k.replies)
	if err == nil {
		err = ends.Error()
	}
	return ends.KOffsets(), err
}

// lane is one client's requests and replies.
type lane struct {
	*kafka
	client *kgo.Client
	prefix string // of this lane's request ids

	polled []*kgo.Record // Receive's: what it has not answered yet
	failed chan error    // the first request that could not be produced
}

// Send produces a request with the headers that a gateway would give it.
func (l *lane) Send(id uint64, body []byte) error {
	request := append([]byte(l.prefix), strconv.FormatUint(id, 10)...)
	l.client.Produce(context.Background(), &kgo.Record{
		Topic: l.requests, Key: request, Value: slices.Clone(body),
		Headers: []kgo.RecordHeader{
			{Key: "parley-request-id", Value: request},
			{Key: "parley-reply-topic", Value: []byte(l.replies)},
			{Key: "parley-service", Value: []byte("echo")},
			{Key: "parley-deadline", Value: []byte("1764000000000")},
		},
	}, func(_ *kgo.Record, err error) {
		if err != nil {
			select {
			case l.failed <- err:
			default:
			}
		}
	})
	return nil
}

// Receive answers with the next reply that is this lane's.
func (l *lane) Receive() (bench.Answer, error) {
	for {
		for len(l.polled) > 0 {
			reply := l.polled[0]
			l.polled = l.polled[1:]
			if number, mine := strings.CutPrefix(string(reply.Key), l.prefix); mine {
				id, err := strconv.ParseUint(number, 10, 64)
				return bench.Answer{ID: id, Body: reply.Value}, err
			}
		}
		fetches := l.client.PollFetches(context.Background())
		if err := fetches.Err(); err != nil {
			return bench.Answer{}, err
		}
		l.polled = fetches.Records()
	}
}

// Close ends the client, and tells of a request that could not be produced.
func (l *lane) Close() error {
	l.client.Close()
	select {
	case err := <-l.failed:
		return fmt.Errorf("produce: %w", err)
	default:
		return nil
	}
}
