package routing

import (
	"context"
	"slices"
	"time"
)

// lookAfter is when after a take-over the table is asked again for requests that the
// client knows and the table did not: the former owner, which lives, may have had
// their rows in its queue. Once it has said that there are no more, nobody looks on. In
// all it is longer than a node needs to write again after Redis took no writes: to
// renew its lease, and then to try anew.
var lookAfter = [...]time.Duration{10 * time.Millisecond, 40 * time.Millisecond, 100 * time.Millisecond, 250 * time.Millisecond}

// lookAgain asks for rows that came late, and answers which of the client's ids stay
// missing. Replies to requests that nobody knows yet wait for it.
func (s *Session) lookAgain(ctx context.Context, epoch uint64, ids []string, streams []StreamAt) Missing {
	var got Looked
	for _, pause := range lookAfter {
		if !sleep(ctx, pause) {
			break
		}
		looked, err := s.router.table.Look(ctx, s.id)
		if err != nil {
			s.router.log.Info("requests that a client waits for cannot be looked for again", "session", string(s.id), "err", err)
			break
		}
		if got = looked; s.heardAll(got) {
			break
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != live || s.epoch != epoch {
		return Missing{} // whoever has resumed it since asks again
	}
	for _, row := range got.Rows {
		if slices.Contains(ids, row.ClientID) && !s.waitsLocked(row.N) {
			s.adoptRowLocked(row)
		}
	}
	s.restateLocked(slices.DeleteFunc(slices.Clone(streams), func(at StreamAt) bool { return !slices.Contains(ids, at.ClientID) }))
	s.whole, s.looked = s.whole || s.heardAllLocked(got), true
	missing := s.missingLocked(ids)
	s.followAllLocked()
	s.lookedLocked()
	return missing
}

// heardAll tells whether all nodes that had the session before have said that all their
// rows are there.
func (s *Session) heardAll(got Looked) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.heardAllLocked(got)
}

func (s *Session) heardAllLocked(got Looked) bool { return got.Left+1 >= s.since }

// early is a reply on its way to its request, which may not be known here yet.
type early struct {
	*Reply
	held  bool   // it is in the table
	sure  bool   // the table has just said that this node has the session
	epoch uint64 // under which, where it has said that
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
	case !e.held:
		s.deliverLocked(e, PathRelay)
	case !s.tooEarlyLocked(e):
		s.takeHeldLocked(e.Reply)
	}
}

// aheadLocked tells whether the table has given this node the session anew, by a
// take-over that it does not know of yet. Other nodes may have had the session in
// between, and made requests that it cannot know: replies wait for the client that
// has asked for the session, or are routed, and held for the next one.
func (s *Session) aheadLocked(e early) bool {
	switch {
	case e.epoch <= s.epoch:
		return false
	case s.resumers > 0:
		s.early = append(s.early, e)
	default:
		s.router.reroute(e.Reply)
	}
	return true
}

// earlyPushLocked is the epoch that the newest push waits for which came early, 0 where none
// does. Those behind it wait too: they are not to overtake it.
func (s *Session) earlyPushLocked() uint64 {
	for _, e := range slices.Backward(s.early) {
		if _, n, _ := e.ID.Split(); isPush(n) {
			return e.epoch
		}
	}
	return 0
}

// takes tells whether it can be given a reply for an epoch, as aheadLocked has it.
func (s *Session) takes(epoch uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state != live || epoch <= s.epoch || s.resumers > 0
}

// tooEarlyLocked keeps a reply to a request that may yet be known, and tells whether
// it is one.
func (s *Session) tooEarlyLocked(e early) bool {
	_, n, _ := e.ID.Split()
	if !s.looking || isPush(n) || s.waitsLocked(n) {
		return false
	}
	s.early = append(s.early, e)
	return true
}
