package routing

import "sync"

// Brake holds up what is consumed: no more is read from a partition that waits.
// Wait does not block, and is called with no lock of the router's held.
type Brake interface {
	Wait(topic string, partition int32, wait bool)
}

// brakes are the partitions that wait because their strangers do: with the table
// away Kafka keeps those, while replies at home on other partitions are delivered.
type brakes struct {
	mu   sync.Mutex
	to   Brake // nil for none
	held map[stretch]bool
}

// stretch is a partition of a topic.
type stretch struct {
	topic     string
	partition int32
}

// SetBrake tells what holds up the partitions. It is called before Run.
func (r *Router) SetBrake(b Brake) { r.brakes.to = b }

// crowded has a partition wait when the strangers are too many.
func (r *Router) crowded(at stretch) {
	if len(r.strangers) < cap(r.strangers)*3/4 || r.brakes.to == nil {
		return
	}
	r.brakes.mu.Lock()
	news := !r.brakes.held[at]
	if news && r.brakes.held == nil {
		r.brakes.held = make(map[stretch]bool)
	}
	r.brakes.held[at] = true
	r.brakes.mu.Unlock()
	if news {
		r.log.Warn("partition waits: too many replies wait for the table", "topic", at.topic, "partition", at.partition)
		r.brakes.to.Wait(at.topic, at.partition, true)
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
	for at := range held {
		r.log.Info("partition goes on", "topic", at.topic, "partition", at.partition)
		r.brakes.to.Wait(at.topic, at.partition, false)
	}
}
