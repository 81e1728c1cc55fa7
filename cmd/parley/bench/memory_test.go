package bench

import (
	"context"
	"io"
	"slices"
	"time"
)

// memory is a Transport without a network: what it does with a request is
// decided by the test.
type memory struct {
	// handle is called for each request in the order of sending, on the sender's
	// goroutine. It answers with reply, at once, later or never.
	handle func(id uint64, body []byte, reply func(Answer))
}

func (m *memory) Open(context.Context) (Lane, error) {
	return &memoryLane{handle: m.handle, answers: make(chan Answer, 10_000), closed: make(chan struct{})}, nil
}

type memoryLane struct {
	handle  func(uint64, []byte, func(Answer))
	answers chan Answer
	closed  chan struct{}
}

func (l *memoryLane) Send(id uint64, body []byte) error {
	l.handle(id, slices.Clone(body), func(a Answer) { l.answers <- a })
	return nil
}

func (l *memoryLane) Receive() (Answer, error) {
	select {
	case a := <-l.answers:
		return a, nil
	case <-l.closed:
		return Answer{}, io.EOF
	}
}

func (l *memoryLane) Close() error {
	close(l.closed)
	return nil
}

// after answers with what was sent, after a time.
func after(d time.Duration) func(uint64, []byte, func(Answer)) {
	return func(id uint64, body []byte, reply func(Answer)) {
		time.AfterFunc(d, func() { reply(Answer{ID: id, Body: body}) })
	}
}

// fakeSleep is the pacer's sleep in a synctest bubble.
func fakeSleep() func(time.Duration) { return time.Sleep }
