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

// overtakes tells whether a reply has come before one that stands before it, or may
// have.
func (o *open) overtakes(r *Reply) bool {
	return o.misses(r) || r.Final && r.Place == 0 && o.stream != nil && len(o.stream.ahead) > 0
}

// misses tells whether a reply that stands before this one has not come, or may not
// have. What is followed comes from one list, in its order.
func (o *open) misses(r *Reply) bool {
	switch {
	case r.Place > 0:
		return r.Place > o.next()+1
	case o.follows != "" || r.From.Topic == "":
		return false
	case r.After > 0 && o.parts > 0:
		return o.newest.sharesLine(r.From) && r.After-1 > o.newest.Offset
	case r.After > 0:
		return true
	case o.stream == nil:
		return !r.Final && o.inheritsLocked()
	}
	if ahead := o.stream.ahead; len(ahead) > 0 && ahead[0] != r && !r.standsBefore(ahead[0]) {
		return true
	}
	return o.inheritsLocked()
}

// sharesLine tells whether two records stand in one partition.
func (at RecordAt) sharesLine(other RecordAt) bool {
	return at.Topic == other.Topic && at.Partition == other.Partition
}

// standsBefore tells whether a reply stands before another one to its request, as far
// as that can be known.
func (r *Reply) standsBefore(other *Reply) bool {
	switch {
	case r.Place > 0 && other.Place > 0:
		return r.Place < other.Place
	case r.Place > 0 || other.Place > 0:
		return r.Place > 0
	}
	return !r.From.sharesLine(other.From) || r.From.Offset < other.From.Offset
}

// keepAheadLocked keeps a reply until those have come that stand before it: they may
// be on their way through another node, or be consumed again after its death.
func (s *Session) keepAheadLocked(o *open, reply *Reply) {
	st := o.streamed()
	at := slices.IndexFunc(st.ahead, func(r *Reply) bool { return !r.standsBefore(reply) })
	switch {
	case at < 0:
		at = len(st.ahead)
	case !reply.standsBefore(st.ahead[at]):
		s.repeatedAheadLocked(st, at, reply)
		return
	}
	if len(st.ahead) == 0 {
		s.armGapLocked(o)
	}
	s.askLocked()
	st.ahead = slices.Insert(st.ahead, at, reply)
	s.waitsFor(o, len(reply.Body)+partOverhead)
	s.boundLocked(o)
}

func (s *Session) armGapLocked(o *open) {
	o.stream.gap.target = (*gapTimer)(o)
	s.router.wheel.arm(&o.stream.gap, time.Now().Add(s.router.limits.Gap))
}

// repeatedAheadLocked deals with a number that has come before, and could not be
// delivered yet. Of one record, both copies are settled together.
func (s *Session) repeatedAheadLocked(st *stream, at int, reply *Reply) {
	if st.ahead[at].From != reply.From {
		s.router.drop(reply, DropDuplicate)
		return
	}
	both := reply.under(twins{st.ahead[at], reply})
	both.After = max(reply.After, st.ahead[at].After)
	st.ahead[at] = both
	s.router.observer.Count(Drops, string(DropDuplicate))
}

// closeRanksLocked takes what has come too early, as far as nothing is missing any
// longer.
func (s *Session) closeRanksLocked(o *open, path Path) {
	for st := o.stream; st != nil && len(st.ahead) > 0 && s.open[o.n] == o && !o.misses(st.ahead[0]); {
		s.closeRankLocked(o, path)
	}
}

// closeRankLocked takes the first of what has come too early.
func (s *Session) closeRankLocked(o *open, path Path) {
	st := o.stream
	reply := st.ahead[0]
	st.ahead = st.ahead[1:]
	s.waitsFor(o, -len(reply.Body)-partOverhead)
	switch {
	case !o.hasHad(reply):
		s.acceptLocked(o, reply, path)
	case s.keepBothLocked(reply):
		s.router.observer.Count(Drops, string(DropDuplicate))
	default:
		s.router.drop(reply, DropDuplicate)
	}
	if len(st.ahead) == 0 {
		st.ahead = nil
		s.router.wheel.disarm(&st.gap)
	}
}

// gapTimer is an open request as the timer sees it that waits for a missing part.
type gapTimer open

func (g *gapTimer) expire(now time.Time) {
	o := (*open)(g)
	s := o.session
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open[o.n] != o || len(o.stream.ahead) == 0 {
		return
	}
	if s.router.table.Fenced(now) {
		s.armGapLocked(o)
		return
	}
	switch st := o.stream; {
	case !s.reorderLocked(o):
	case o.inheritsLocked():
		s.router.log.Warn("stream waits for what other nodes have of it", o.gap()...)
		s.armGapLocked(o)
	case st.ahead[0].Place == 0 && st.has > o.parts:
		s.router.log.Warn("stream may have a gap", o.gap()...)
		s.goOnWithoutLocked(o)
	default:
		s.router.log.Warn("stream has a gap", o.gap()...)
		s.missLocked(o)
	}
}

// gap is what the log is told of a request that waits for a missing part.
func (o *open) gap() []any {
	return []any{
		"request", string(o.ID), "service", o.Service.Name, "missing", o.next(), "parts", o.parts, "came", len(o.stream.ahead),
		"waited", o.session.router.limits.Gap,
	}
}

// missLocked ends a request of whose answer a part does not come.
func (s *Session) missLocked(o *open) {
	missing, outcome := o.next(), Unknown
	if st := o.stream; st.ahead[len(st.ahead)-1].Final {
		outcome = Done
	}
	s.loseAheadLocked(o, DropGap)
	s.endLocked(o, Internal, Delivery{Err: &Error{
		Word: Internal, Outcome: outcome, Message: fmt.Sprintf("part %d of the service's answer is missing", missing),
	}}, "")
}

// goOnWithoutLocked takes a part without a number whose predecessor does not come, where
// the client says that it has more parts than this node knows of. Their node died between
// their acknowledgement and its note of it; what is acknowledged never comes again, and
// where it stood nobody knows. That the predecessor is among them is not proven. But else it
// would not be acknowledged, and so come from where it was kept, unless Redis lost that in
// the same moment; and to wait for it, or to end the request, would fail each good stream
// whose node dies in that moment.
func (s *Session) goOnWithoutLocked(o *open) {
	o.parts = o.stream.has
	s.closeRankLocked(o, PathRelay)
	s.closeRanksLocked(o, PathRelay)
	if s.open[o.n] == o && len(o.stream.ahead) > 0 {
		s.armGapLocked(o)
	}
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
