package routing

import "sync"

// queue hands things from callers that must not block to one goroutine. It has
// no limit of its own: what is put in is bounded where it comes from.
type queue[T any] struct {
	mu     sync.Mutex
	items  []T
	wakeup chan struct{} // has room for one: the reader looks for more than one item
}

func newQueue[T any]() *queue[T] { return &queue[T]{wakeup: make(chan struct{}, 1)} }

// put appends. It does not block.
func (q *queue[T]) put(item T) {
	q.mu.Lock()
	q.items = append(q.items, item)
	q.mu.Unlock()
	select {
	case q.wakeup <- struct{}{}:
	default:
	}
}

// take removes and answers the oldest items, at most max. The caller owns them.
func (q *queue[T]) take(max int) []T {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := min(max, len(q.items))
	batch := q.items[:n:n]
	if q.items = q.items[n:]; len(q.items) == 0 {
		q.items = nil
	}
	return batch
}
