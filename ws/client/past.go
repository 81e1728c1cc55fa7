package client

import (
	"slices"
	"strconv"
	"strings"
)

// pushMemory is how many events of a partition a subscription knows to have had. They are
// counted for each by itself, as those that a dead node has not settled come again while
// others go on: of all of a topic far more than so many may come in between.
const pushMemory = 1024

// past are the events that a subscription has had, by partition: "<topic>/<partition>".
type past map[string]*stretch

// stretch are those of one partition, the newest of them. Of most that come it tells by
// their place alone that they are new.
type stretch struct {
	highest int64
	offsets []int64 // a ring once there are pushMemory
	at      int     // of the oldest in it
}

// add notes an event, and tells whether it is new.
func (p past) add(event string) bool {
	partition, offset := place(event)
	s := p[partition]
	if s == nil {
		s = &stretch{highest: -1}
		p[partition] = s
	}
	if offset <= s.highest && slices.Contains(s.offsets, offset) {
		return false
	}
	s.highest = max(s.highest, offset)
	if len(s.offsets) < pushMemory {
		s.offsets = append(s.offsets, offset)
		return true
	}
	s.offsets[s.at] = offset
	s.at = (s.at + 1) % pushMemory
	return true
}

// place takes an event's name apart. One that is no place is a partition of its own.
func place(event string) (partition string, offset int64) {
	if at := strings.LastIndexByte(event, '/'); at >= 0 {
		if offset, err := strconv.ParseInt(event[at+1:], 10, 64); err == nil && offset >= 0 {
			return strings.Clone(event[:at]), offset
		}
	}
	return event, 0
}
