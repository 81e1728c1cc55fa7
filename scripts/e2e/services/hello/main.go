// Command hello is a service that answers with what it was sent.
package main

import (
	"context"
	"os"

	"github.com/twmb/franz-go/pkg/kgo"
)

func main() {
	client, err := kgo.NewClient(kgo.SeedBrokers(os.Getenv("KAFKA")), kgo.ConsumerGroup("hello"), kgo.ConsumeTopics("hello.requests"),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.ProducerLinger(0))
	if err != nil {
		panic(err)
	}
	for {
		client.PollFetches(context.Background()).EachRecord(func(request *kgo.Record) {
			headers := map[string][]byte{}
			for _, h := range request.Headers {
				headers[h.Key] = h.Value
			}
			client.Produce(context.Background(), &kgo.Record{
				Topic: string(headers["parley-reply-topic"]), Key: headers["parley-request-id"], Value: request.Value,
			}, nil)
		})
	}
}
