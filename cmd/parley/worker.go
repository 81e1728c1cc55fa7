package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"time"

	"parley/kafka"
	"parley/kafka/service"
	"parley/kafka/worker"
)

// runWorker is `parley worker`: HTTP services behind request topics.
func runWorker(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	args, err := forwardFlags(args)
	if err != nil {
		fmt.Fprintln(stderr, "parley worker:", err)
		return exitUsage
	}
	cfg, code, ok := configured("worker", args, stdout, stderr)
	if !ok {
		return code
	}
	log := loggerTo(stderr, cfg.Log)
	if err := work(ctx, cfg, log); err != nil {
		log.Error("worker ends", "err", err)
		return exitError
	}
	return exitOK
}

// forwardFlags turns --service NAME --forward URL, as often as there are, into the
// keys that they stand for.
func forwardFlags(args []string) (keys []string, err error) {
	name, open := "", false
	for len(args) > 0 {
		flag, text, hasText := strings.Cut(args[0], "=")
		args = args[1:]
		if flag != "--service" && flag != "--forward" {
			keys = append(keys, flag)
			if hasText {
				keys[len(keys)-1] += "=" + text
			}
			continue
		}
		if !hasText && len(args) > 0 {
			text, args = args[0], args[1:]
		}
		switch {
		case text == "" || strings.HasPrefix(text, "-"):
			return nil, fmt.Errorf("%s has no value", flag)
		case flag == "--service" && open:
			return nil, fmt.Errorf("--service %s needs a --forward URL behind it", name)
		case flag == "--service":
			name, open = text, true
		case !open:
			return nil, errors.New("--forward needs a --service NAME before it")
		default:
			keys, open = append(keys, "--"+servicesPrefix+name+".forward", text), false
		}
	}
	if open {
		return nil, fmt.Errorf("--service %s needs a --forward URL behind it", name)
	}
	return keys, nil
}

// work forwards until ctx ends, or one of the services cannot go on.
func work(ctx context.Context, cfg Config, log *slog.Logger) error {
	broker, err := cfg.Kafka.connection(log)
	if err != nil {
		return fmt.Errorf("configure Kafka: %w", err)
	}
	metrics := newWorkerMetrics()
	workers, topics, err := newWorkers(cfg, broker, metrics)
	if err != nil {
		return err
	}
	admin, err := metrics.serve(cfg.Worker.Admin, log)
	if err != nil {
		return err
	}
	defer admin()
	err = untilKafka(ctx, log, func(ctx context.Context) error {
		_, err := kafka.EnsureTopics(ctx, broker, cfg.Kafka.CreateTopics, topics)
		return err
	})
	if err != nil {
		return notOver(ctx, err)
	}
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	var running sync.WaitGroup
	for name, w := range workers {
		running.Go(func() {
			if err := w.Run(ctx); err != nil {
				fail(fmt.Errorf("service %s: %w", name, err))
			}
		})
		log.Info("forwarding", "service", name, "topic", cfg.Services[name].Topic, "to", cfg.Services[name].Forward)
	}
	running.Wait()
	return notOver(ctx, context.Cause(ctx))
}

// notOver is err, unless it only says that ctx was ended from outside.
func notOver(ctx context.Context, err error) error {
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		return nil
	}
	return err
}

// newWorkers makes a worker for each service that is to be forwarded, and answers
// what topics they need.
func newWorkers(cfg Config, broker kafka.Config, metrics *workerMetrics) (workers map[string]*service.Service, topics []kafka.Topic, err error) {
	workers = make(map[string]*service.Service)
	for _, name := range cfg.serviceNames() {
		s := cfg.Services[name]
		if s.Forward == "" {
			continue
		}
		at, err := url.Parse(s.Forward)
		if err != nil {
			return nil, nil, fmt.Errorf("services.%s.forward: %w", name, err)
		}
		workers[name], err = service.New(service.Options{
			Kafka: broker, Group: cfg.Worker.Group + "." + name, Concurrency: cfg.Worker.Concurrency, Ordered: cfg.Worker.Ordered,
			Handlers: map[string]service.Handler{s.Topic: worker.Forward(worker.Options{URL: at, Retry: time.Duration(cfg.Worker.Retry), Body: int(cfg.Sessions.Frame)})},
			Answer:   int(cfg.Sessions.Frame) + recordOverhead, Shutdown: time.Duration(cfg.Shutdown), Observer: metrics.of(name),
		})
		if err != nil {
			return nil, nil, err
		}
		topics = append(topics, kafka.Topic{Name: s.Topic, Replication: int16(cfg.Kafka.Replication), RecordBytes: int(cfg.Sessions.Frame) + recordOverhead})
	}
	if len(workers) == 0 {
		return nil, nil, errors.New("there is nothing to forward: want --service NAME --forward URL, or a service with the key forward")
	}
	return workers, topics, nil
}
