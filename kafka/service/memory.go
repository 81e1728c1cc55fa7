package service

import (
	"context"
	"sync"
	"time"
)

// Memory bounds what is remembered in order to answer repeated requests. It is this
// process's own: a repetition that reaches another process calls the handler there.
type Memory struct {
	For     time.Duration // since the answer; 0 remembers nothing
	Answers int           // requests: 10,000
	Bytes   int           // of their answers: 64 MiB
}

// answerCost is what an answer costs besides its body.
const answerCost = 256

// memory keeps the answers to requests by their idempotency keys, oldest first out.
type memory struct {
	options Memory
	most    int // bytes of one request's answers

	mu      sync.Mutex
	entries map[repetition]*entry
	line    []*entry // answered ones, oldest first
	bytes   int
}

// repetition is what makes two requests the same: callers choose their keys
// themselves, and must not meet those of others.
type repetition struct{ service, subject, key string }

// entry is a request that is being answered, or was. Its answers belong to whoever
// answers it until ended is closed, and do not change after that.
type entry struct {
	repetition
	answers []Answer // nil where it was not answered in earnest: the next one tries
	ended   chan struct{}
	at      time.Time
	bytes   int
}

func newMemory(o Memory) *memory {
	if o.Answers <= 0 {
		o.Answers = 10_000
	}
	if o.Bytes <= 0 {
		o.Bytes = 64 << 20
	}
	return &memory{options: o, most: o.Bytes / 8, entries: make(map[repetition]*entry)}
}

// enter answers the entry of a request: a known one, or one that the caller has to
// leave. It waits for a handler that is at work on the same; the error is ctx's
// cause.
func (m *memory) enter(ctx context.Context, r *Request) (e *entry, known bool, err error) {
	of := repetition{r.Service, r.Subject, r.IdempotencyKey}
	for {
		m.mu.Lock()
		m.expireLocked(time.Now())
		e = m.entries[of]
		if e == nil {
			e = &entry{repetition: of, ended: make(chan struct{})}
			m.entries[of] = e
			m.mu.Unlock()
			return e, false, nil
		}
		m.mu.Unlock()
		select {
		case <-e.ended:
		case <-ctx.Done():
			return nil, false, context.Cause(ctx)
		}
		if e.answers != nil {
			return e, true, nil
		}
	}
}

// leave ends an entry: its answers are remembered, if there are any.
func (m *memory) leave(e *entry) {
	m.mu.Lock()
	defer m.mu.Unlock()
	defer close(e.ended)
	if e.answers == nil {
		delete(m.entries, e.repetition)
		return
	}
	for i := range e.answers {
		e.bytes += len(e.answers[i].Body) + answerCost
	}
	e.at = time.Now()
	m.line = append(m.line, e)
	m.bytes += e.bytes
	m.expireLocked(e.at)
}

// expireLocked forgets what is too old, and the oldest of what is too much.
func (m *memory) expireLocked(now time.Time) {
	for len(m.line) > 0 {
		e := m.line[0]
		if len(m.line) <= m.options.Answers && m.bytes <= m.options.Bytes && now.Sub(e.at) < m.options.For {
			return
		}
		m.line[0] = nil
		m.line = m.line[1:]
		m.bytes -= e.bytes
		delete(m.entries, e.repetition)
	}
}
