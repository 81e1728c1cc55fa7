package kafka

import (
	"context"
	"errors"
	"log/slog"
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"

	"parley/routing"
)

// Until asks a condition of newest events of a view, for those who wait for it to be
// true. An event that it cannot be asked of is counted, and as good as one of which it
// is false. Its method may be called from any goroutine.
type Until struct {
	condition *Condition
	observer  Observer // nil for none
	log       *slog.Logger

	mu    sync.Mutex
	asked *routing.Event // the last one: all who wait for a key ask of the same event at once
	holds bool
	told  map[routing.EventFate]bool // that have been logged
}

// NewUntil makes one of a condition. service and name are for the log.
func NewUntil(c *Condition, service, name string, observer Observer, log *slog.Logger) *Until {
	return &Until{condition: c, observer: observer, log: log.With("service", service, "until", name), told: make(map[routing.EventFate]bool)}
}

// Holds tells whether the condition is true of an event.
func (u *Until) Holds(e *routing.Event) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if e == u.asked {
		return u.holds
	}
	holds, err := u.condition.holds(&eventView{record: recordOf(e)})
	if err != nil {
		u.strangeLocked(e, err)
	}
	u.asked, u.holds = e, holds && err == nil
	return u.holds
}

// strangeLocked tells of an event that the condition cannot be asked of: of the first of
// its kind to everybody, since the condition may be wrong.
func (u *Until) strangeLocked(e *routing.Event, err error) {
	what, level := routing.EventStrange, slog.LevelInfo
	if errors.Is(err, errNotJSON) {
		what = routing.EventNotJSON
	}
	if u.told[what] {
		level = slog.LevelDebug
	}
	u.told[what] = true
	if u.observer != nil {
		u.observer.Count(routing.Events, string(what))
	}
	u.log.Log(context.Background(), level, "event passed over", "reason", string(what), "event", e.At.String(), "err", err)
}

// recordOf is an event as the record that it was, for a condition to look at.
func recordOf(e *routing.Event) *kgo.Record {
	r := &kgo.Record{Key: []byte(e.Key), Value: e.Body}
	for _, h := range e.Headers {
		r.Headers = append(r.Headers, kgo.RecordHeader{Key: h.Key, Value: h.Value})
	}
	if e.ContentType != "" {
		r.Headers = append(r.Headers, kgo.RecordHeader{Key: ContentTypeHeader, Value: []byte(e.ContentType)})
	}
	return r
}
