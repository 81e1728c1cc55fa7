package bench

import (
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"github.com/coder/websocket"
)

// lane is a Lane and what the run knows about its requests.
type lane struct {
	run   *run
	conn  Lane
	index int

	// Of the sender: the pacer, or in a closed loop the lane's own goroutine.
	body []byte

	mu     sync.Mutex
	open   map[uint64]time.Duration // when each open request was due, by id
	last   uint64                   // the id given last
	ended  bool                     // nothing can be sent any more
	closed bool                     // by us: its end is no news
}

func newLane(r *run, conn Lane, index int) *lane {
	return &lane{run: r, conn: conn, index: index, open: make(map[uint64]time.Duration)}
}

// send sends the request that is due at a moment of the run, and answers
// whether the lane could.
func (l *lane) send(due time.Duration) bool {
	l.mu.Lock()
	if l.ended {
		l.mu.Unlock()
		return false
	}
	l.last++
	id := l.last
	l.open[id] = due
	l.run.open.Add(1)
	l.mu.Unlock()

	r := l.run
	if r.measured(due) {
		r.sent.Add(1)
		r.lag.Record(time.Since(r.start) - due)
	}
	l.body = r.payload.Write(l.body, l.index, id)
	if err := l.conn.Send(id, l.body); err != nil {
		l.end(err)
	}
	return true
}

// serve takes in the lane's answers until it ends. In a closed loop it also sends.
func (l *lane) serve() {
	r := l.run
	closedLoop := r.Rate == 0
	for range r.Outstanding {
		if closedLoop {
			l.send(time.Since(r.start))
		}
	}
	for {
		answer, err := l.conn.Receive()
		if err != nil {
			l.end(err)
			return
		}
		now := time.Since(r.start)
		l.take(answer, now)
		if closedLoop && now < r.Warmup+r.Duration {
			l.send(now)
		}
	}
}

// take judges one answer.
func (l *lane) take(answer Answer, now time.Duration) {
	r := l.run
	l.mu.Lock()
	due, known := l.open[answer.ID]
	delete(l.open, answer.ID)
	if known && !l.ended {
		r.open.Add(-1)
	}
	l.mu.Unlock()
	if !known {
		r.stray.Add(1)
		return
	}
	if answer.Word != "" {
		r.count(answer.Word, 1)
		return
	}
	if !r.payload.Is(answer.Body, l.index, answer.ID) {
		r.wrong.Add(1)
		return
	}
	if r.measured(due) {
		r.latency.Record(now - due)
	}
	if r.measured(now) {
		r.finished.Add(1)
	}
}

// end notes why the lane can do no more. Its open requests will be missing.
func (l *lane) end(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended || l.closed {
		return
	}
	l.ended = true
	l.run.open.Add(-int64(len(l.open)))
	l.run.count(reason(err), 1)
}

// reason is a short name for what ended a lane.
func reason(err error) string {
	var closed websocket.CloseError
	var timeout net.Error
	switch {
	case errors.As(err, &closed):
		return closed.Error()
	case errors.Is(err, io.EOF):
		return "connection lost"
	case errors.As(err, &timeout) && timeout.Timeout():
		return "connection timed out"
	}
	return err.Error()
}

// close ends the lane. What it then tells counts, unless it had ended by itself.
func (l *lane) close() {
	l.mu.Lock()
	l.closed = true
	ended := l.ended
	l.mu.Unlock()
	if err := l.conn.Close(); err != nil && !ended {
		l.run.count(reason(err), 1)
	}
}
