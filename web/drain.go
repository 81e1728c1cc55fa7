package web

import "sync"

// calls counts the parked calls, so that a shutdown can wait for them.
type calls struct {
	mu       sync.Mutex
	parked   int
	draining bool
	idle     chan struct{} // closed when draining and nothing is parked; made by drain
	going    chan struct{} // closed when draining
}

// enter counts a call in, unless the server drains.
func (c *calls) enter() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.draining {
		return false
	}
	c.parked++
	return true
}

func (c *calls) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.parked--; c.parked == 0 && c.draining {
		close(c.idle)
	}
}

// drain lets nobody in any more. The channel is closed when all have left.
func (c *calls) drain() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.draining {
		c.draining, c.idle = true, make(chan struct{})
		close(c.going)
		if c.parked == 0 {
			close(c.idle)
		}
	}
	return c.idle
}

func (c *calls) isDraining() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.draining
}
