package table

// startAnew makes this process a new boot of its node, after others have taken it
// for dead. Whoever slept lets go of all that it had; who was awake takes it back.
func (r *Redis) startAnew(to Node, slept bool) {
	if slept {
		r.letGo(to)
	} else {
		r.goOn()
	}
}

// letGo is the new start of a process that slept: others have its sessions and have
// routed what was in its inbox, so that all it still wants to do about them is out of
// date. It still says of each session that it has left it (Left), unless a row of it is
// among what is given up: the new owners can then tell their clients which requests no
// node has ever taken.
func (r *Redis) letGo(to Node) {
	r.o.Log.Warn("this node was taken for dead while it slept: its sessions are let go, and it starts anew")
	r.queue.forgetTorn()
	r.era.Add(1)
	r.queue.discard(errRemoved)
	r.newBoot()
	r.queue.discard(errRemoved) // what came meanwhile, under the old boot
	r.standing.clear()
	r.graves.clear()
	r.departures.clear()
	r.inbox.forget()
	to.Removed()
}

// goOn is the new start of a process that was awake and could not reach Redis. Its
// clients are still there, and what it wants to do is still true. What others did
// to its sessions meanwhile is that they held replies for them, or took them over:
// it learns of either as it writes them anew under its new boot.
func (r *Redis) goOn() {
	r.o.Log.Warn("this node was taken for dead while it could not reach Redis: it takes its sessions back")
	r.newBoot()
	r.rebuilt.setReclaim()
	r.graves.clear()
	r.departures.clear()
	r.inbox.rewind()
}

func (r *Redis) newBoot() {
	boot := newBoot()
	r.self.Store(&boot)
}
