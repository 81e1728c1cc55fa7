package table

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"
)

// link is what all parts of the table together know of the way to Redis. It
// logs once when Redis goes and once when it is back.
type link struct {
	log *slog.Logger

	mu    sync.Mutex
	since time.Time // when Redis went; zero while it is there
}

// failed takes an error of the way to Redis.
func (l *link) failed(doing string, err error) {
	if errors.Is(err, context.Canceled) {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.since.IsZero() {
		l.since = time.Now()
		l.log.Warn("Redis is away: attached sessions go on, replies for elsewhere wait", "doing", doing, "err", err)
	}
}

// worked tells that Redis is there, and answers whether it was away before.
func (l *link) worked() (back bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.since.IsZero() {
		return false
	}
	l.log.Info("Redis is back", "after", time.Since(l.since).Round(time.Millisecond))
	l.since = time.Time{}
	return true
}

func (l *link) away() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.since.IsZero()
}

// rarely lets one log line pass in ten seconds, with the number of those that
// it kept back.
type rarely struct {
	mu   sync.Mutex
	last time.Time
	kept int
}

func (r *rarely) pass() (kept int, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now := time.Now(); r.last.IsZero() || now.Sub(r.last) >= 10*time.Second {
		kept, r.kept, r.last = r.kept, 0, now
		return kept, true
	}
	r.kept++
	return 0, false
}

// sleep waits, and answers false when ctx ended meanwhile.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
