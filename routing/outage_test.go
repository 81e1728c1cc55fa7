package routing

// outage is what a node that is cut off still has to write.
type outage struct {
	router *Router
	writes []func()
}

// sever cuts a node off from the table. It stays a member until it is removed.
func (w *world) sever(name NodeID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.away[name] = &outage{router: w.nodes[name]}
}

// remove has the others take a node for dead.
func (w *world) remove(name NodeID) {
	w.mu.Lock()
	w.graves[w.nodes[name]] = w.inbox[name]
	delete(w.inbox, name)
	delete(w.nodes, name)
	delete(w.mail, name)
	w.mu.Unlock()
	w.bury(name)
}

// restore brings a node back that was cut off. If it was removed meanwhile it takes
// its sessions back, as the real table does.
func (w *world) restore(name NodeID) {
	w.mu.Lock()
	cut := w.away[name]
	delete(w.away, name)
	for _, do := range cut.writes {
		do()
	}
	removed := w.nodes[name] == nil
	w.nodes[name] = cut.router
	w.mu.Unlock()
	if !removed {
		return
	}
	var told []func()
	cut.router.EachSession(func() bool { return true }, func(s SessionRow, open []Row) {
		told = append(told, w.reclaim(name, cut.router, s, open))
	})
	for _, tell := range told {
		tell()
	}
}

// reclaim gives a session back to its node, and answers what the node is to be told.
func (w *world) reclaim(name NodeID, to *Router, s SessionRow, open []Row) (tell func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	e := w.sessions[s.ID]
	if e != nil && (e.owner != name || e.Epoch != s.Epoch) {
		epoch := e.Epoch
		return func() { to.TakenOver(s.ID, epoch) }
	}
	if e == nil {
		e = &entry{SessionRow: s, owner: name, at: to, past: make(map[*Router]uint64)}
		w.sessions[s.ID] = e
	}
	e.rows = make(map[uint64]Row)
	for _, row := range open {
		e.rows[row.N] = row
	}
	var held []*Reply
	for _, r := range e.held {
		held = append(held, plain(r))
	}
	return func() { to.Reclaimed(s.ID, s.Epoch, held) }
}
