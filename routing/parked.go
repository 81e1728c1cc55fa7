package routing

import "time"

// parked are the strangers that could not be routed yet: their row may be late, Redis
// may be being written anew, or be away. They are tried again together, in order, and
// what comes for other sessions passes them by. It belongs to the goroutine that
// relays.
type parked struct {
	limit int

	of    map[SessionID][]*Reply // oldest first
	order []SessionID            // in which they came
	count int                    // of all replies
	next  time.Time              // when they are tried again
	pause time.Duration
	stuck bool // the table is away: one batch is taken with each try, no more
	told  bool // the log has been told, until nothing is parked any longer
}

func newParked(limit int) *parked {
	return &parked{limit: limit, of: make(map[SessionID][]*Reply), pause: relayAgain}
}

// waits tells whether no other may be taken before these have been tried.
func (p *parked) waits() bool { return p.stuck || p.full() }

func (p *parked) full() bool { return p.count >= p.limit }

func (p *parked) has(session SessionID) bool { return len(p.of[session]) > 0 }

func (p *parked) due() bool { return p.count > 0 && !time.Now().Before(p.next) }

func (p *parked) put(replies ...*Reply) {
	for _, reply := range replies {
		session, _, _ := reply.ID.Split()
		if _, ok := p.of[session]; !ok {
			p.order = append(p.order, session)
		}
		p.of[session] = append(p.of[session], reply)
		if p.count++; p.count == 1 {
			p.next = time.Now().Add(p.pause)
		}
	}
}

// join parks those of a batch that must not overtake an earlier one of their session,
// and answers the rest.
func (p *parked) join(batch []*Reply) (rest []*Reply) {
	if p.count == 0 {
		return batch
	}
	rest = batch[:0]
	for _, reply := range batch {
		session, _, _ := reply.ID.Split()
		if p.has(session) {
			p.put(reply)
		} else {
			rest = append(rest, reply)
		}
	}
	return rest
}

// take answers all that is parked, a batch of whole sessions after the other, and
// forgets it.
func (p *parked) take() (batches [][]*Reply) {
	var batch []*Reply
	for _, session := range p.order {
		if len(batch) >= relayBatch {
			batches, batch = append(batches, batch), nil
		}
		batch = append(batch, p.of[session]...)
	}
	p.of, p.order, p.count = make(map[SessionID][]*Reply), nil, 0
	return append(batches, batch)
}

// rest sets the time of the next try, after one: later each time when the table could
// not say what is to be done.
func (p *parked) rest(sure bool) {
	p.pause = min(2*p.pause, relayAgainMax)
	if sure {
		p.pause = relayAgain
	}
	p.told = p.told && p.count > 0
	p.next = time.Now().Add(p.pause)
}
