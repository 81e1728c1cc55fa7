package main

import (
	"context"
	"time"
)

// kafkaFaults are what can become of Kafka: all of it, or one broker.
var kafkaFaults = []fault{
	onKafka(fault{name: "freeze Kafka 3 s", rounds: 2, lasts: 3 * time.Second, short: true}, func(w *world) error {
		freeze(3*time.Second, w.kafka.all...)
		return nil
	}),
	onKafka(fault{name: "kill Kafka, start it again", lasts: 20 * time.Second}, restartKafka),
	onKafka(fault{name: "rebalance the group: a stranger takes part for 3 s", lasts: 6 * time.Second}, func(w *world) error {
		return w.kafka.visit(w.ctx, 3*time.Second)
	}),

	onBroker(fault{name: "kill the broker that is the controller", lasts: 10 * time.Second}, (*brokers).controller, killBroker),
	onBroker(fault{name: "kill another broker", lasts: 10 * time.Second}, (*brokers).bystander, killBroker),
	onBroker(fault{name: "kill the group's coordinator", lasts: 10 * time.Second}, (*brokers).coordinator, killBroker),
	onBroker(fault{name: "freeze a broker 2 s", lasts: 2 * time.Second}, (*brokers).bystander, freezeBroker(2*time.Second)),
	onBroker(fault{name: "freeze a broker 10 s: others lead", lasts: 10 * time.Second}, (*brokers).bystander, freezeBroker(10*time.Second)),
	onBroker(fault{name: "move all leaders to other brokers", rounds: 2, lasts: 3 * time.Second}, (*brokers).bystander, func(w *world, _ *server) error {
		return w.kafka.moveLeaders(w.ctx)
	}),
}

// restartKafka kills every broker at the same time. How long they take to be back is the
// machine's affair: several start at once, under load.
func restartKafka(w *world) error {
	began := time.Now()
	for _, s := range w.kafka.all {
		s.kill()
	}
	w.sleep(time.Second)
	if err := together(w.kafka.all); err != nil {
		return err
	}
	err := w.kafka.settle(w.ctx)
	w.history.add(event{Kind: away, Client: w.history.first, Timeout: time.Since(began)})
	return err
}

// onBroker makes a fault of one broker of several out of what is done to it.
func onBroker(f fault, pick func(*brokers, context.Context) (*server, error), do func(w *world, s *server) error) fault {
	f.replicated = true
	return onKafka(f, func(w *world) error {
		s, err := pick(w.kafka, w.ctx)
		if err != nil {
			return err
		}
		return do(w, s)
	})
}

// killBroker gives the others some time to be alone.
func killBroker(w *world, s *server) error {
	s.kill()
	w.sleep(6 * time.Second)
	if err := s.start(); err != nil {
		return err
	}
	return w.kafka.settle(w.ctx)
}

func freezeBroker(d time.Duration) func(*world, *server) error {
	return func(w *world, s *server) error {
		freeze(d, s)
		return w.kafka.settle(w.ctx)
	}
}
