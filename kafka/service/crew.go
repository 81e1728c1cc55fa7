package service

import "sync"

// crew runs jobs in goroutines, at most limit at once, oldest first. Where it is
// ordered, jobs of one key run one after the other.
type crew struct {
	limit   int
	ordered bool
	start   func(*job) // runs a job

	mu      sync.Mutex
	ready   []*job            // may run as soon as there is room
	busy    map[string][]*job // by key: one of it is ready or runs, these wait for it
	members int
	ending  bool
	running sync.WaitGroup
}

// add takes jobs on. It does not block.
func (c *crew) add(jobs []*job) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, j := range jobs {
		if c.ordered && j.Key != nil {
			key := j.lane()
			if waiting, taken := c.busy[key]; taken {
				c.busy[key] = append(waiting, j)
				continue
			}
			c.busy[key] = nil
		}
		c.ready = append(c.ready, j)
	}
	for c.members < c.limit && len(c.ready) > 0 && !c.ending {
		first := c.nextLocked()
		c.members++
		c.running.Go(func() { c.work(first) })
	}
}

// work runs jobs until there are none.
func (c *crew) work(j *job) {
	for j != nil {
		c.start(j)
		j = c.after(j)
	}
}

// after ends a job, and answers the next one to run; nil for none.
func (c *crew) after(j *job) *job {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ordered && j.Key != nil {
		key := j.lane()
		if waiting := c.busy[key]; len(waiting) > 0 {
			c.ready = append(c.ready, waiting[0])
			c.busy[key] = waiting[1:]
		} else {
			delete(c.busy, key)
		}
	}
	if len(c.ready) == 0 || c.ending {
		c.members--
		return nil
	}
	return c.nextLocked()
}

func (c *crew) nextLocked() *job {
	j := c.ready[0]
	c.ready[0] = nil
	if c.ready = c.ready[1:]; len(c.ready) == 0 {
		c.ready = nil
	}
	return j
}

// end starts no more jobs, and waits for those that run.
func (c *crew) end() {
	c.mu.Lock()
	c.ending = true
	c.mu.Unlock()
	c.running.Wait()
}
