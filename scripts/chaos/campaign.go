package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"time"
)

// campaign does one fault after another to one cluster.
type campaign struct {
	o        *options
	cluster  *cluster
	services *services
	tally    *tally
	next     int // number of the next history's first client
	rows     []row
	began    time.Time
	leftOut  []string // faults that there was no time for
	never    []string // ways of recovery that were not taken
}

// failed is why some fault has no verdict.
func (c *campaign) failed() error {
	var all []error
	for i := range c.rows {
		if err := c.rows[i].failed; err != nil {
			all = append(all, fmt.Errorf("%s: %w", c.rows[i].fault, err))
		}
	}
	return errors.Join(all...)
}

// row is what one fault came to.
type row struct {
	fault string
	verdict
	waits   []time.Duration
	silent  time.Duration
	returns []time.Duration // waits because of the returns of what was ended
	failed  error           // something else went wrong
}

func (r *row) bad() bool { return r.failed != nil || r.broken() }

// warmUp is how long load goes on before a fault, coldStart before the first one where
// there are several brokers, when none of them has compiled or cached anything, and calm
// after one.
const (
	warmUp    = 2 * time.Second
	coldStart = 20 * time.Second
	calm      = 3 * time.Second
)

// alone does one fault under load, round by round.
func (c *campaign) alone(ctx context.Context, f fault) {
	log.Printf("%s", f.name)
	if err := c.cluster.use(ctx, c.o.binary(f)); err != nil {
		c.rows = append(c.rows, row{fault: f.name, failed: err})
		return
	}
	c.under(ctx, f.name, f.lasts, f.rude, func(done *hits) error {
		random := rand.New(rand.NewPCG(c.o.seed, uint64(len(c.rows))))
		w := &world{cluster: c.cluster, ctx: ctx, random: random, hits: done}
		for round := range f.rounds {
			w.sleep(time.Duration(random.IntN(1000)) * time.Millisecond)
			if err := f.strike(w, round); err != nil {
				return err
			}
			w.sleep(calm)
			if ctx.Err() != nil {
				return ctx.Err()
			}
		}
		return nil
	})
}

// mixed does faults at random, two at a time where they do not concern the same
// part.
func (c *campaign) mixed(ctx context.Context, some []fault, d time.Duration) {
	name := fmt.Sprintf("mixed, %v", d)
	log.Print(name)
	if err := c.cluster.use(ctx, c.o.binary(some...)); err != nil {
		c.rows = append(c.rows, row{fault: name, failed: err})
		return
	}
	c.under(ctx, name, 20*time.Second, "", func(done *hits) (err error) {
		var mu sync.Mutex
		end := time.Now().Add(d)
		var lanes sync.WaitGroup
		for lane := range uint64(2) {
			lanes.Go(func() {
				random := rand.New(rand.NewPCG(c.o.seed, 1000+lane))
				w := &world{cluster: c.cluster, ctx: ctx, random: random, hits: done}
				for time.Now().Before(end) && ctx.Err() == nil && !done.history.full() {
					w.sleep(time.Duration(random.IntN(4000)) * time.Millisecond)
					f, round := some[random.IntN(len(some))], random.IntN(len(c.cluster.nodes))
					if f.rude != "" || f.long || f.lasts > 10*time.Second {
						continue
					}
					failed := exclusively(w, f, round)
					mu.Lock()
					if errors.Is(failed, errNobodyCame) {
						log.Printf("  %s: %v", f.name, failed) // what else was done has kept it away
						failed = nil
					}
					if failed != nil && err == nil {
						err = fmt.Errorf("%s: %w", f.name, failed)
					}
					mu.Unlock()
				}
			})
		}
		lanes.Wait()
		return err
	})
}

// exclusively does a fault while no other has what it needs.
func exclusively(w *world, f fault, round int) error {
	for _, part := range f.needs(w, round) { // always in the same order, as there is only one list
		part.Lock()
		defer part.Unlock()
	}
	log.Printf("  %s (%s)", f.name, w.node(round).name)
	return f.strike(w, round)
}

// under puts load on the cluster, does something to it, judges, and adds a row.
func (c *campaign) under(ctx context.Context, name string, lasts time.Duration, rude manners, do func(*hits) error) {
	h := newHistory(c.o.history, c.next)
	c.next += c.o.sessions + strangers
	c.services.history.Store(h)
	margin := lasts + c.o.slack
	r := row{fault: name}
	l, err := newLoad(ctx, c.o, h, c.services, c.cluster.urls(), margin+c.o.patience, rude)
	if err != nil {
		r.failed = fmt.Errorf("connect the clients: %w", err)
		c.rows = append(c.rows, r)
		return
	}
	if c.o.brokers > 1 && len(c.rows) == 0 {
		time.Sleep(coldStart)
	}
	time.Sleep(warmUp)
	done := &hits{history: h}
	err = do(done)
	if err == nil {
		err = c.cluster.heal(ctx)
	}
	l.settle()
	settled, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	if failed := c.services.settle(settled); err == nil {
		err = failed
	}
	events := h.all()
	l.end()
	r.failed = err
	r.verdict = judge(events, max(margin, longestAway(events)+c.o.slack))
	all := trials(events)
	for i, at := range done.all {
		back := recoverFrom(events, all, done, i)
		if at.returns {
			r.returns = append(r.returns, back.waits...)
			continue
		}
		r.waits = append(r.waits, back.waits...)
		r.silent = max(r.silent, back.silent)
	}
	c.tally.addHistory(events)
	c.rows = append(c.rows, r)
	if skipped := l.skipped.Load(); skipped > 0 {
		log.Printf("  %d requests were not made: their clients had %d open", skipped, openLimit)
	}
	if r.bad() {
		c.explain(&r, h)
	}
	if r.bad() && c.o.defect == "" || c.o.keep != "" {
		c.keep(h)
	}
}

// longestAway is the longest time in a history for which no broker was there.
func longestAway(events []event) (longest time.Duration) {
	for i := range events {
		if e := &events[i]; e.Kind == away {
			longest = max(longest, e.Timeout)
		}
	}
	if longest > 0 {
		log.Printf("  Kafka was away for %v", longest.Round(100*time.Millisecond))
	}
	return longest
}

// explain shows what is wrong.
func (c *campaign) explain(r *row, h *history) {
	if r.failed != nil {
		log.Printf("  FAILED: %v", r.failed)
	}
	shown := 3
	if c.o.defect != "" {
		shown = 1 // it is no news
	}
	for what, some := range r.findings() {
		for i, f := range some {
			if i == shown {
				log.Printf("  … and %d more %s", len(some)-i, what)
				break
			}
			log.Printf("  %s: %s: %s", what, f.call, f.why)
			for _, e := range h.of(f.call) {
				log.Printf("      %s", e.line())
			}
		}
	}
}

// keep writes the history of the last row.
func (c *campaign) keep(h *history) {
	file := filepath.Join(c.cluster.dir, fmt.Sprintf("history-%02d.jsonl", len(c.rows)))
	if err := h.write(file); err != nil {
		log.Printf("  keep the history: %v", err)
		return
	}
	log.Printf("  the history is in %s", file)
}
