package main

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

// fault is something that is done to the cluster.
type fault struct {
	name string
	// rounds is how often it is done in a full run, each time to the next node where
	// it is about one; 1 where it is 0.
	rounds int
	// lasts is the longest time for which replies cannot be expected to flow.
	lasts time.Duration
	// forgets is how much of what Redis had been told before it may lose.
	forgets time.Duration
	// needs are the parts that must be left alone by other faults meanwhile.
	needs func(w *world, round int) []*sync.Mutex
	// before is done to the node of a round first, and is no part of the fault's time.
	before func(w *world, n *node)
	// strike does it, and returns when the fault is over: what was ended runs again.
	strike func(w *world, round int) error
	// rude clients are a fault by themselves.
	rude  manners
	short bool // it is part of the short run

	sentinel, replicated bool // it needs a Redis with Sentinels, or several brokers
	tagged               bool // nodes must be built with the tag defects
	long                 bool // it takes too long to be mixed with others
}

// possible tells whether the cluster has what the fault is about. A binary that was given is
// not built with the tag.
func (f *fault) possible(o *options) bool {
	return (o.sentinel || !f.sentinel) && (o.brokers > 1 || !f.replicated) && (o.tagged != "" || !f.tagged)
}

// world is what a fault can act upon.
type world struct {
	*cluster
	ctx    context.Context
	random *rand.Rand
	*hits
}

// node is the one that a round is about.
func (w *world) node(round int) *node { return w.nodes[round%len(w.nodes)] }

func (w *world) sleep(d time.Duration) {
	select {
	case <-w.ctx.Done():
	case <-time.After(d):
	}
}

// bringBack starts nodes that a fault has ended, and waits until they are ready.
func (w *world) bringBack(nodes ...*node) error {
	w.returned(nodes...)
	for _, n := range nodes {
		if err := n.start(); err != nil {
			return err
		}
	}
	for _, n := range nodes {
		if err := n.awaitReady(w.ctx); err != nil {
			return err
		}
	}
	return nil
}

// onNode makes a fault of one node out of what is done to it.
func onNode(f fault, do func(w *world, n *node) error) fault {
	f.strike = func(w *world, round int) error {
		n := w.node(round)
		if f.before != nil {
			f.before(w, n)
		}
		w.struck(n)
		return do(w, n)
	}
	f.needs = func(w *world, round int) []*sync.Mutex { return []*sync.Mutex{&w.node(round).busy} }
	return f
}

// onRedis and onKafka make a fault of a server out of what is done to it.
func onRedis(f fault, do func(w *world) error) fault {
	f.strike = func(w *world, _ int) error {
		began := time.Now()
		w.struck()
		err := do(w)
		if f.forgets > 0 {
			w.history.add(event{Kind: forgot, Client: w.history.first, Timeout: time.Since(began) + f.forgets})
		}
		return err
	}
	f.needs = func(w *world, _ int) []*sync.Mutex { return []*sync.Mutex{&w.redis.busy} }
	return f
}

func onKafka(f fault, do func(w *world) error) fault {
	f.strike = func(w *world, _ int) error { w.struck(); return do(w) }
	f.needs = func(w *world, _ int) []*sync.Mutex { return []*sync.Mutex{&w.kafka.busy} }
	return f
}

// onAll makes a fault out of what is done to all nodes.
func onAll(f fault, do func(w *world) error) fault {
	f.strike = func(w *world, _ int) error { w.struck(); return do(w) }
	f.needs = func(w *world, _ int) (all []*sync.Mutex) {
		for _, n := range w.nodes {
			all = append(all, &n.busy)
		}
		return all
	}
	return f
}
