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
// written last. A server that does not say who it is counts as unchanged.
func (r *Redis) primaryChanged(ctx context.Context) bool {
	ids := r.primaryIDs(ctx)
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

func (r *Redis) primaryIDs(ctx context.Context) map[string]bool {
	var mu sync.Mutex
	ids := make(map[string]bool)
	ask := func(ctx context.Context, client redis.Cmdable) error {
		info, err := client.Info(ctx, "server").Result()
		for line := range strings.Lines(info) {
			if id, ok := strings.CutPrefix(strings.TrimSpace(line), "run_id:"); ok {
				mu.Lock()
				ids[id] = true
				mu.Unlock()
			}
		}
		return err
	}
	var err error
	if cluster, ok := r.client.(*redis.ClusterClient); ok {
		err = cluster.ForEachMaster(ctx, func(ctx context.Context, c *redis.Client) error { return ask(ctx, c) })
	} else {
		err = ask(ctx, r.client)
	}
	if err != nil {
		return nil // the next renewal will tell
	}
	return ids
}
