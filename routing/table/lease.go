package table

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"parley/routing"
)

// lease is what this node knows of its own.
type lease struct {
	wake chan struct{} // one token: renew now

	mu      sync.Mutex
	member  string
	renewed time.Time // when the last renewal that worked was sent
	left    bool      // the node has given it up
	clock   int64     // Redis's, Unix ms, at renewed
	since   int64     // by Redis's clock: since then the lease has never lapsed (see lease.lua)
	members map[routing.NodeID]string
	soon    time.Duration // after renewed there may be news of other nodes; 0 for none soon
}

func (l *lease) init(member string) { l.member, l.wake = member, make(chan struct{}, 1) }

// renewAgain is the pause between renewals while Redis is away: what waits for it to
// be back waits for a renewal to say so.
const renewAgain = 100 * time.Millisecond

// renewPause is the shortest time between two renewals, however long one takes.
const renewPause = 10 * time.Millisecond

func (l *lease) renewNow() { wake(l.wake) }

// SetMember changes what the lease carries, soon.
func (r *Redis) SetMember(member string) {
	r.lease.mu.Lock()
	r.lease.member = member
	r.lease.mu.Unlock()
	r.lease.renewNow()
}

// Leased tells whether, by this node's own clock, others must take it for
// alive: its lease was renewed no longer ago than the lease is long.
func (r *Redis) Leased() bool {
	r.lease.mu.Lock()
	defer r.lease.mu.Unlock()
	return !r.lease.renewed.IsZero() && time.Since(r.lease.renewed) < r.o.Lease
}

// mayWrite tells whether rows may be written: a node that slept must not before
// it has learned whether it was removed meanwhile.
func (r *Redis) mayWrite() bool {
	r.lease.mu.Lock()
	left := r.lease.left
	r.lease.mu.Unlock()
	return left || r.Leased()
}

// until answers when d will have passed, by Redis's clock as this node knows it;
// 0 where it does not.
func (l *lease) until(d time.Duration) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.renewed.IsZero() {
		return 0
	}
	return l.clock + (time.Since(l.renewed) + d).Milliseconds()
}

// renew keeps the lease until ctx ends.
func (r *Redis) renew(ctx context.Context, to Node) {
	first := true
	for {
		began := time.Now()
		switch err := r.renewOnce(ctx, first); {
		case err == nil:
			first = false
		case errors.Is(err, errRemoved):
			r.startAnew(to, r.pulse.slept(time.Now()))
			first = true
			r.lease.renewNow()
		case unreachable(err):
			r.link.failed("renew lease", err)
		default:
			r.refuse("renew lease", err)
		}
		pause := time.NewTimer(max(r.again()-time.Since(began), renewPause))
		select {
		case <-pause.C:
		case <-r.lease.wake:
		case <-ctx.Done():
		}
		if pause.Stop(); ctx.Err() != nil {
			return
		}
	}
}

// again is how long after a renewal was begun the next one is. A lease that ends before
// others have renewed it is its node's death, which is not to wait for the next renewal's
// turn.
func (r *Redis) again() time.Duration {
	again := r.o.Lease / 4
	if r.link.away() {
		return min(again, renewAgain)
	}
	r.lease.mu.Lock()
	defer r.lease.mu.Unlock()
	if r.lease.soon > 0 {
		again = min(again, r.lease.soon)
	}
	return again
}

func (r *Redis) renewOnce(ctx context.Context, first bool) error {
	ctx, cancel := context.WithTimeout(ctx, r.o.Lease)
	defer cancel()
	if first { // nobody relays to a node whose inbox is not there
		if err := r.makeInbox(ctx, r.o.Node); err != nil {
			return err
		}
	}
	sent := time.Now()
	answer, info, err := r.askLease(ctx, first)
	if err != nil {
		return err
	}
	received := time.Now()
	c, err := parseCensus(answer)
	if err != nil {
		return err
	}
	if c.removed {
		return errRemoved
	}
	if first { // who buries the boot before may not have seen this one yet, and taken it away again
		if err := r.makeInbox(ctx, r.o.Node); err != nil {
			return err
		}
	}
	if off, news := r.clock.learn(sent, received, c.now); news {
		r.o.Log.Warn("this node's clock is not Redis's, which deadlines are told by", "ahead", off.Round(time.Millisecond).String())
	}
	restored := r.primaryChanged(ctx, info)
	if !first && c.expires == 0 {
		restored = true
		r.o.Log.Warn("Redis had forgotten this node: its sessions are written anew")
		r.inbox.rewind()
		r.rebuilt.setReclaim() // what was written before this renewal looked like a dead node's to others
	}
	if restored {
		r.waitAgain()
	}
	if back := r.link.worked(); back || restored || r.rebuilt.toReclaim() {
		r.rebuild(c)
	}
	r.rebuilt.hear(c)
	r.take(c, sent, first, restored)
	r.pulse.confirm(sent)
	return nil
}

// askLease renews the lease, and answers what lease.lua and INFO say. It is one round trip:
// where each takes long, more of them would make the lease late. The inbox is made as well,
// as an earlier boot that leaves late may have taken it away.
func (r *Redis) askLease(ctx context.Context, first bool) (answer []any, info string, err error) {
	inbox := call(ctx, inboxScript, []string{inboxKey(r.o.Node)})
	lease := call(ctx, leaseScript, leaseKeys(), r.leaseArgs(first)...)
	server := redis.NewStringCmd(ctx, "info", "server")
	if err := r.exec(ctx, []redis.Cmder{inbox, lease, server}, false); err != nil {
		return nil, "", err
	}
	if err := inbox.Err(); err != nil {
		return nil, "", fmt.Errorf("make inbox: %w", err)
	}
	answer, err = lease.Slice()
	return answer, server.Val(), err
}

// leaseArgs tells lease.lua, among others, since when this node has had its lease. Only
// one whose lease has not lapsed for as long as it lasts may judge others: so when Redis
// comes back, every node has the time to return before it can be taken for dead. And they
// tell when the renewal before was, as this node's word that all it has is in Redis: a
// renewal by itself says nothing, for it is the first that learns that Redis has lost
// something.
func (r *Redis) leaseArgs(first bool) []any {
	r.lease.mu.Lock()
	defer r.lease.mu.Unlock()
	r.lease.soon = 0
	args := []any{string(r.o.Node), r.o.Lease.Milliseconds(), r.boot(), r.lease.member, "", "", "", linePrefix}
	if first {
		args[4] = "first"
	} else {
		args[5] = r.lease.since
		if !r.rebuilt.owesWord() && !r.link.away() {
			args[6] = strconv.FormatInt(r.lease.clock, 10)
		}
	}
	return args
}

// take acts on what a renewal has learned.
func (r *Redis) take(c *census, sent time.Time, first, restored bool) {
	l := &r.lease
	l.mu.Lock()
	l.renewed, l.clock, l.since = sent, c.now, c.since
	changed := l.members != nil && !maps.Equal(l.members, c.members)
	l.members, l.soon = c.members, c.soon
	l.mu.Unlock()
	if c.rival {
		r.o.Log.Error("another process uses this node's name: give each its own", "node", string(r.o.Node))
	}
	left := r.departures.add(c.left)
	for _, d := range left {
		r.removed.Add(1)
		r.o.Log.Warn("node is gone without leaving", "gone", string(d.Node), "boot", d.Boot, "member", d.Member)
	}
	r.news.add(changed, restored)
	r.graves.add(c.graves)
	if first || len(left) > 0 {
		r.tellNodes(c.members)
	}
}
