package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

func main() {
	log.SetFlags(log.Ltime)
	o, err := parseOptions(os.Args[1:])
	switch {
	case errors.Is(err, flag.ErrHelp):
		return
	case err != nil:
		log.Fatal("chaos: ", err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	good, err := run(ctx, o)
	if err != nil {
		log.Print("chaos: ", err)
	}
	if !good || err != nil {
		stop()
		os.Exit(1)
	}
}

// run does the whole campaign, and tells whether every promise was kept.
func run(ctx context.Context, o *options) (good bool, err error) {
	dir := o.keep
	if dir == "" {
		dir, err = os.MkdirTemp("", "parley-chaos.")
	} else {
		dir, err = filepath.Abs(dir)
		err = errors.Join(err, os.MkdirAll(dir, 0o755))
	}
	if err != nil {
		return false, err
	}
	defer func() {
		if good && o.keep == "" {
			os.RemoveAll(dir)
		} else {
			log.Printf("logs and histories are in %s", dir)
		}
	}()
	if err := o.complete(dir); err != nil {
		return false, err
	}
	if len(o.planted) > 0 {
		all, err := tryDefects(ctx, o, dir)
		good = !slices.ContainsFunc(all, func(h hearing) bool { return !h.right() })
		return good, errors.Join(err, o.publish("defects", func(out io.Writer) { writeHearings(out, all) }))
	}
	c, err := conduct(ctx, o, dir, o.chosen())
	if len(c.rows) == 0 {
		return false, err
	}
	if err != nil {
		o.into = "" // it is not complete
	}
	mark := "chaos"
	if o.full {
		mark = "chaos full"
	}
	err = errors.Join(err, o.publish(mark, c.writeAll))
	return c.good(), err
}

// publish prints a table, and puts it into the file that wants it.
func (o *options) publish(mark string, write func(io.Writer)) error {
	var text bytes.Buffer
	write(&text)
	os.Stdout.Write(text.Bytes())
	if o.into == "" {
		return nil
	}
	return putInto(o.into, mark, text.Bytes())
}

// conduct does faults to a cluster of its own. It answers what came of those that
// were done, also with an error.
func conduct(ctx context.Context, o *options, dir string, chosen []fault) (all *campaign, err error) {
	all = &campaign{o: o, began: time.Now()}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return all, err
	}
	log.Printf("seed %d: starting Kafka, Redis and %d nodes of %s", o.seed, o.nodes, o.parley)
	all.cluster, err = newCluster(ctx, o, dir)
	defer all.cluster.close()
	if err != nil {
		return all, err
	}
	return all, all.torment(ctx, chosen)
}

// torment does the faults to the cluster, which runs.
func (all *campaign) torment(ctx context.Context, chosen []fault) error {
	services, err := newServices(all.cluster.kafka.seeds())
	if err != nil {
		return err
	}
	services.history.Store(newHistory(0, 0))
	t := newTally(all.cluster.nodes)
	background, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	running.Go(func() { services.run(background) })
	running.Go(func() { t.run(background) })

	all.services, all.tally = services, t
	for i, f := range chosen {
		log.Printf("fault %d of %d, after %v", i+1, len(chosen), time.Since(all.began).Round(time.Second))
		switch {
		case ctx.Err() != nil || !all.o.alone && all.o.defect == "":
		case all.o.within > 0 && time.Since(all.began) > all.o.within:
			all.leftOut = append(all.leftOut, f.name)
		default:
			all.alone(ctx, f)
		}
	}
	if all.o.mixed > 0 && ctx.Err() == nil {
		all.mixed(ctx, chosen, all.o.mixed)
	}
	return ctx.Err()
}

// writeRows writes what was done, how, and what it came to.
func (c *campaign) writeRows(out io.Writer) {
	load, _ := os.ReadFile("/proc/loadavg")
	redis := "1 Redis"
	if c.o.sentinel {
		redis = "Redis with a replica and Sentinels"
	}
	fmt.Fprintf(out, "%d sessions, %d requests/s, %d nodes, %d brokers, %s, seed %d; %d processors, load average %.14s; clients, services and proxies used %.0f %% of one processor\n\n",
		c.o.sessions, c.o.rate, c.o.nodes, c.o.brokers, redis, c.o.seed, runtime.NumCPU(), load,
		100*used().Seconds()/time.Since(c.began).Seconds())
	writeTable(out, c.rows)
	if len(c.leftOut) > 0 {
		fmt.Fprintf(out, "\nLeft out, for %v were over: %s.\n", c.o.within, strings.Join(c.leftOut, "; "))
	}
}

// used is the time that this process has had of the processors.
func used() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u) // cannot fail
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// writeAll writes the rows, and how often each way of recovery was taken.
func (c *campaign) writeAll(out io.Writer) {
	c.writeRows(out)
	c.never = c.tally.report(out, c.o.short)
}

// good tells whether every promise was kept, and in a full run (and in a short one that
// left nothing out) every way of recovery taken.
func (c *campaign) good() bool {
	good := true
	for i := range c.rows {
		good = good && !c.rows[i].bad()
	}
	if (c.o.full || c.o.short && len(c.leftOut) == 0) && len(c.never) > 0 {
		log.Printf("never taken: %q: this run proves nothing about them", c.never)
		good = false
	}
	return good
}
