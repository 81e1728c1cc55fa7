package service

import (
	"context"
	"crypto/rand"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"parley/kafka"
)

// BenchmarkService is what a request costs from its topic to the answer's
// acknowledgement, with a topic full of them: an operation is one request.
func BenchmarkService(b *testing.B) {
	config := kafka.Config{Brokers: []string{os.Getenv("PARLEY_TEST_KAFKA")}}
	if config.Brokers[0] == "" {
		fake, err := kfake.NewCluster(kfake.NumBrokers(1))
		if err != nil {
			b.Fatal(err)
		}
		defer fake.Close()
		config.Brokers = fake.ListenAddrs()
	}
	name := strings.ToLower(rand.Text()[:10])
	requests, replies := "requests-"+name, "replies-"+name
	if _, err := kafka.EnsureTopics(b.Context(), config, true, []kafka.Topic{{Name: requests, Partitions: partitions}, {Name: replies, Partitions: partitions}}); err != nil {
		b.Fatal(err)
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(config.Brokers...))
	if err != nil {
		b.Fatal(err)
	}
	defer client.Close()
	for range b.N {
		id := rand.Text()
		client.Produce(b.Context(), &kgo.Record{Topic: requests, Key: []byte(id), Value: make([]byte, 100), Headers: []kgo.RecordHeader{
			{Key: "parley-request-id", Value: []byte(id)}, {Key: "parley-reply-topic", Value: []byte(replies)}, {Key: "parley-service", Value: []byte("shop")},
		}}, nil)
	}
	if err := client.Flush(b.Context()); err != nil {
		b.Fatal(err)
	}
	var left sync.WaitGroup
	left.Add(b.N)
	s, err := New(Options{Kafka: config, Group: "g-" + name, Handlers: map[string]Handler{requests: echo}, Backlog: 4096, Observer: counter{&left}})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	var running sync.WaitGroup
	b.ReportAllocs()
	b.ResetTimer()
	running.Go(func() { _ = s.Run(ctx) })
	left.Wait()
	cancel()
	running.Wait() // all answers are written
}

// counter counts requests down.
type counter struct{ left *sync.WaitGroup }

func (c counter) Finished(string, Outcome, time.Duration) { c.left.Done() }
