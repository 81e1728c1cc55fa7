package routing

import "sync"

// handings are the sessions that this node has given up to others, and of whose replies
// it has not handed on all: one for each session, however often it came and went.
type handings struct {
	mu sync.Mutex
	of map[SessionID]*handing
}

// handing counts what a node still has of the replies for a session that it has given
// up: once that is nothing, it says so.
type handing struct {
	router  *Router
	session SessionID

	epoch uint64 // of the newest take-over that this node has heard of; as left, it belongs to handings.mu
	left  int
}

// handOver begins to hand on what this node has of a session, which another has by the
// take-over with this epoch. It ends with done, which says so if nothing is left.
func (r *Router) handOver(session SessionID, epoch uint64) *handing {
	all := &r.handings
	all.mu.Lock()
	defer all.mu.Unlock()
	h := all.of[session]
	if h == nil {
		h = &handing{router: r, session: session}
		if all.of == nil {
			all.of = make(map[SessionID]*handing)
		}
		all.of[session] = h
	}
	h.left += 1 + r.afield.tell(h)
	h.epoch = max(h.epoch, epoch)
	return h
}

// pass routes a reply to the new owner.
func (h *handing) pass(reply *Reply) {
	h.router.handings.mu.Lock()
	h.left++
	h.router.handings.mu.Unlock()
	h.router.reroute(reply.under(handed{reply, h}))
}

// unpassed takes back a reply that was to be handed on, where the session has come back.
func unpassed(reply *Reply) (*Reply, *handing) {
	if h, passed := reply.Receipt.(handed); passed {
		return h.reply, h.by
	}
	return reply, nil
}

func (h *handing) done() {
	if h == nil {
		return
	}
	all := &h.router.handings
	all.mu.Lock()
	h.left--
	over, epoch := h.left == 0, h.epoch
	if over {
		delete(all.of, h.session)
	}
	all.mu.Unlock()
	if over && epoch > 0 {
		h.router.table.HandedOver(h.session, epoch)
	}
}

// handed is the receipt of a reply that is handed on.
type handed struct {
	reply *Reply
	by    *handing
}

func (h handed) Done(Token) {
	h.reply.done()
	h.by.done()
}
