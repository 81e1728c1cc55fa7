package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"parley/cmd/parley/bench"
)

// measured is what one measurement came to.
type measured struct {
	count   int64 // of what is counted
	elapsed time.Duration
	cpu     time.Duration // the gateway's
	took    bench.Histogram
}

// loop has n callers call, each one call at a time, for d. A call answers how many it
// counts for. The first error ends it.
func (g *gateway) loop(ctx context.Context, n int, d time.Duration, call func(ctx context.Context) (int, error)) (*measured, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	m := &measured{}
	var count atomic.Int64
	var callers sync.WaitGroup
	cpu, err := bench.CPUTime(g.pid)
	if err != nil {
		return nil, err
	}
	start := time.Now()
	for range n {
		callers.Go(func() {
			for ctx.Err() == nil && time.Since(start) < d {
				began := time.Now()
				counts, err := call(ctx)
				if err != nil {
					cancel(err)
					return
				}
				m.took.Record(time.Since(began))
				count.Add(int64(counts))
			}
		})
	}
	callers.Wait()
	m.count, m.elapsed = count.Load(), time.Since(start)
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	spent, err := bench.CPUTime(g.pid)
	m.cpu = spent - cpu
	return m, err
}

// call makes an HTTP call, hands the body of a 200 to read, and reads what is left.
func (g *gateway) call(r *http.Request, read func(io.Reader) error) error {
	response, err := g.http.Do(r)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		problem, _ := io.ReadAll(io.LimitReader(response.Body, 1000))
		return fmt.Errorf("%s %s: %s: %s", r.Method, r.URL, response.Status, problem)
	}
	if read != nil {
		if err := read(response.Body); err != nil {
			return err
		}
	}
	_, err = io.Copy(io.Discard, response.Body)
	return err
}
