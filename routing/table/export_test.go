package table

import "time"

// Age makes the table take its lease for one that it has had for as long as it lasts.
func (r *Redis) Age() {
	r.lease.mu.Lock()
	defer r.lease.mu.Unlock()
	r.lease.since -= r.o.Lease.Milliseconds()
}

// FallAsleep makes the table notice now that its process has slept.
func (r *Redis) FallAsleep() {
	r.pulse.mu.Lock()
	defer r.pulse.mu.Unlock()
	r.pulse.last.Store(int64(time.Since(r.pulse.start) - 2*r.pulse.limit))
}

// Digests name scripts: that takes an inbox away, that makes one, that renews a lease.
var (
	UninboxDigest = uninboxScript.Hash()
	InboxDigest   = inboxScript.Hash()
	LeaseDigest   = leaseScript.Hash()
)
