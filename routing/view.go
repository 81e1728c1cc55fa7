package routing

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// View answers from the newest event of each key of a topic, as this node has
// read it. Its methods may be called from any goroutine, and do not block.
type View interface {
	// Latest answers the newest event with a key, nil where there is none. What it
	// answers is never changed. The error is Unavailable while the topic has not been
	// read to its end yet, and Overloaded where the key may be one of those for which
	// there was no room.
	Latest(key string) (*Event, *Error)
	// Watch has changed called at the key's next event, be it its removal: once, with no
	// lock held; it must not block. stop forgets it, and may be called after that too.
	// The error is Overloaded when as many wait as may.
	Watch(key string, changed func()) (stop func(), err *Error)
}

// Event is one record of a topic that is no reply: something that happened to the
// entity that its key names.
type Event struct {
	Key         string
	Body        []byte
	ContentType string
	Headers     []Header // the record's other headers
	At          RecordAt
	Stamp       time.Time // the record's timestamp
}

// Tag names an event, as an entity tag of HTTP: no other has its place.
func (e *Event) Tag() string {
	return `"` + strconv.Itoa(int(e.At.Partition)) + "-" + strconv.FormatInt(e.At.Offset, 10) + `"`
}

// Condition is something that may be true of an event.
type Condition struct {
	Text  string // as the configuration has it, for people
	Holds func(*Event) bool
}

// Wanted is what a caller wants of a view's newest event. nil stands for any, or none,
// at once.
type Wanted struct {
	Wait  time.Duration     // for how long it may come later
	Tags  string            // it is none of these, as If-None-Match lists them
	Name  string            // of the condition that is to be true of it; "" for none
	Until func(*Event) bool // that condition; nil for none
}

// Holds tells whether the caller's condition is true of an event.
func (w *Wanted) Holds(e *Event) bool { return w == nil || w.Until == nil || w.Until(e) }

// Has tells whether an event is one that the caller has already.
func (w *Wanted) Has(e *Event) bool { return w != nil && matches(w.Tags, e.Tag()) }

// Satisfies tells whether an event is what the caller wants.
func (w *Wanted) Satisfies(e *Event) bool {
	return w == nil || e != nil && !w.Has(e) && w.Holds(e)
}

// Unmet is the error of a wait that has ended without the condition's being true.
func (w *Wanted) Unmet(e *Event) *Error {
	return refuse(Timeout, true, "the newest event of %q is not %s yet", clipKey(e.Key), w.Name)
}

// clipKey shortens what a client sent, to be quoted to it.
func clipKey(key string) string {
	if len(key) > 128 {
		return key[:128] + "…"
	}
	return key
}

// matches tells whether a list of If-None-Match has a tag (RFC 9110, 13.1.2: a
// weak comparison).
func matches(list, tag string) bool {
	for item := range strings.SplitSeq(list, ",") {
		if item = strings.TrimSpace(item); item == "*" || strings.TrimPrefix(item, "W/") == tag {
			return true
		}
	}
	return false
}

// Expect notes which condition of the service's the caller waits for. The error is
// InvalidParams where there is none of that name.
func (w *Wanted) Expect(service *Service, name string) *Error {
	if w.Name, w.Until = name, service.Until[name].Holds; w.Until != nil {
		return nil
	}
	known := "none"
	if len(service.Until) > 0 {
		known = strings.Join(slices.Sorted(maps.Keys(service.Until)), ", ")
	}
	return refuse(InvalidParams, false, "%s has no condition %q to wait for: it has %s", service.Name, clipKey(name), known)
}
