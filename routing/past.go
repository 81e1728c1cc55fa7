package routing

import "slices"

// pushMemory is how many events of a partition a session remembers to have had, for those
// that are consumed again: where a node dies, Kafka or Redis was away, or Redis has lost
// something. As many as the bundled clients remember of it.
const pushMemory = 1024

// past are the events of one partition that a session has had, the newest of them. Of
// most that come it tells by their place alone that they are new.
type past struct {
	highest int64   // of those that have come; -1 before the first
	known   bool    // nothing newer than highest has gone to the client: no other node has had the session since
	offsets []int64 // a ring once there are pushMemory
	at      int     // of the oldest in it

	ahead []earlyPush // what has come too early, in order
}

func (p *past) has(offset int64) bool {
	return p != nil && offset <= p.highest && slices.Contains(p.offsets, offset)
}

// pass notes that an event's turn has come, whether the client gets it or not.
func (p *past) pass(offset int64) {
	p.highest, p.known = max(p.highest, offset), true
}

func (p *past) add(offset int64) {
	if len(p.offsets) < pushMemory {
		p.offsets = append(p.offsets, offset)
		return
	}
	p.offsets[p.at] = offset
	p.at = (p.at + 1) % pushMemory
}

// hadLocked tells whether the session has had an event.
func (s *Session) hadLocked(event RecordAt) bool {
	return s.feeds != nil && s.feeds.past[stretch{event.Topic, event.Partition}].has(event.Offset)
}

// pastLocked answers what the session, which has subscribed to something, has had of an
// event's partition.
func (s *Session) pastLocked(event RecordAt) *past {
	at := stretch{event.Topic, event.Partition}
	p := s.feeds.past[at]
	if p == nil {
		if s.feeds.past == nil {
			s.feeds.past = make(map[stretch]*past)
		}
		p = &past{highest: -1, known: s.since == 0}
		s.feeds.past[at] = p
	}
	return p
}
