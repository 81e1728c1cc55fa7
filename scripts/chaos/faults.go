package main

import (
	"errors"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"
)

// faults are all that can be done, in the order of a full run.
var faults = slices.Concat(nodeFaults, pointFaults, clockFaults, redisFaults, kafkaFaults, networkFaults, rudeFaults)

// nodeFaults are what is done to the nodes' processes.
var nodeFaults = []fault{
	onAll(fault{name: "none", short: true}, func(w *world) error { w.sleep(3 * time.Second); return nil }),

	onNode(fault{name: "kill a node", rounds: 3, lasts: 2 * time.Second, short: true}, killNode),
	onNode(fault{name: "kill a node, unheard for 2 s", lasts: 4 * time.Second, before: unheard, short: true}, killUnheard),
	onNode(fault{name: "freeze a node 3 s", rounds: 3, lasts: 3 * time.Second, short: true}, freezeNode(3*time.Second)),
	onNode(fault{name: "freeze a node 10 s", rounds: 1, lasts: 10 * time.Second}, freezeNode(10*time.Second)),
	onNode(fault{name: "freeze a node 60 s", lasts: deaf, long: true}, freezeNode(time.Minute)),
	onAll(fault{name: "nodes that live are taken for dead", rounds: 2, lasts: 4 * time.Second}, takeForDead),
	onAll(fault{name: "restart all nodes in turn", lasts: 2 * time.Second, short: true}, restartAll),
}

// rudeFaults are clients without manners.
var rudeFaults = []fault{
	onAll(fault{name: "clients that never acknowledge", rude: manners(neverAcks), lasts: 5 * time.Second}, wait),
	onAll(fault{name: "clients that never read", rude: manners(neverReads), lasts: thinDeaf}, wait),
	onAll(fault{name: "clients that leave every 100 ms", rude: manners(alwaysLeaves), lasts: 5 * time.Second}, wait),
}

func wait(w *world) error { w.sleep(thinDeaf + 4*time.Second); return nil }

// killNode gives the others a few seconds alone before the node comes back.
func killNode(w *world, n *node) error {
	n.process.kill()
	w.sleep(3 * time.Second)
	return w.bringBack(n)
}

// unheard keeps what a node tells its clients on its way, for longer than it takes
// to commit.
func unheard(w *world, n *node) {
	n.clients.hold(false, true)
	w.sleep(2 * time.Second)
}

// killUnheard kills a node, and what it has delivered and is on its way with it.
func killUnheard(w *world, n *node) error {
	n.process.kill()
	n.clients.reset()
	n.clients.restore()
	w.sleep(3 * time.Second)
	return w.bringBack(n)
}

func freezeNode(d time.Duration) func(*world, *node) error {
	return func(_ *world, n *node) error { n.freeze(d); return nil }
}

// takeForDead ends leases of nodes that go on working, as happens where the machine is
// too busy for them to renew in time: one after another, faster than they come back,
// while sessions move.
func takeForDead(w *world) error {
	for range 2 * len(w.nodes) {
		if err := w.endLease(w.node(w.random.IntN(len(w.nodes)))); err != nil {
			return err
		}
		if w.random.IntN(2) == 0 {
			w.node(w.random.IntN(len(w.nodes))).clients.reset()
		}
		w.sleep(time.Duration(w.random.IntN(1500)) * time.Millisecond)
	}
	return nil
}

// endLease takes a node's lease away, again and again, until the others have noticed
// before it was renewed.
func (w *world) endLease(n *node) error {
	primary, err := w.redis.primary(w.ctx)
	if err != nil {
		return err
	}
	for range 100 {
		score, err := primary.ask(w.ctx, "EVAL", `redis.call('ZADD', KEYS[1], 'XX', 1, ARGV[1]); return redis.call('ZSCORE', KEYS[1], ARGV[1])`, 1, "parley:nodes", n.name)
		if errors.Is(err, redis.Nil) || score == nil {
			return nil
		}
		if err != nil {
			return err
		}
		w.sleep(20 * time.Millisecond)
	}
	return nil // the others may have no lease long enough to judge it
}

// restartAll is a rolling restart: each node has the time that it wants to drain.
func restartAll(w *world) error {
	for _, n := range w.nodes {
		n.process.stop(n.grace)
		if err := n.start(); err != nil {
			return err
		}
		if err := n.awaitReady(w.ctx); err != nil {
			return err
		}
	}
	return nil
}
