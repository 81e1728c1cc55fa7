package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	callers   = 50
	viewTopic = "bench.view"
	viewKeys  = 10_000
	body      = `{"customer":"c-1","items":[{"sku":"tea","quantity":2},{"sku":"mugs","quantity":1}],"note":"by noon"}` // 100 bytes
)

// requests makes requests of echo, with the idempotency keys that key gives.
func (g *gateway) requests(d time.Duration, key func() string) func(context.Context) (*measured, error) {
	return func(ctx context.Context) (*measured, error) {
		return g.loop(ctx, callers, d, func(ctx context.Context) (int, error) {
			r, err := http.NewRequestWithContext(ctx, http.MethodPost, g.url+"/services/echo", strings.NewReader(body))
			if err != nil {
				return 0, err
			}
			r.Header.Set("Content-Type", "application/json")
			if key := key(); key != "" {
				r.Header.Set("Idempotency-Key", key)
			}
			return 1, g.call(r, nil)
		})
	}
}

func noKey() string  { return "" }
func newKey() string { return rand.Text() }

var used atomic.Int64

// usedKey is one of a thousand: all but the first requests get what is kept.
func usedKey() string { return fmt.Sprintf("used-%d", used.Add(1)%1000) }

// views reads the newest events of viewKeys keys.
func (g *gateway) views(d time.Duration) func(context.Context) (*measured, error) {
	var next atomic.Int64
	return func(ctx context.Context) (*measured, error) {
		return g.loop(ctx, callers, d, func(ctx context.Context) (int, error) {
			r, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("%s/services/view/k-%d", g.url, next.Add(1)%viewKeys), nil)
			if err != nil {
				return 0, err
			}
			return 1, g.call(r, nil)
		})
	}
}

// fillView writes an event of each key, and waits until the gateway has the last.
func (g *gateway) fillView(ctx context.Context) error {
	client, err := g.kafka.Client()
	if err != nil {
		return err
	}
	defer client.Close()
	for i := range viewKeys {
		client.Produce(ctx, &kgo.Record{Topic: viewTopic, Key: fmt.Appendf(nil, "k-%d", i), Value: []byte(body)}, nil)
	}
	if err := client.Flush(ctx); err != nil {
		return fmt.Errorf("fill the view: %w", err)
	}
	for i := range viewKeys {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("%s/services/view/k-%d", g.url, i), nil)
		if err != nil {
			return err
		}
		r.Header.Set("Prefer", "wait=10")
		if err := g.call(r, nil); err != nil {
			return fmt.Errorf("wait for the view: %w", err)
		}
	}
	return nil
}
