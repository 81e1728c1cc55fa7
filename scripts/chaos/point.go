package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"parley/routing"
)

// pointFaults are those of nodes that kill themselves at a point of their code. The
// nodes are built with the tag defects for it.
var pointFaults = []fault{
	onPoint(fault{name: "killed between produce and acceptance", rounds: 2}, routing.PointProduced, 200, itself, byLoad),
	onPoint(fault{name: "killed between a key's claim and its request's produce", rounds: 2}, routing.PointClaimed, 20, itself, byLoad),
	onPoint(fault{name: "killed between a key's request and Kafka's word", rounds: 2}, routing.PointArrived, 20, itself, byLoad),
	onPoint(fault{name: "killed between consume and hand-off"}, routing.PointConsumed, 50, itself, byLoad),
	onPoint(fault{name: "killed between inbox append and commit", rounds: 2}, routing.PointRelayed, 20, itself, byLoad),
	onPoint(fault{name: "killed between held list and commit", lasts: deaf}, routing.PointHeld, 3, others, killDeaf),
	onPoint(fault{name: "killed between resume and welcome"}, routing.PointResumed, 10, itself, resetOthers),
	onPoint(fault{name: "killed while it drains"}, routing.PointDraining, 40, itself, terminate),
	onPoint(fault{name: "killed between drain and leave"}, routing.PointDrained, 0, itself, terminate),
	onPoint(fault{name: "killed before it tells the group of another", lasts: deaf}, routing.PointDeparted, 0, others, killDeaf),
	onPoint(fault{name: "killed while it buries another", lasts: deaf}, routing.PointBuried, 0, others, killDeaf),
}

const (
	// deaf is how long clients of a socket that leads nowhere do not notice it.
	deaf = 10 * time.Second
	// comes is how long it may take until a node is at its point: a drain has 20 s.
	comes = 25 * time.Second
)

// onPoint makes a fault of a point at which a node dies, after it has passed there up
// to so many times. whom answers who may, of a round about one node; bring makes them
// come there. The fault fails where nobody does.
func onPoint(f fault, at routing.Point, passes int, whom func(w *world, n *node) []*node, bring func(w *world, n *node)) fault {
	f.tagged = true
	f.lasts = max(f.lasts, 2*time.Second)
	f.strike = func(w *world, round int) error {
		n := w.node(round)
		some := whom(w, n)
		lot := fmt.Sprintf("lot-%d", lots.Add(1))
		for _, one := range some {
			one.doom(at, w.random.IntN(passes+1), lot)
		}
		bring(w, n)
		victim, err := firstToEnd(w, some)
		for _, one := range some {
			one.spare()
		}
		if err != nil { // one that ended without coming there runs again
			return errors.Join(fmt.Errorf("the point %q: %w", at, err), w.revive())
		}
		w.struck(victim)
		w.sleep(3 * time.Second)
		return w.revive()
	}
	f.needs = func(w *world, _ int) (all []*sync.Mutex) {
		for _, n := range w.nodes {
			all = append(all, &n.busy)
		}
		return all
	}
	return f
}

// itself and others are who may die in a round about a node.
func itself(_ *world, n *node) []*node { return []*node{n} }

func others(w *world, n *node) (some []*node) {
	for _, other := range w.nodes {
		if other != n {
			some = append(some, other)
		}
	}
	return some
}

// byLoad lets the load bring a node to a point.
func byLoad(*world, *node) {}

// resetOthers makes the clients of other nodes come to this one.
func resetOthers(w *world, n *node) {
	for _, other := range others(w, n) {
		other.clients.reset()
	}
}

func terminate(_ *world, n *node) { n.process.signal(syscall.SIGTERM) }

// killDeaf kills a node whose clients do not notice for a while: what comes for them
// is the others' to deal with. How long they wait is their own affair, and not measured.
func killDeaf(_ *world, n *node) {
	n.clients.strand()
	n.process.kill()
}

var errNobodyCame = errors.New("nobody has come there")

// firstToEnd waits for one of some nodes to die.
func firstToEnd(w *world, some []*node) (*node, error) {
	for late := time.Now().Add(comes); time.Now().Before(late) && w.ctx.Err() == nil; w.sleep(time.Millisecond) {
		for _, n := range some {
			if n.process.lives() {
				continue
			}
			if how := n.process.cmd.ProcessState.Sys().(syscall.WaitStatus); how.Signal() != syscall.SIGKILL {
				return nil, fmt.Errorf("node %s has ended: %w", n.name, errNobodyCame)
			}
			return n, nil
		}
	}
	return nil, errNobodyCame
}

// revive brings back what has ended.
func (w *world) revive() error {
	var ended []*node
	for _, n := range w.nodes {
		if !n.process.lives() {
			ended = append(ended, n)
		}
	}
	return w.bringBack(ended...)
}

// lots numbers the lots that are drawn.
var lots atomic.Int64

// doom has the node kill itself at a point, once it has passed there so many times. Of
// all that have the same lot one does: two that come there in the same moment, and die
// of it, would leave nobody who could answer.
func (n *node) doom(at routing.Point, passes int, lot string) {
	n.tell(fmt.Sprintf("%s %d %s\n", at, passes, lot))
}

// spare takes that back.
func (n *node) spare() { n.tell("") }

func (n *node) tell(text string) {
	_ = os.WriteFile(n.killFile, []byte(text), 0o644) // a fault that comes to nothing fails by itself
	n.process.signal(syscall.SIGUSR1)
}

func killFile(dir, name string) string { return filepath.Join(dir, "node-"+name+".kill") }
