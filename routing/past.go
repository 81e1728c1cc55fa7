package routing

import "slices"

// pushMemory is how many events of a partition a session remembers to have had, for those
// that are consumed again: where a node dies, Kafka or Redis was away, or Redis has lost
// something. As many as the bundled clients remember of it.
const pushMemory = 1024

// past are the events of one partition that a session has had, the newest of them. Of
// most that come it tells by their place alone that they are new.
type past struct {
	highest int64
	offsets []int64 // a ring once there are pushMemory
	at      int     // of the oldest in it
}

func (p *past) has(offset int64) bool {
	return p != nil && offset <= p.highest && slices.Contains(p.offsets, offset)
}

func (p *past) add(offset int64) {
	p.highest = max(p.highest, offset)
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

// noteLocked notes that the session, which has subscribed to something, has an event.
func (s *Session) noteLocked(event RecordAt) {
	at := stretch{event.Topic, event.Partition}
	p := s.feeds.past[at]
	if p == nil {
		if s.feeds.past == nil {
			s.feeds.past = make(map[stretch]*past)
		}
		p = new(past)
		s.feeds.past[at] = p
	}
	p.add(event.Offset)
}
