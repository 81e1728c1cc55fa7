package table

import (
	"context"
	"fmt"
	"time"
)

// leave gives up the node's name, so that nobody relays to it any longer, and
// then its inbox, once the reader has emptied it. What is left in it after
// Options.Drain is routed again by who inherits it.
func (r *Redis) leave(ctx context.Context) error {
	r.lease.mu.Lock()
	r.lease.left = true
	r.lease.mu.Unlock()
	leaving, cancel := context.WithTimeout(ctx, r.o.Timeout)
	defer cancel()
	mine, err := leaveScript.Run(leaving, r.client, append(nodeKeys(), restatedKey, linesKey), string(r.o.Node), r.boot()).Int()
	if err != nil {
		return fmt.Errorf("leave: give up the name: %w", err)
	}
	if mine == 0 {
		return nil
	}
	r.lease.mu.Lock()
	members := r.lease.members
	r.lease.mu.Unlock()
	r.tellNodes(members)
	return r.leaveInbox(ctx)
}

func (r *Redis) leaveInbox(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, r.o.Drain)
	defer cancel()
	for {
		left, err := uninboxScript.Run(ctx, r.client, []string{inboxKey(r.o.Node)}).Int()
		if err != nil {
			return fmt.Errorf("leave: give up the inbox: %w", err)
		}
		if left == 0 {
			return nil
		}
		if !sleep(ctx, 10*time.Millisecond) {
			return fmt.Errorf("leave: %d replies stay in the inbox", left)
		}
	}
}

// InboxLength asks Redis how many entries this node's inbox has.
func (r *Redis) InboxLength(ctx context.Context) (int64, error) {
	n, err := r.client.XLen(ctx, inboxKey(r.o.Node)).Result()
	if err != nil {
		return 0, fmt.Errorf("inbox length: %w", err)
	}
	return n, nil
}
