package table

import (
	"context"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"
)

// primaries remembers which servers were seen behind the client. It belongs to
// the goroutine that renews the lease.
type primaries struct{ known map[string]bool }

// primaryChanged tells whether another server process answers than before: a
// replica that took over, or the same one restarted. Either may have lost what was
// written last. A server that does not say who it is counts as unchanged. info is what one
// server says of itself, where there is only one.
func (r *Redis) primaryChanged(ctx context.Context, info string) bool {
	ids := r.primaryIDs(ctx, info)
	changed := false
	for id := range ids {
		changed = changed || !r.primaries.known[id]
	}
	if len(ids) == 0 {
		return false
	}
	first := r.primaries.known == nil
	r.primaries.known = ids
	if changed && !first {
		r.o.Log.Warn("another Redis answers than before: what was written last may be lost")
	}
	return changed && !first
}

func (r *Redis) primaryIDs(ctx context.Context, info string) map[string]bool {
	ids := make(map[string]bool)
	cluster, ok := r.client.(*redis.ClusterClient)
	if !ok {
		addRunID(ids, info)
		return ids
	}
	var mu sync.Mutex
	err := cluster.ForEachMaster(ctx, func(ctx context.Context, c *redis.Client) error {
		info, err := c.Info(ctx, "server").Result()
		mu.Lock()
		defer mu.Unlock()
		addRunID(ids, info)
		return err
	})
	if err != nil {
		return nil // the next renewal will tell
	}
	return ids
}

// addRunID notes which server process INFO is of.
func addRunID(ids map[string]bool, info string) {
	for line := range strings.Lines(info) {
		if id, ok := strings.CutPrefix(strings.TrimSpace(line), "run_id:"); ok {
			ids[id] = true
		}
	}
}
