package table

// startAnew makes this process a new boot of its node, after others have taken it
// for dead: they have its sessions and have routed what was in its inbox, so that
// all it still wants to do about them is out of date.
func (r *Redis) startAnew(to Node) {
	r.o.Log.Warn("this node was taken for dead: its sessions are let go, and it starts anew")
	r.queue.discard(errRemoved)
	boot := newBoot()
	r.self.Store(&boot)
	r.queue.discard(errRemoved) // what came meanwhile, under the old boot
	r.standing.clear()
	r.graves.clear()
	r.inbox.forget()
	to.Removed()
}
