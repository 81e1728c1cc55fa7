package routing

import (
	"slices"
	"time"
)

// Events of one partition come to a session in the order in which they stand there, each
// once. While one node reads the partition and another one has the session that comes by
// itself, since each way from node to node keeps it. It does not
//
//   - where the session is taken over: what its former owner had, in its memory, its inbox
//     or the held list, comes after what is sent to the new one;
//   - where the partition comes to the node that has the session, which reads on while older
//     events stand in its inbox;
//   - where Redis loses some that were relayed, and they are read again.
//
// So whoever reads a partition notes on each push which one it has made for that session
// before ([Trail.Tell], Reply.After), and one whose predecessor has not come waits for it.
// Of the first one after a take-over nobody here knows whether the client has its
// predecessor: it waits until the table says that all has come which former owners had
// ([Relay].Inherited). So does one of which its reader knows no predecessor. What has come
// by then goes out by its place, and from then on the predecessor tells. Nor does it pass one
// by that waits for a take-over of which its node has not heard yet (Session.early).
//
// What a node sends through the table for a session it does not overtake itself. All of it
// goes in one line (Router.relay): what a session leaves behind goes first, and a push that
// has set out before its session came here is given to it, behind what it has. So when a node
// dies with a push that has come no further, no newer one of the session has either: they
// are read again together. Nor has a node handed all on before that has arrived
// (Router.afield). A partition that comes to a node waits for what stands in that node's inbox
// ([Router.CatchUp]).
//
// A push that waits is in the place that it came from, and is held after Limits.Patience,
// like any that is not acknowledged; one that comes before it then, no later than that. It
// waits no longer than Limits.FeedGap, and only as long as no more wait than may be
// unacknowledged (Limits.Unacked). Whatever comes later than that, behind newer ones, is
// delivered all the same. When many have waited, they go out as fast as the client takes
// them, and what comes meanwhile waits behind them.

// earlyPush is a push before which another may be missing.
type earlyPush struct {
	unacked
	path Path
}

// behind answers where those begin that wait behind an offset.
func (p *past) behind(offset int64) int {
	at := slices.IndexFunc(p.ahead, func(e earlyPush) bool { return e.from.Offset > offset })
	if at < 0 {
		return len(p.ahead)
	}
	return at
}

// missesPushLocked tells whether an event that stands before this one has not come, or may
// not have.
func (s *Session) missesPushLocked(p *past, push *Reply) bool {
	switch {
	case len(p.ahead) > 0 && p.ahead[0].from.Offset < push.From.Offset:
		return true
	case push.After > 0 && p.known:
		return push.After-1 > p.highest
	case s.inherits != nil, s.earlyPushLocked() > s.epoch:
		return true
	}
	return push.After == 0 && s.router.behind.Load() != nil
}

// keepPushLocked keeps a push until those have come that stand before it.
func (s *Session) keepPushLocked(p *past, e earlyPush) {
	p.ahead = slices.Insert(p.ahead, p.behind(e.from.Offset), e)
	f := s.feeds
	s.waits++
	f.waits++
	f.bytes += e.bytes
	s.armPatienceLocked(e.since)
	s.askLocked()
	if f.bytes > s.router.limits.Unacked {
		s.eachPastLocked(func(p *past) { s.giveWaitingLocked(p, func(*earlyPush) bool { return true }) })
	}
	s.armPushesLocked()
}

// takeWaitingPushesLocked gives what has waited, as far as nothing is missing any longer,
// and its client takes it.
func (s *Session) takeWaitingPushesLocked() {
	if s.feeds == nil || s.feeds.waits == 0 {
		return
	}
	s.eachPastLocked(s.closePushesLocked)
	if s.armPushesLocked(); s.feeds.waits > 0 {
		s.askLocked()
	}
}

func (s *Session) closePushesLocked(p *past) {
	s.giveWaitingLocked(p, func(e *earlyPush) bool { return !s.crowdedLocked() && !s.missesPushLocked(p, e.Reply) })
}

// crowdedLocked tells whether the client has not read as many pushes as may wait for it.
func (s *Session) crowdedLocked() bool {
	return len(s.unacked) >= maxPushes || !s.acks && s.bytes > s.router.limits.Unacked
}

// giveWaitingLocked gives what waits, in its order, as long as it may be given.
func (s *Session) giveWaitingLocked(p *past, may func(first *earlyPush) bool) {
	for len(p.ahead) > 0 && may(&p.ahead[0]) {
		e := p.ahead[0]
		p.ahead = slices.Delete(p.ahead, 0, 1)
		s.waits--
		s.feeds.waits--
		s.feeds.bytes -= e.bytes
		if e.safe {
			e.bytes = 0 // the table has it too
		}
		if !s.givePushLocked(p, e) && e.asked {
			s.router.table.Unhold(e.ID)
		}
	}
}

func (s *Session) eachPastLocked(do func(p *past)) {
	for _, p := range s.feeds.past {
		do(p)
	}
}

// eachEarlyPushLocked calls do for all pushes that wait for others.
func (s *Session) eachEarlyPushLocked(do func(u *unacked)) {
	if s.feeds == nil || s.feeds.waits == 0 {
		return
	}
	s.eachPastLocked(func(p *past) {
		for i := range p.ahead {
			do(&p.ahead[i].unacked)
		}
	})
}

// findEarlyPushLocked answers the push of an event that waits for others; nil where there
// is none.
func (s *Session) findEarlyPushLocked(event RecordAt) *unacked {
	if s.feeds == nil || s.feeds.waits == 0 {
		return nil
	}
	p := s.feeds.past[stretch{event.Topic, event.Partition}]
	if p == nil {
		return nil
	}
	at := slices.IndexFunc(p.ahead, func(e earlyPush) bool { return e.from == event })
	if at < 0 {
		return nil
	}
	return &p.ahead[at].unacked
}

// armPushesLocked has the first of what waits in each partition wait no longer than
// Limits.FeedGap.
func (s *Session) armPushesLocked() {
	f := s.feeds
	var first time.Time
	s.eachPastLocked(func(p *past) {
		if len(p.ahead) > 0 && (first.IsZero() || p.ahead[0].since.Before(first)) {
			first = p.ahead[0].since
		}
	})
	if first.IsZero() {
		s.router.wheel.disarm(&f.gap)
		return
	}
	if f.gap.target == nil {
		f.gap.target = (*pushGap)(s)
	}
	s.router.wheel.arm(&f.gap, first.Add(s.router.limits.FeedGap))
}

// pushGap is a session as the timer sees it that waits for missing pushes.
type pushGap Session

func (g *pushGap) expire(now time.Time) {
	s := (*Session)(g)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != live || s.feeds == nil {
		return
	}
	late := now.Add(-s.router.limits.FeedGap)
	if s.router.table.Fenced(now) {
		s.router.wheel.arm(&s.feeds.gap, now.Add(s.router.limits.FeedGap))
		return
	}
	s.eachPastLocked(func(p *past) {
		if len(p.ahead) == 0 || p.ahead[0].since.After(late) {
			return
		}
		s.router.log.Warn("events may be missing, or come late", "session", string(s.id), "before", p.ahead[0].from.String(), "came", len(p.ahead), "waited", s.router.limits.FeedGap)
		s.giveWaitingLocked(p, func(e *earlyPush) bool { return !e.since.After(late) || !s.missesPushLocked(p, e.Reply) })
	})
	s.armPushesLocked()
}
