package kafka

import (
	"slices"
	"strings"
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"

	"parley/routing"
)

// newest is the newest event of each key, and who waits for the next one.
type newest struct {
	limits ViewOptions

	mu       sync.RWMutex
	events   map[string]*routing.Event
	bytes    int
	full     bool // something was left out
	ready    bool
	watchers map[string]map[*lookout]struct{}
	watching int
}

// lookout is who waits for a key's next event.
type lookout struct{ changed func() }

func newNewest(limits ViewOptions) *newest {
	return &newest{limits: limits, events: make(map[string]*routing.Event), watchers: make(map[string]map[*lookout]struct{})}
}

func (n *newest) latest(key string) (*routing.Event, *routing.Error) {
	n.mu.RLock()
	defer n.mu.RUnlock()
	switch e := n.events[key]; {
	case !n.ready:
		return nil, &routing.Error{Word: routing.Unavailable, Message: "the view is still being read", Outcome: routing.NotSent, Retry: true}
	case e != nil || !n.full:
		return e, nil
	}
	return nil, &routing.Error{Word: routing.Overloaded, Message: "the view has more keys than there is room for; this may be one of them", Outcome: routing.NotSent}
}

// put files an event, and tells whether it is the first one for which there was
// no room.
func (n *newest) put(record *kgo.Record) (left bool) {
	key := string(record.Key)
	left, woken := n.file(key, record)
	for w := range woken {
		w.changed()
	}
	return left
}

// file is put but for telling those who wait for the key, whom it answers.
func (n *newest) file(key string, record *kgo.Record) (left bool, woken map[*lookout]struct{}) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if was := n.events[key]; was != nil {
		n.bytes -= weight(was)
		delete(n.events, key)
	}
	if record.Value != nil {
		e := event(key, record)
		if len(n.events) < n.limits.Keys && n.bytes+weight(e) <= n.limits.Bytes {
			n.events[key] = e
			n.bytes += weight(e)
		} else {
			left, n.full = !n.full, true
		}
	}
	woken = n.watchers[key]
	n.watching -= len(woken)
	delete(n.watchers, key)
	return left, woken
}

// event copies a record: what was polled with it need not be kept.
func event(key string, record *kgo.Record) *routing.Event {
	e := &routing.Event{
		Key: key, Body: slices.Clone(record.Value), Stamp: record.Timestamp,
		At: routing.RecordAt{Topic: record.Topic, Partition: record.Partition, Offset: record.Offset},
	}
	for _, h := range record.Headers {
		if strings.EqualFold(h.Key, ContentTypeHeader) {
			e.ContentType = string(h.Value)
		} else {
			e.Headers = append(e.Headers, routing.Header{Key: strings.Clone(h.Key), Value: slices.Clone(h.Value)})
		}
	}
	return e
}

// overhead is about what an event takes besides its bytes.
const overhead = 256

func weight(e *routing.Event) int {
	sum := overhead + len(e.Key) + len(e.Body) + len(e.ContentType)
	for _, h := range e.Headers {
		sum += len(h.Key) + len(h.Value)
	}
	return sum
}

func (n *newest) watch(key string, changed func()) (stop func(), err *routing.Error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.watching >= n.limits.Watchers {
		return nil, &routing.Error{Word: routing.Overloaded, Message: "as many wait for the view's events as may", Outcome: routing.NotSent, Retry: true}
	}
	w := &lookout{changed}
	if n.watchers[key] == nil {
		n.watchers[key] = make(map[*lookout]struct{})
	}
	n.watchers[key][w] = struct{}{}
	n.watching++
	return func() { n.forget(key, w) }, nil
}

// forget frees a watcher whose event has not come.
func (n *newest) forget(key string, w *lookout) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if _, waits := n.watchers[key][w]; !waits {
		return
	}
	delete(n.watchers[key], w)
	n.watching--
	if len(n.watchers[key]) == 0 {
		delete(n.watchers, key)
	}
}

func (n *newest) loaded() {
	n.mu.Lock()
	n.ready = true
	n.mu.Unlock()
}

func (n *newest) isLoaded() bool {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.ready
}

func (n *newest) stats() ViewStats {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return ViewStats{Keys: len(n.events), Bytes: n.bytes, Full: n.full, Watchers: n.watching}
}
