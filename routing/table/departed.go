package table

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"parley/routing"
)

// Departed is a process that is gone without leaving.
type Departed struct {
	Node   routing.NodeID
	Boot   string
	Member string // what its lease carried
}

const (
	leftAgain    = 50 * time.Millisecond // the pause before the watcher is told again
	leftAgainMax = time.Second
)

// departures are the processes that this node is to clean up after.
type departures struct {
	wake  chan struct{} // one token: there are some
	fails rarely

	mu  sync.Mutex
	all []Departed
}

func (d *departures) init() { d.wake = make(chan struct{}, 1) }

// add answers those that are new.
func (d *departures) add(some []Departed) (fresh []Departed) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, one := range some {
		if !slices.Contains(d.all, one) {
			d.all, fresh = append(d.all, one), append(fresh, one)
		}
	}
	if len(fresh) > 0 {
		wake(d.wake)
	}
	return fresh
}

func (d *departures) list() []Departed {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.all)
}

func (d *departures) remove(some []Departed) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.all = slices.DeleteFunc(d.all, func(one Departed) bool { return slices.Contains(some, one) })
}

func (d *departures) clear() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.all = nil
}

// dismiss has the watcher clean up after departed processes until ctx ends. What it
// leaves undone another node takes up.
func (r *Redis) dismiss(ctx context.Context) {
	for pause := leftAgain; ; {
		gone := r.departures.list()
		if len(gone) == 0 {
			select {
			case <-ctx.Done():
				return
			case <-r.departures.wake:
			}
			pause = leftAgain
			continue
		}
		if err := r.dismissOnce(ctx, gone); err == nil {
			r.departures.remove(gone)
			continue
		} else if kept, ok := r.departures.fails.pass(); ok && ctx.Err() == nil {
			r.o.Log.Error("what dead nodes have left is not cleaned up yet", "nodes", len(gone), "err", err, "kept_back", kept)
		}
		if !sleep(ctx, pause) {
			return
		}
		pause = min(2*pause, leftAgainMax)
		r.recall(ctx, gone)
	}
}

// recall forgets those that another node has dealt with, or that have only slept.
func (r *Redis) recall(ctx context.Context, gone []Departed) {
	values, err := r.client.HMGet(ctx, departedKey, departedFields(gone)...).Result()
	if err != nil {
		return // it will be told again
	}
	var dealt []Departed
	for i, d := range gone {
		if values[i] == nil {
			dealt = append(dealt, d)
		}
	}
	r.departures.remove(dealt)
}

// dismissOnce tells the watcher, and then Redis that it is done.
func (r *Redis) dismissOnce(ctx context.Context, gone []Departed) error {
	routing.Pass(routing.PointDeparted)
	if r.o.Watcher != nil {
		if err := r.o.Watcher.Left(ctx, gone); err != nil {
			return err
		}
	}
	if err := r.client.HDel(ctx, departedKey, departedFields(gone)...).Err(); err != nil {
		return fmt.Errorf("note that departed nodes are dealt with: %w", err)
	}
	return nil
}

// departedFields are their names in {parley:nodes}:departed.
func departedFields(gone []Departed) []string {
	fields := make([]string, len(gone))
	for i, d := range gone {
		fields[i] = d.Boot + " " + string(d.Node)
	}
	return fields
}
