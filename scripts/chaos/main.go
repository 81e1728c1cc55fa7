package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
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
	log.Printf("seed %d: starting Kafka, Redis and %d nodes of %s", o.seed, o.nodes, o.parley)
	cluster, err := newCluster(ctx, o, dir)
	defer cluster.close()
	if err != nil {
		return false, err
	}
	return torment(ctx, o, cluster)
}

// torment does the faults to a cluster that runs, and reports.
func torment(ctx context.Context, o *options, c *cluster) (good bool, err error) {
	services, err := newServices(c.kafka.address)
	if err != nil {
		return false, err
	}
	services.history.Store(newHistory(0, 0))
	t := newTally(c.nodes)
	background, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	running.Go(func() { services.run(background) })
	running.Go(func() { t.run(background) })

	all := &campaign{o: o, cluster: c, services: services, tally: t}
	chosen := o.chosen()
	for _, f := range chosen {
		if ctx.Err() == nil {
			all.alone(ctx, f)
		}
	}
	if o.mixed > 0 && ctx.Err() == nil {
		all.mixed(ctx, chosen, o.mixed)
	}
	return all.report(os.Stdout), ctx.Err()
}

// report prints the tables, and tells whether every promise was kept.
func (c *campaign) report(out *os.File) (good bool) {
	load, _ := os.ReadFile("/proc/loadavg")
	fmt.Fprintf(out, "%d sessions, %d requests/s, %d nodes, seed %d; %d processors, load average %.14s\n\n",
		c.o.sessions, c.o.rate, c.o.nodes, c.o.seed, runtime.NumCPU(), load)
	writeTable(out, c.rows)
	never := c.tally.report(out)
	good = true
	for i := range c.rows {
		good = good && !c.rows[i].bad()
	}
	if c.o.full && len(never) > 0 {
		log.Printf("never taken: %q: this run proves nothing about them", never)
		good = false
	}
	return good
}
