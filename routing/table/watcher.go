package table

import (
	"context"
	"sync"
)

// Watcher is told how the cluster changes.
type Watcher interface {
	// Left tells which processes are gone without leaving: this node is to clean up
	// after them, all together. It may block, but not beyond the end of ctx. An error
	// has it told again. Another node is told too where this one dies before, or takes
	// longer than a lease; what is done twice must do no harm.
	Left(ctx context.Context, gone []Departed) error
	// Changed tells that nodes have joined, left or were removed. Each is told.
	// It and Restored are called by one goroutine, one after the other; they may block
	// for a while, but not beyond the end of Run's context.
	Changed()
	// Restored tells that Redis may have lost what it had acknowledged: it was
	// emptied, restarted, or another server took its place.
	Restored()
}

// news are what the watcher is still to be told.
type news struct {
	wake chan struct{} // one token: there are some

	mu                sync.Mutex
	changed, restored bool
}

func (n *news) init() { n.wake = make(chan struct{}, 1) }

// add takes what has happened. It does not block.
func (n *news) add(changed, restored bool) {
	if !changed && !restored {
		return
	}
	n.mu.Lock()
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
		changed, restored := r.news.changed, r.news.restored
		r.news.changed, r.news.restored = false, false
		r.news.mu.Unlock()
		if r.o.Watcher == nil {
			continue
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
