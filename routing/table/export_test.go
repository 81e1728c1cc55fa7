package table

import "time"

// FallAsleep makes the table notice now that its process has slept.
func (r *Redis) FallAsleep() {
	r.pulse.mu.Lock()
	defer r.pulse.mu.Unlock()
	r.pulse.last.Store(int64(time.Since(r.pulse.start) - 2*r.pulse.limit))
}

// UninboxDigest names the script that takes an inbox away.
var UninboxDigest = uninboxScript.Hash()
