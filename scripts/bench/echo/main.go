// Command echo is the service of the benchmarks: it answers each request with
// the bytes that it was sent. The raw round trip and the gateway are measured
// with one and the same process of it.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os/signal"
	"syscall"

	"github.com/twmb/franz-go/pkg/kgo"
)

func main() {
	broker := flag.String("kafka", "127.0.0.1:9092", "host:port of a broker")
	topic := flag.String("topic", "bench.echo", "request topic")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	client, err := kgo.NewClient(
		kgo.SeedBrokers(*broker),
		kgo.ConsumerGroup(*topic+".service"),
		kgo.ConsumeTopics(*topic),
		kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, got map[string][]int32) {
			if len(got[*topic]) > 0 {
				fmt.Printf("ready: %d partitions of %s\n", len(got[*topic]), *topic)
			}
		}),
		kgo.ProducerLinger(0), // batches form by themselves under load
	)
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	for {
		fetches := client.PollFetches(ctx)
		if ctx.Err() != nil {
			return
		}
		fetches.EachError(func(topic string, partition int32, err error) {
			log.Printf("read %s/%d: %v", topic, partition, err)
		})
		fetches.EachRecord(func(request *kgo.Record) { answer(ctx, client, request) })
	}
}

// answer replies on the topic that the request names. The default partitioner
// takes the key, which is the request's id, to the partition that it was made
// for.
func answer(ctx context.Context, client *kgo.Client, request *kgo.Record) {
	reply := &kgo.Record{Value: request.Value}
	for _, h := range request.Headers {
		switch h.Key {
		case "parley-request-id":
			reply.Key = h.Value
			reply.Headers = []kgo.RecordHeader{h}
		case "parley-reply-topic":
			reply.Topic = string(h.Value)
		}
	}
	if reply.Topic == "" {
		return
	}
	client.Produce(ctx, reply, func(_ *kgo.Record, err error) {
		if err != nil && ctx.Err() == nil {
			log.Printf("answer %s: %v", reply.Key, err)
		}
	})
}
