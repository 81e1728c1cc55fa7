package table

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// lease is what this node knows of its own.
type lease struct {
	mu      sync.Mutex
	member  string
	renewed time.Time // when the last renewal that worked was sent
	left    bool      // the node has given it up
}

func (l *lease) init(member string) { l.member = member }

// SetMember changes what the lease carries, with its next renewal.
func (r *Redis) SetMember(member string) {
	r.lease.mu.Lock()
	defer r.lease.mu.Unlock()
	r.lease.member = member
}

// Leased tells whether, by this node's own clock, others must take it for
// alive: its lease was renewed no longer ago than the lease is long.
func (r *Redis) Leased() bool {
	r.lease.mu.Lock()
	defer r.lease.mu.Unlock()
	return !r.lease.renewed.IsZero() && time.Since(r.lease.renewed) < r.o.Lease
}

// overdue tells whether the next renewal, of which there are four to a lease, has
// been waited for too long. It is not before the first.
func (l *lease) overdue(lease time.Duration) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.renewed.IsZero() && time.Since(l.renewed) > lease/2
}

// mayWrite tells whether rows may be written: a node that slept must not before
// it has learned whether it was removed meanwhile.
func (r *Redis) mayWrite() bool {
	r.lease.mu.Lock()
	left := r.lease.left
	r.lease.mu.Unlock()
	return left || r.Leased()
}

// renew keeps the lease until ctx ends.
func (r *Redis) renew(ctx context.Context) {
	first := true
	for {
		switch err := r.renewOnce(ctx, first); {
		case err == nil:
			first = false
		case unreachable(err):
			r.link.failed("renew lease", err)
		default:
			r.refuse("renew lease", err)
		}
		if !sleep(ctx, r.o.Lease/4) {
			return
		}
	}
}

func (r *Redis) renewOnce(ctx context.Context, first bool) error {
	ctx, cancel := context.WithTimeout(ctx, r.o.Lease)
	defer cancel()
	// First the inbox: nobody relays to a node whose inbox is not there, and an
	// earlier boot that leaves late may have taken it away.
	if err := inboxScript.Run(ctx, r.client, []string{inboxKey(r.o.Node)}).Err(); err != nil {
		return fmt.Errorf("make inbox: %w", err)
	}
	r.lease.mu.Lock()
	member := r.lease.member
	r.lease.mu.Unlock()
	sent := time.Now()
	answer, err := leaseScript.Run(ctx, r.client, nodeKeys(), string(r.o.Node), r.o.Lease.Milliseconds(), r.boot, member).Int64Slice()
	if err != nil {
		return err
	}
	if len(answer) != 2 {
		return fmt.Errorf("lease script answered %v", answer)
	}
	absent, rival := answer[0] == 1, answer[1] == 1
	if !first && rival {
		r.o.Log.Error("another process uses this node's name: give each its own", "node", string(r.o.Node))
	}
	if !first && absent { // Redis was emptied, or another node has removed this one
		r.o.Log.Warn("Redis had forgotten this node: its sessions are written anew")
		r.inbox.rewind()
		r.rebuild()
	}
	// Everyone's renewals may have been late, not this node's alone.
	if r.link.away() || r.lease.overdue(r.o.Lease) {
		r.rebuilt.waitForOthers()
	}
	r.lease.mu.Lock()
	r.lease.renewed = sent
	r.lease.mu.Unlock()
	if r.link.worked() {
		r.rebuild()
	}
	return nil
}
