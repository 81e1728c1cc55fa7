package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"parley/kafka"
)

// services are all that answers in `parley dev`: the demo services, the checkout's
// pipeline, and an HTTP service with a worker before it.
type services struct {
	prices  *http.Server
	at      string // URL of the HTTP service
	cancel  context.CancelFunc
	running sync.WaitGroup // what reads Kafka
	serving sync.WaitGroup // the HTTP service, which the worker asks to its end
}

// startServices starts them on these brokers.
func startServices(brokers []string, log *slog.Logger) (*services, error) {
	shop, err := newDemo(demoTopics(), kafka.Config{Brokers: brokers, ClientID: demoGroup, Log: log}, demoGroup)
	if err != nil {
		return nil, err
	}
	line, err := newPipeline(defaultService(checkoutService).Topic, checkoutEvents, log, kgo.SeedBrokers(brokers...))
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for the HTTP service: %w", err)
	}
	s := &services{prices: &http.Server{Handler: newPrices(), ReadHeaderTimeout: 5 * time.Second}, at: "http://" + l.Addr().String()}
	worker, err := loadConfig("worker", []string{
		"--kafka.brokers", strings.Join(brokers, ","), "--services." + pricesService + ".forward", s.at,
		"--worker.group", demoGroup, "--shutdown", devShutdown.String(),
	}, nil, io.Discard)
	if err != nil {
		_ = l.Close()
		return nil, fmt.Errorf("configure the worker: %w", err)
	}
	var ctx context.Context
	ctx, s.cancel = context.WithCancel(context.Background())
	s.serving.Go(func() { _ = s.prices.Serve(l) }) // until it is closed
	s.running.Go(func() { line.run(ctx) })
	for name, run := range map[string]func(context.Context) error{
		"the demo services end": shop.Run,
		"the worker ends":       func(ctx context.Context) error { return work(ctx, worker, log) },
	} {
		s.running.Go(func() {
			if err := run(ctx); err != nil {
				log.Error(name, "err", err)
			}
		})
	}
	return s, nil
}

// stop ends them, and waits for that: what has been begun is answered.
func (s *services) stop() {
	s.cancel()
	s.running.Wait()
	_ = s.prices.Close()
	s.serving.Wait()
}
