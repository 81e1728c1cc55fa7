package routing

import (
	"context"
	"slices"
	"time"
)

// lookAfter is how long after a take-over the table is asked again for requests that
// the client knows and the table did not: the former owner, which lives, may have
// had their rows in its queue.
const lookAfter = 50 * time.Millisecond

// lookAgain asks for rows that came late, and answers which of the client's ids stay
// unknown. Replies to requests that nobody knows yet wait for it.
func (s *Session) lookAgain(ctx context.Context, epoch uint64, ids []string) (unknown []string) {
	var rows []Row
	if sleep(ctx, lookAfter) {
		var err error
		if rows, err = s.router.table.Look(ctx, s.id); err != nil {
			s.router.log.Info("requests that a client waits for cannot be looked for again", "session", string(s.id), "err", err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != live || s.epoch != epoch {
		return nil // whoever has resumed it since asks again
	}
	for _, row := range rows {
		if slices.Contains(ids, row.ClientID) && !s.waitsLocked(row.N) {
			s.adoptRowLocked(row)
		}
	}
	unknown = s.unknownLocked(ids)
	s.lookedLocked()
	return unknown
}

// early is a reply that came before its request was known here.
type early struct {
	*Reply
	held bool // it is in the table
}

// lookedLocked takes what has waited for another look.
func (s *Session) lookedLocked() {
	waiting := s.early
	s.looking, s.early = false, nil
	for _, e := range waiting {
		s.takeEarlyLocked(e)
	}
}

// takeEarlyLocked takes a reply that came early, unless it still is.
func (s *Session) takeEarlyLocked(e early) {
	switch {
	case s.tooEarlyLocked(e):
	case e.held:
		s.takeHeldLocked(e.Reply)
	default:
		s.takeLocked(e.Reply, PathRelay)
	}
}

// tooEarlyLocked keeps a reply to a request that may yet be known, and tells whether
// it is one.
func (s *Session) tooEarlyLocked(e early) bool {
	_, n, _ := e.ID.Split()
	if !s.looking || s.waitsLocked(n) {
		return false
	}
	s.early = append(s.early, e)
	return true
}
