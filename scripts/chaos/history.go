package main

import (
	"bufio"
	"encoding/json"
	"os"
	"slices"
	"strconv"
	"sync"
	"time"
)

// history is what happened during one fault, in memory. Its methods may be called
// from any goroutine.
type history struct {
	began time.Time
	limit int
	first int // number of its first client: what concerns earlier ones is not for it

	mu     sync.Mutex
	chunks [][]event // each but the last is full, so that nothing that was told is ever moved
	count  int
}

// chunk is how many events are kept together.
const chunk = 1 << 14

// newHistory makes a history of clients from a number on. It is full after so
// many events.
func newHistory(limit, first int) *history {
	return &history{began: time.Now(), limit: limit, first: first}
}

// now is the present on the history's clock.
func (h *history) now() time.Duration { return time.Since(h.began) }

// told is a deadline header on the history's clock, 0 where there is none.
func (h *history) told(header string) time.Duration {
	ms, err := strconv.ParseInt(header, 10, 64)
	if err != nil {
		return 0
	}
	return time.UnixMilli(ms).Sub(h.began)
}

// add tells what happened just now.
func (h *history) add(e event) {
	if e.Client < h.first {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	e.At = h.now()
	if h.count%chunk == 0 {
		h.chunks = append(h.chunks, make([]event, 0, chunk))
	}
	last := &h.chunks[len(h.chunks)-1]
	*last = append(*last, e)
	h.count++
}

// full tells whether the load should end. What was begun is still written, so
// that it can be judged.
func (h *history) full() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.count >= h.limit
}

// all is everything up to now, in order of time.
func (h *history) all() []event {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Concat(h.chunks...)
}

// write keeps the history in a file, as JSON lines.
func (h *history) write(file string) error {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	defer f.Close()
	w := bufio.NewWriter(f)
	lines := json.NewEncoder(w)
	for _, e := range h.all() {
		if err := lines.Encode(e); err != nil {
			return err
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return f.Close()
}

// of is what concerns one request: what names it, and what happened to its
// client's socket meanwhile.
func (h *history) of(c call) (some []event) {
	request := ""
	all := h.all()
	for _, e := range all {
		if e.call() == c && e.Request != "" {
			request = e.Request
		}
	}
	for _, e := range all {
		socket := e.Client == c.Client && (e.Kind == opened || e.Kind == resumed || e.Kind == lost)
		if e.Kind == surfaced || e.Kind == writing || e.Kind == written {
			continue // there are too many: what is wrong with some says which
		}
		if socket || e.Kind != acked && (e.call() == c || e.Owner == c || request != "" && e.Request == request) {
			some = append(some, e)
		}
	}
	return some
}
