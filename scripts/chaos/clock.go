package main

import (
	"errors"
	"slices"
	"time"
)

// clockFaults are nodes whose clocks are wrong.
var clockFaults = []fault{
	onNode(fault{name: "a node's clock is 5 min ahead", lasts: 2 * time.Second, tagged: true}, wrongClock("5m")),
	onNode(fault{name: "a node's clock is 5 min behind", lasts: 2 * time.Second, tagged: true}, wrongClock("-5m")),
}

// wrongClock starts a node anew with a clock that is wrong, and has sessions come to it
// and leave it again, so that it adopts what others have written, and they what it has.
// Then it dies with what it holds, and is started with the machine's clock.
func wrongClock(by string) func(*world, *node) error {
	return func(w *world, n *node) error {
		right := n.env
		defer func() { n.env = right }()
		n.process.kill()
		n.env = append(slices.Clone(right), "PARLEY_TEST_CLOCK="+by)
		if err := errors.Join(n.start(), n.awaitReady(w.ctx)); err != nil {
			return err
		}
		for _, every := range w.nodes {
			every.clients.reset()
		}
		w.sleep(steady + time.Second)
		n.process.kill()
		w.sleep(3 * time.Second)
		n.env = right
		return errors.Join(n.start(), n.awaitReady(w.ctx))
	}
}
