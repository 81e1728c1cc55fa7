package routing

import "sync"

// Brake holds up what is consumed: no more is read from a partition that waits.
// Wait does not block, and is called with no lock of the router's held.
type Brake interface {
	Wait(partition int32, wait bool)
}

// brakes are the partitions that wait because their strangers do: with the table
// away Kafka keeps those, while replies at home on other partitions are delivered.
type brakes struct {
	mu   sync.Mutex
	to   Brake // nil for none
	held map[int32]bool
}

// SetBrake tells what holds up the partitions. It is called before Run.
func (r *Router) SetBrake(b Brake) { r.brakes.to = b }

// crowded has a partition wait when the strangers are too many.
func (r *Router) crowded(partition int32) {
	if len(r.strangers) < cap(r.strangers)*3/4 || r.brakes.to == nil {
		return
	}
	r.brakes.mu.Lock()
	news := !r.brakes.held[partition]
	if news && r.brakes.held == nil {
		r.brakes.held = make(map[int32]bool)
	}
	r.brakes.held[partition] = true
	r.brakes.mu.Unlock()
	if news {
		r.log.Warn("partition waits: too many replies wait for the table", "partition", partition)
		r.brakes.to.Wait(partition, true)
	}
}

// eased lets all partitions go on when few strangers are left.
func (r *Router) eased() {
	if len(r.strangers) > cap(r.strangers)/4 || r.brakes.to == nil {
		return
	}
	r.brakes.mu.Lock()
	held := r.brakes.held
	r.brakes.held = nil
	r.brakes.mu.Unlock()
	for partition := range held {
		r.log.Info("partition goes on", "partition", partition)
		r.brakes.to.Wait(partition, false)
	}
}
