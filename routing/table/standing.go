package table

import (
	"sync"

	"parley/routing"
)

// standing is what this node remembers of those of its sessions that have been
// taken over once or have replies held: as the router does not say under which
// take-over it ends a session, the table must know.
type standing struct {
	mu   sync.Mutex
	of   map[routing.SessionID]stand
	held int // the sum over all
}

type stand struct {
	epoch uint64
	held  int // replies in the session's held list, as this node last saw it
}

func (s *standing) init() { s.of = make(map[routing.SessionID]stand) }

// took notes a take-over by this node. Later ones win, in whatever order they come.
func (s *standing) took(id routing.SessionID, epoch uint64, held int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if was := s.of[id]; epoch >= was.epoch {
		s.putLocked(id, stand{epoch, held})
	}
}

// holds notes how many replies are held for a session of this node's.
func (s *standing) holds(id routing.SessionID, held int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	was, known := s.of[id]
	if !known {
		was.epoch = firstEpoch
	}
	s.putLocked(id, stand{was.epoch, held})
}

// epoch answers that under which this node has a session.
func (s *standing) epoch(id routing.SessionID) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return max(s.of[id].epoch, firstEpoch)
}

// firstEpoch is that of a session which nobody has taken over yet.
const firstEpoch = 1

func (s *standing) putLocked(id routing.SessionID, now stand) {
	s.held += now.held - s.of[id].held
	if now.epoch <= firstEpoch && now.held == 0 {
		delete(s.of, id)
	} else {
		s.of[id] = now
	}
}

// end forgets a session, and answers the epoch under which this node had it.
func (s *standing) end(id routing.SessionID) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	was, known := s.of[id]
	if !known {
		return firstEpoch
	}
	s.held -= was.held
	delete(s.of, id)
	return was.epoch
}

// lost forgets a session that was taken over under an epoch.
func (s *standing) lost(id routing.SessionID, epoch uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if was := s.of[id]; was.epoch < epoch {
		s.held -= was.held
		delete(s.of, id)
	}
}

func (s *standing) clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.of)
	s.held = 0
}

func (s *standing) heldNow() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.held
}
