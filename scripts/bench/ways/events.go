package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"parley/cmd/parley/bench"
	"parley/kafka/service"
)

const (
	ordersTopic = "bench.orders"
	eventsTopic = "bench.events"
	floodRate   = 100_000 // events a second
	waitEvery   = 20 * time.Millisecond
	untilDone   = 500 * time.Millisecond
)

// ignore is the service of orders, whose events answer for it.
func ignore(context.Context, *service.Request) error { return nil }

// flood writes floodRate events a second that answer nobody, and counts those that the
// gateway has consumed. Every waitEvery an order is made meanwhile, and untilDone
// later the event written that it waits for: its time is that from the event to its
// caller.
func (g *gateway) flood(d time.Duration, state string) func(context.Context) (*measured, error) {
	return func(ctx context.Context) (*measured, error) {
		client, err := g.kafka.Client(kgo.MaxBufferedRecords(floodRate), kgo.ProducerLinger(5*time.Millisecond))
		if err != nil {
			return nil, err
		}
		defer client.Close()
		m := &measured{}
		cpu, err := bench.CPUTime(g.pid)
		if err != nil {
			return nil, err
		}
		before, err := g.consumed(ctx)
		if err != nil {
			return nil, err
		}
		start := time.Now()
		var orders sync.WaitGroup
		failed := make(chan error, 1)
		orders.Go(func() { g.orders(ctx, client, m, d, failed) })
		produce(ctx, client, state, d)
		orders.Wait()
		after, err := g.consumed(ctx)
		if err != nil {
			return nil, err
		}
		m.count, m.elapsed = after-before, time.Since(start)
		spent, err := bench.CPUTime(g.pid)
		m.cpu = spent - cpu
		select {
		case err = <-failed:
		default:
		}
		return m, err
	}
}

// produce writes events for d, in a steady stream.
func produce(ctx context.Context, client *kgo.Client, state string, d time.Duration) {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	start, sent := time.Now(), 0
	for range tick.C {
		since := time.Since(start)
		if since >= d || ctx.Err() != nil {
			return
		}
		for ; sent < int(since.Seconds()*floodRate); sent++ {
			client.Produce(ctx, event(fmt.Sprintf("o-%d", sent%50_000), state), nil)
		}
	}
}

// event is one of some 100 bytes.
func event(order, state string) *kgo.Record {
	return &kgo.Record{Topic: eventsTopic, Key: []byte(order), Value: fmt.Appendf(nil,
		`{"order":%q,"state":%q,"customer":"c-1","total":"12.40","at":"2026-11-25T01:09:24.123Z"}`, order, state)}
}

// orders makes orders until d is nearly over, and waits for all.
func (g *gateway) orders(ctx context.Context, client *kgo.Client, m *measured, d time.Duration, failed chan<- error) {
	var open sync.WaitGroup
	start, run := time.Now(), time.Now().UnixNano()
	for n := 0; time.Since(start) < d-2*untilDone; n++ {
		open.Go(func() {
			if err := g.order(ctx, client, m, fmt.Sprintf("w-%d-%d", run, n)); err != nil {
				select {
				case failed <- err:
				default:
				}
			}
		})
		time.Sleep(waitEvery)
	}
	open.Wait()
}

func (g *gateway) order(ctx context.Context, client *kgo.Client, m *measured, name string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, g.url+"/services/order", strings.NewReader(fmt.Sprintf(`{"order":%q}`, name)))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	written := make(chan time.Time, 1)
	time.AfterFunc(untilDone, func() {
		written <- time.Now()
		client.Produce(ctx, event(name, "DONE"), nil)
	})
	if err := g.call(r, nil); err != nil {
		return err
	}
	m.took.Record(time.Since(<-written))
	return nil
}

// consumed is how many events the gateway has looked at since it started.
func (g *gateway) consumed(ctx context.Context) (sum int64, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, g.admin+"/metrics", nil)
	if err != nil {
		return 0, err
	}
	err = g.call(r, func(body io.Reader) error {
		lines := bufio.NewScanner(body)
		for lines.Scan() {
			name, value, _ := strings.Cut(lines.Text(), " ")
			if !strings.HasPrefix(name, "parley_events_total{") {
				continue
			}
			n, err := strconv.ParseFloat(value, 64)
			if err != nil {
				return err
			}
			sum += int64(n)
		}
		return lines.Err()
	})
	return sum, err
}
