package table

import (
	"context"
	"sync"

	"parley/routing"
)

// Watcher is told how the cluster changes. Its methods are called by one goroutine,
// one after the other; they may block for a while, as only further news wait, but
// not beyond the end of Run's context.
type Watcher interface {
	// Left tells that a process is gone without leaving, and what its lease carried.
	// Exactly one node is told so: its part is to clean up after the dead.
	Left(node routing.NodeID, boot, member string)
	// Changed tells that nodes have joined, left or were removed. Each is told.
	Changed()
	// Restored tells that Redis may have lost what it had acknowledged: it was
	// emptied, restarted, or another server took its place.
	Restored()
}

// departed is a process that is gone without leaving.
type departed struct {
	node         routing.NodeID
	boot, member string
}

// news are what the watcher is still to be told.
type news struct {
	wake chan struct{} // one token: there are some

	mu                sync.Mutex
	left              []departed
	changed, restored bool
}

func (n *news) init() { n.wake = make(chan struct{}, 1) }

// add takes what has happened. It does not block.
func (n *news) add(left []departed, changed, restored bool) {
	if len(left) == 0 && !changed && !restored {
		return
	}
	n.mu.Lock()
	n.left = append(n.left, left...)
	n.changed, n.restored = n.changed || changed, n.restored || restored
	n.mu.Unlock()
	wake(n.wake)
}

// watch tells the watcher the news until ctx ends.
func (r *Redis) watch(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.news.wake:
		}
		r.news.mu.Lock()
		left, changed, restored := r.news.left, r.news.changed, r.news.restored
		r.news.left, r.news.changed, r.news.restored = nil, false, false
		r.news.mu.Unlock()
		if r.o.Watcher == nil {
			continue
		}
		for _, d := range left {
			r.o.Watcher.Left(d.node, d.boot, d.member)
		}
		if changed {
			r.o.Watcher.Changed()
		}
		if restored {
			r.o.Watcher.Restored()
		}
	}
}

// wake puts the one token into a channel that has room for it.
func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
