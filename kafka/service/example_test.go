package service_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"sync"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"parley/kafka"
	"parley/kafka/service"
)

// price answers what something costs, or that it is not sold.
func price(ctx context.Context, r *service.Request) error {
	var asked struct{ SKU string }
	if err := json.Unmarshal(r.Body, &asked); err != nil {
		return &service.Failure{Code: "invalid", Status: 422, Message: `say what: {"sku":"tea"}`}
	}
	if asked.SKU != "tea" {
		return &service.Failure{Code: "not_found", Status: 404, Message: "we sell tea"}
	}
	answer, err := service.JSON(map[string]any{"sku": asked.SKU, "cents": 620})
	if err != nil {
		return err
	}
	return r.Reply(answer)
}

// A service that runs until its context ends.
func Example() {
	broker, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(4, "prices.requests", "parley.replies"))
	if err != nil {
		log.Fatal(err)
	}
	defer broker.Close()

	prices, err := service.New(service.Options{
		Kafka:    kafka.Config{Brokers: broker.ListenAddrs()},
		Group:    "prices",
		Handlers: map[string]service.Handler{"prices.requests": price},
	})
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := prices.Run(ctx); err != nil {
			log.Print(err)
		}
	})

	ask(broker.ListenAddrs(), `{"sku":"tea"}`)
	ask(broker.ListenAddrs(), `{"sku":"gold"}`)
	stop()
	running.Wait()

	// Output:
	// {"cents":620,"sku":"tea"}
	// not_found: we sell tea
}

// A handler is tested without Kafka.
func ExampleTry() {
	for _, a := range service.Try(context.Background(), price, &service.Request{Body: []byte(`{"sku":"tea"}`)}) {
		fmt.Printf("%s\n", a.Body)
	}
	// Output: {"cents":620,"sku":"tea"}
}

// ask does what a gateway does, once.
func ask(brokers []string, body string) {
	client, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.ConsumeTopics("parley.replies"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	id := "example." + body
	client.Produce(context.Background(), &kgo.Record{Topic: "prices.requests", Value: []byte(body), Headers: []kgo.RecordHeader{
		{Key: "parley-request-id", Value: []byte(id)},
		{Key: "parley-reply-topic", Value: []byte("parley.replies")},
	}}, nil)
	for {
		for record := range client.PollFetches(context.Background()).RecordsAll() {
			headers := make(map[string]string)
			for _, h := range record.Headers {
				headers[h.Key] = string(h.Value)
			}
			if headers["parley-request-id"] != id {
				continue
			}
			if code := headers["parley-error-code"]; code != "" {
				fmt.Println(code+":", headers["parley-error-message"])
			} else {
				fmt.Println(string(record.Value))
			}
			return
		}
	}
}
