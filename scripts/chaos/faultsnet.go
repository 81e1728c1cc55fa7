package main

import "time"

// networkFaults are what networks do, between a node and one of its three sides.
var networkFaults = []fault{
	onNode(fault{name: "cut a node from Redis 3 s", rounds: 2, lasts: 3 * time.Second, short: true}, cut(toRedis, 3*time.Second)),
	onNode(fault{name: "hold what a node tells Redis 3 s", lasts: 3 * time.Second}, holdUp(toRedis, toward, 3*time.Second)),
	onNode(fault{name: "hold what Redis tells a node 3 s", lasts: 3 * time.Second}, holdUp(toRedis, back, 3*time.Second)),
	onNode(fault{name: "half-open connections to Redis", lasts: 5 * time.Second}, strand(toRedis, 5*time.Second)),
	onNode(fault{name: "reset a node's connections to Redis", rounds: 2}, reset(toRedis)),

	onNode(fault{name: "cut a node from Kafka 3 s", rounds: 2, lasts: 3 * time.Second}, cut(toKafka, 3*time.Second)),
	onNode(fault{name: "hold what a node tells Kafka 3 s", lasts: 3 * time.Second}, holdUp(toKafka, toward, 3*time.Second)),
	onNode(fault{name: "hold what Kafka tells a node 3 s", lasts: 3 * time.Second}, holdUp(toKafka, back, 3*time.Second)),
	onNode(fault{name: "half-open connections to Kafka", lasts: 15 * time.Second}, strand(toKafka, 12*time.Second)),
	onNode(fault{name: "reset a node's connections to Kafka", rounds: 2}, reset(toKafka)),

	onNode(fault{name: "cut a node from its clients 3 s", lasts: 3 * time.Second}, cut(toClients, 3*time.Second)),
	onNode(fault{name: "hold what clients tell a node 3 s", lasts: 3 * time.Second}, holdUp(toClients, toward, 3*time.Second)),
	onNode(fault{name: "hold what a node tells its clients 3 s", lasts: 3 * time.Second}, holdUp(toClients, back, 3*time.Second)),
	onNode(fault{name: "half-open client sockets", lasts: 10 * time.Second, short: true}, strand(toClients, 10*time.Second)),
	onNode(fault{name: "reset a node's clients", rounds: 3, short: true}, reset(toClients)),
	onAll(fault{name: "all clients reconnect at once", rounds: 2, short: true}, func(w *world) error {
		for _, n := range w.nodes {
			n.clients.reset()
		}
		return nil
	}),
	onAll(fault{name: "100 ms more each way, everywhere", lasts: 3 * time.Second}, func(w *world) error {
		for _, n := range w.nodes {
			for _, side := range n.networks() {
				side.delay(100 * time.Millisecond)
				defer side.delay(0)
			}
		}
		w.sleep(5 * time.Second)
		return nil
	}),
}

// side is one of a node's three networks.
type side func(*node) network

func toClients(n *node) network { return n.clients }
func toKafka(n *node) network   { return n.kafka }
func toRedis(n *node) network   { return n.redis }

// way is a direction, seen from who connects: a node is the server of its clients.
type direction bool

const (
	toward direction = true
	back   direction = false
)

func cut(to side, d time.Duration) func(*world, *node) error {
	return func(w *world, n *node) error {
		to(n).sever()
		w.sleep(d)
		to(n).restore()
		return nil
	}
}

// holdUp cuts one way: one end talks and is not heard.
func holdUp(to side, which direction, d time.Duration) func(*world, *node) error {
	return func(w *world, n *node) error {
		to(n).hold(which == toward, which == back)
		w.sleep(d)
		to(n).restore()
		return nil
	}
}

// strand leaves both ends with connections that are none, for as long as it may take
// them to find out.
func strand(to side, d time.Duration) func(*world, *node) error {
	return func(w *world, n *node) error {
		to(n).strand()
		w.sleep(d)
		return nil
	}
}

func reset(to side) func(*world, *node) error {
	return func(_ *world, n *node) error { to(n).reset(); return nil }
}
