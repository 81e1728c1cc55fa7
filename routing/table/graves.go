package table

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"parley/routing"
)

const (
	buryAgain    = 10 * time.Millisecond // the pause between two rounds over an inbox
	buryAgainMax = 500 * time.Millisecond
	buryEntries  = 256
)

// graves are the removed processes whose inboxes this node is to route again.
type graves struct {
	wake chan struct{} // one token: there are some

	mu  sync.Mutex
	all []grave
}

func (g *graves) init() { g.wake = make(chan struct{}, 1) }

func (g *graves) add(more []grave) {
	if len(more) == 0 {
		return
	}
	g.mu.Lock()
	for _, one := range more {
		if !slices.Contains(g.all, one) {
			g.all = append(g.all, one)
		}
	}
	g.mu.Unlock()
	wake(g.wake)
}

func (g *graves) list() []grave {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.all)
}

func (g *graves) remove(one grave) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.all = slices.DeleteFunc(g.all, func(other grave) bool { return other == one })
}

func (g *graves) clear() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.all = nil
}

// bury looks after graves until ctx ends. What it leaves undone another node
// takes up, once this one has left or was removed.
func (r *Redis) bury(ctx context.Context) {
	for pause := buryAgain; ; {
		all := r.graves.list()
		if len(all) == 0 {
			select {
			case <-ctx.Done():
				return
			case <-r.graves.wake:
			}
			pause = buryAgain
			continue
		}
		for _, g := range all {
			done, err := r.buryOnce(ctx, g)
			switch {
			case err == nil && done:
				r.graves.remove(g)
				pause = buryAgain
			case unreachable(err):
				r.link.failed("route a dead node's inbox", err)
			case err != nil:
				r.refuse("route a dead node's inbox", err)
			}
		}
		if !sleep(ctx, pause) {
			return
		}
		pause = min(2*pause, buryAgainMax)
	}
}

// buryOnce goes once through the inbox of a removed process, and tells whether
// nothing of its kind is left there. A new process of the same name may read and
// route the same entries: what is done twice is dropped by its record.
func (r *Redis) buryOnce(ctx context.Context, g grave) (done bool, err error) {
	living, strays := "", 0
	stuck := make(map[routing.SessionID]bool)
	for from, more := "-", true; more; {
		var entries []redis.XMessage
		if living, entries, err = r.readGrave(ctx, g.node, from); err != nil {
			return false, err
		}
		if more = len(entries) == buryEntries; more {
			from = "(" + entries[len(entries)-1].ID
		}
		entries = slices.DeleteFunc(entries, func(e redis.XMessage) bool { return living != "" && e.Values["b"] == living })
		strays += len(entries)
		if err := r.routeAgain(ctx, g.node, entries, stuck); err != nil {
			return false, err
		}
	}
	if strays > 0 {
		return false, nil // look once more: a relay may have been on its way
	}
	if living == "" {
		if done, err := r.takeInboxAway(ctx, g.node); !done {
			return false, err
		}
	}
	return true, r.client.HDel(ctx, gravesKey, g.field()).Err()
}

// readGrave answers which process of a node lives, and what its inbox has from an entry on,
// in a round trip: sessions wait for the burial.
func (r *Redis) readGrave(ctx context.Context, node routing.NodeID, from string) (living string, entries []redis.XMessage, err error) {
	member := redis.NewStringCmd(ctx, "hget", membersKey, string(node))
	inbox := redis.NewXMessageSliceCmd(ctx, "xrange", inboxKey(node), from, "+", "count", buryEntries)
	if err := r.exec(ctx, []redis.Cmder{member, inbox}, false); err != nil {
		return "", nil, fmt.Errorf("read inbox: %w", err)
	}
	if living, err = bootOf(member); err == nil {
		entries, err = inbox.Result()
	}
	return living, entries, err
}

// living answers which process of a node lives; "" for none.
func (r *Redis) living(ctx context.Context, node routing.NodeID) (boot string, err error) {
	return bootOf(r.client.HGet(ctx, membersKey, string(node)))
}

// bootOf reads the boot in a member's record.
func bootOf(record *redis.StringCmd) (boot string, err error) {
	text, err := record.Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return "", fmt.Errorf("look up node: %w", err)
	}
	boot, _, _ = strings.Cut(text, " ")
	return boot, nil
}

// takeInboxAway deletes the inbox of a node of which no process lives, unless it has
// entries. Where one has begun meanwhile it puts the inbox back: without one nothing
// could be relayed to it until it renews its lease.
func (r *Redis) takeInboxAway(ctx context.Context, node routing.NodeID) (done bool, err error) {
	left, err := uninboxScript.Run(ctx, r.client, []string{inboxKey(node)}).Int()
	if err != nil || left > 0 {
		return false, err
	}
	if again, err := r.living(ctx, node); err != nil || again == "" {
		return err == nil, err
	}
	return true, r.makeInbox(ctx, node)
}

func (r *Redis) makeInbox(ctx context.Context, node routing.NodeID) error {
	if err := inboxScript.Run(ctx, r.client, []string{inboxKey(node)}).Err(); err != nil {
		return fmt.Errorf("make inbox: %w", err)
	}
	return nil
}

// routeAgain routes entries of another node's inbox, and deletes those that are
// safe. Sessions one of whose entries is not are stuck: the rest of theirs waits.
func (r *Redis) routeAgain(ctx context.Context, node routing.NodeID, entries []redis.XMessage, stuck map[routing.SessionID]bool) error {
	var replies []*routing.Reply
	var ids, safe []string
	for _, e := range entries {
		data, _ := e.Values["r"].(string)
		reply, err := DecodeReply([]byte(data))
		if err != nil { // a notice to who is dead
			safe = append(safe, e.ID)
			continue
		}
		reply.Consumed = r.clock.here(reply.Consumed)
		if session, _, _ := reply.ID.Split(); !stuck[session] {
			replies, ids = append(replies, reply), append(ids, e.ID)
		}
	}
	for i, v := range r.route(ctx, replies, true) {
		if v.Fate == routing.Failed {
			session, _, _ := replies[i].ID.Split()
			stuck[session] = true
			continue
		}
		r.account(replies[i], v)
		safe = append(safe, ids[i])
	}
	if len(safe) == 0 {
		return nil
	}
	routing.Pass(routing.PointBuried)
	if err := r.client.XDel(ctx, inboxKey(node), safe...).Err(); err != nil {
		return fmt.Errorf("delete inbox entries: %w", err)
	}
	return nil
}
