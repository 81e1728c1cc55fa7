package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"parley/kafka/service"
)

// workerMetrics count what `parley worker` does.
type workerMetrics struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
}

func newWorkerMetrics() *workerMetrics {
	m := &workerMetrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "parley_worker_requests_total", Help: "Requests that a worker has dealt with, by how they ended.",
		}, []string{"service", "outcome"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "parley_worker_request_seconds", Help: "Time from a request's being read to its end.", Buckets: prometheus.DefBuckets,
		}, []string{"service"}),
	}
	m.registry.MustRegister(m.requests, m.seconds, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// of answers the observer of one service.
func (m *workerMetrics) of(name string) service.Observer { return workerObserver{m, name} }

type workerObserver struct {
	*workerMetrics
	name string
}

// Finished implements service.Observer.
func (o workerObserver) Finished(_ string, outcome service.Outcome, took time.Duration) {
	o.requests.WithLabelValues(o.name, string(outcome)).Inc()
	o.seconds.WithLabelValues(o.name).Observe(took.Seconds())
}

// serve serves /metrics and /healthz, unless the address is empty, until end is called.
func (m *workerMetrics) serve(address string, log *slog.Logger) (end func(), err error) {
	if address == "" {
		return func() {}, nil
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen for operators: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	served := make(chan struct{})
	go func() {
		defer close(served)
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			log.Warn("metrics are not served any longer", "err", err)
		}
	}()
	return func() {
		_ = server.Shutdown(context.Background())
		<-served
	}, nil
}
