package routing

import (
	"fmt"
	"slices"
	"time"
)

// next is the number of the part that must not be missing: the client may have got
// those before it from another node, where their acknowledgement was not noted.
func (o *open) next() int {
	if o.stream != nil {
		return max(o.parts, o.stream.has)
	}
	return o.parts
}

// hasHad tells whether a reply is one that was delivered before: its service has
// given its number to another before, or its record was consumed anew because its
// partition moved.
func (o *open) hasHad(r *Reply) bool {
	if r.Place > 0 {
		return r.Place <= o.parts
	}
	return o.parts > 0 && r.From.Topic != "" && r.From.Topic == o.newest.Topic && r.From.Partition == o.newest.Partition && r.From.Offset <= o.newest.Offset
}

// overtakes tells whether a reply has come before one that stands before it.
func (o *open) overtakes(r *Reply) bool {
	if r.Place > 0 {
		return r.Place > o.next()+1
	}
	return r.Final && o.stream != nil && len(o.stream.ahead) > 0
}

// keepAheadLocked keeps a reply until those have come that stand before it: they may
// be on their way through another node, or be consumed again after its death.
func (s *Session) keepAheadLocked(o *open, reply *Reply) {
	st := o.streamed()
	at := len(st.ahead)
	if reply.Place > 0 {
		at = slices.IndexFunc(st.ahead, func(r *Reply) bool { return r.Place == 0 || r.Place >= reply.Place })
	}
	switch {
	case at < 0:
		at = len(st.ahead)
	case at < len(st.ahead) && (st.ahead[at].Place == reply.Place):
		s.repeatedAheadLocked(st, at, reply)
		return
	}
	if len(st.ahead) == 0 {
		st.gap.target = (*gapTimer)(o)
		s.router.wheel.arm(&st.gap, time.Now().Add(s.router.limits.Gap))
	}
	st.ahead = slices.Insert(st.ahead, at, reply)
	s.waitsFor(o, len(reply.Body)+partOverhead)
	s.boundLocked(o)
}

// repeatedAheadLocked deals with a number that has come before, and could not be
// delivered yet. Of one record, both copies are settled together.
func (s *Session) repeatedAheadLocked(st *stream, at int, reply *Reply) {
	if st.ahead[at].From != reply.From {
		s.router.drop(reply, DropDuplicate)
		return
	}
	both := *reply
	both.settled, both.Receipt = 0, twins{st.ahead[at], reply}
	st.ahead[at] = &both
	s.router.observer.Count(Drops, string(DropDuplicate))
}

// closeRanksLocked takes what has come too early, as far as nothing is missing any
// longer.
func (s *Session) closeRanksLocked(o *open, path Path) {
	st := o.stream
	for st != nil && len(st.ahead) > 0 && s.open[o.n] == o {
		reply := st.ahead[0]
		if o.overtakes(reply) && reply.Place > 0 {
			return
		}
		st.ahead = st.ahead[1:]
		s.waitsFor(o, -len(reply.Body)-partOverhead)
		if o.hasHad(reply) {
			s.router.drop(reply, DropDuplicate)
		} else {
			s.acceptLocked(o, reply, path)
		}
		if len(st.ahead) == 0 {
			st.ahead = nil
			s.router.wheel.disarm(&st.gap)
		}
	}
}

// gapTimer is an open request as the timer sees it that waits for a missing part.
type gapTimer open

func (g *gapTimer) expire(now time.Time) {
	o := (*open)(g)
	s := o.session
	s.mu.Lock()
	defer s.mu.Unlock()
	st := o.stream
	if s.open[o.n] != o || len(st.ahead) == 0 {
		return
	}
	if s.router.table.Fenced(now) {
		s.router.wheel.arm(&st.gap, now.Add(s.router.limits.Gap))
		return
	}
	missing, outcome := o.next(), Unknown
	if st.ahead[len(st.ahead)-1].Final {
		outcome = Done
	}
	s.router.log.Warn("stream has a gap", "request", string(o.ID), "service", o.Service.Name, "missing", missing, "came", len(st.ahead), "waited", s.router.limits.Gap)
	s.loseAheadLocked(o, DropGap)
	s.endLocked(o, Internal, Delivery{Err: &Error{
		Word: Internal, Outcome: outcome, Message: fmt.Sprintf("part %d of the service's answer is missing", missing),
	}}, "")
}

// loseAheadLocked drops what has come behind a gap that will not be closed, or behind
// the final reply.
func (s *Session) loseAheadLocked(o *open, why Drop) {
	st := o.stream
	if st == nil || len(st.ahead) == 0 {
		return
	}
	for _, reply := range st.ahead {
		s.waitsFor(o, -len(reply.Body)-partOverhead)
		s.router.drop(reply, why)
	}
	st.ahead = nil
	s.router.wheel.disarm(&st.gap)
}

// whyEnded names the reason to drop a reply to a request whose outcome waits.
func (st *stream) whyEnded() Drop {
	if st.outcome == OK || st.outcome == FromService {
		return DropAfterFinal
	}
	return DropLate
}

// finals remembers where the newest streams of a session have ended, so that what
// follows the final reply can be told from what is consumed again. It is made when
// first needed.
type finals struct {
	last [8]final
	at   int
}

type final struct {
	n     uint64 // of the request
	parts int
	from  RecordAt
}

// endedLocked remembers the end of a stream.
func (s *Session) endedLocked(o *open, from RecordAt) {
	if s.finals == nil {
		s.finals = &finals{}
	}
	f := s.finals
	f.last[f.at%len(f.last)] = final{o.n, o.parts, from}
	f.at++
}

// isAfterFinalLocked tells whether a reply stands behind the final one of a stream
// that has ended: its service's mistake, and no repetition.
func (s *Session) isAfterFinalLocked(n uint64, r *Reply) bool {
	if s.finals == nil {
		return false
	}
	for _, f := range s.finals.last {
		if f.n == n {
			return f.before(r)
		}
	}
	return false
}

func (f final) before(r *Reply) bool {
	if r.Place > 0 {
		return r.Place > f.parts
	}
	return !r.Final && r.From.Topic == f.from.Topic && r.From.Partition == f.from.Partition && r.From.Offset > f.from.Offset
}
