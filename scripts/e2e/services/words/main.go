// Command words is a service that answers a text word by word.
package main

import (
	"context"
	"encoding/json"
	"log"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"parley/kafka"
	"parley/kafka/service"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	s, err := service.New(service.Options{
		Kafka:    kafka.Config{Brokers: []string{os.Getenv("KAFKA")}},
		Group:    "words",
		Handlers: map[string]service.Handler{"words.requests": words},
	})
	if err == nil {
		err = s.Run(ctx)
	}
	if err != nil {
		log.Fatal(err)
	}
}

func words(ctx context.Context, r *service.Request) error {
	var text string
	if err := json.Unmarshal(r.Body, &text); err != nil {
		return &service.Failure{Code: "invalid_text", Status: 422, Message: `say a text: "to be"`}
	}
	for _, word := range strings.Fields(text) {
		part, err := service.JSON(word)
		if err != nil {
			return err
		}
		if err := r.Part(part); err != nil {
			return err // nobody waits for the rest
		}
	}
	return nil
}
