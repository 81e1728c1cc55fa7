package main

import (
	"time"
)

// faults are all that can be done, in the order of a full run.
var faults = []fault{
	onAll(fault{name: "none", short: true}, func(w *world) error { w.sleep(3 * time.Second); return nil }),

	onNode(fault{name: "kill a node", rounds: 3, lasts: 2 * time.Second, short: true}, killNode),
	onNode(fault{name: "kill a node, unheard for 2 s", lasts: 4 * time.Second, before: unheard, short: true}, killUnheard),
	onNode(fault{name: "freeze a node 3 s", rounds: 3, lasts: 3 * time.Second, short: true}, freezeNode(3*time.Second)),
	onNode(fault{name: "freeze a node 10 s", rounds: 1, lasts: 10 * time.Second}, freezeNode(10*time.Second)),
	onAll(fault{name: "restart all nodes in turn", lasts: 2 * time.Second, short: true}, restartAll),

	onRedis(fault{name: "freeze Redis 2 s", rounds: 2, lasts: 2 * time.Second, short: true}, func(w *world) error { w.redis.freeze(2 * time.Second); return nil }),
	onRedis(fault{name: "restart Redis empty", rounds: 2, lasts: 2 * time.Second, short: true}, restartRedis),
	onNode(fault{name: "cut a node from Redis 3 s", rounds: 2, lasts: 3 * time.Second, short: true}, cut(func(n *node) *proxy { return n.redis }, 3*time.Second)),
	onNode(fault{name: "hold what Redis tells a node 3 s", lasts: 3 * time.Second}, holdBack(func(n *node) *proxy { return n.redis }, 3*time.Second)),

	onKafka(fault{name: "freeze Kafka 3 s", rounds: 2, lasts: 3 * time.Second, short: true}, func(w *world) error { w.kafka.freeze(3 * time.Second); return nil }),
	onKafka(fault{name: "kill Kafka, start it again", lasts: 20 * time.Second}, restartKafka),
	onNode(fault{name: "cut a node from Kafka 3 s", rounds: 2, lasts: 3 * time.Second}, cut(func(n *node) *proxy { return n.kafka }, 3*time.Second)),
	onNode(fault{name: "hold what Kafka tells a node 3 s", lasts: 3 * time.Second}, holdBack(func(n *node) *proxy { return n.kafka }, 3*time.Second)),

	onNode(fault{name: "reset a node's clients", rounds: 3, short: true}, func(_ *world, n *node) error { n.clients.reset(); return nil }),
	onNode(fault{name: "half-open client sockets", lasts: 10 * time.Second, short: true}, func(w *world, n *node) error {
		n.clients.strand()
		w.sleep(10 * time.Second)
		return nil
	}),
	onAll(fault{name: "all clients reconnect at once", rounds: 2, short: true}, func(w *world) error {
		for _, n := range w.nodes {
			n.clients.reset()
		}
		return nil
	}),
	onAll(fault{name: "20 ms more each way, everywhere", lasts: 2 * time.Second}, func(w *world) error {
		for _, n := range w.nodes {
			for _, p := range n.proxies() {
				p.delay(20 * time.Millisecond)
				defer p.delay(0)
			}
		}
		w.sleep(5 * time.Second)
		return nil
	}),

	onAll(fault{name: "clients that never acknowledge", rude: manners(neverAcks), lasts: 5 * time.Second}, wait),
	onAll(fault{name: "clients that never read", rude: manners(neverReads), lasts: thinDeaf}, wait),
	onAll(fault{name: "clients that leave every 100 ms", rude: manners(alwaysLeaves), lasts: 5 * time.Second}, wait),
}

func wait(w *world) error { w.sleep(thinDeaf + 4*time.Second); return nil }

// killNode gives the others a few seconds alone before the node comes back.
func killNode(w *world, n *node) error {
	n.process.kill()
	w.sleep(3 * time.Second)
	if err := n.start(); err != nil {
		return err
	}
	return n.awaitReady(w.ctx)
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
	if err := n.start(); err != nil {
		return err
	}
	return n.awaitReady(w.ctx)
}

func freezeNode(d time.Duration) func(*world, *node) error {
	return func(_ *world, n *node) error { n.freeze(d); return nil }
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

func restartRedis(w *world) error {
	w.redis.kill()
	w.sleep(500 * time.Millisecond)
	return w.redis.start()
}

func restartKafka(w *world) error {
	w.kafka.kill()
	w.sleep(time.Second)
	return w.kafka.start()
}

func cut(which func(*node) *proxy, d time.Duration) func(*world, *node) error {
	return func(w *world, n *node) error {
		which(n).sever()
		w.sleep(d)
		which(n).restore()
		return nil
	}
}

// holdBack lets a node talk and not hear: the cut of one way.
func holdBack(which func(*node) *proxy, d time.Duration) func(*world, *node) error {
	return func(w *world, n *node) error {
		which(n).hold(false, true)
		w.sleep(d)
		which(n).restore()
		return nil
	}
}
