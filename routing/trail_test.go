package routing

import (
	"strconv"
	"testing"
)

// A reader knows of each part which one it has read before it, from its own start on, and
// of as many streams as it may. Replies that need no such knowledge cost nothing.
func TestTrail(t *testing.T) {
	var trail Trail
	mark := func(id string, offset int64, final bool) int64 {
		r := &Reply{ID: RequestID(id), Final: final, From: RecordAt{Topic: "replies", Offset: offset}}
		trail.Mark(r)
		return r.After - 1
	}
	want(t, "the first", mark("s.1", 0, false), -1)
	want(t, "of another", mark("s.2", 1, false), -1)
	want(t, "the second", mark("s.1", 2, false), 0)
	want(t, "the last", mark("s.1", 3, true), 2)
	want(t, "after the end", mark("s.1", 4, false), -1)
	for n := range int64(10 * trailStreams) {
		mark("t."+strconv.FormatInt(n, 10), 5+n, false)
	}
	if n := len(trail.newest) + len(trail.older); n > trailStreams {
		t.Errorf("%d streams are remembered", n)
	}
	newest := int64(10*trailStreams - 1)
	want(t, "of the newest", mark("t."+strconv.FormatInt(newest, 10), 1e6, true), 5+newest)
	want(t, "forgotten", mark("s.2", 1e6+1, false), -1)

	var none Trail
	only := &Reply{ID: "s.1", Final: true}
	numbered := &Reply{ID: "s.2", Place: 1}
	if n := testing.AllocsPerRun(100, func() { none.Mark(only); none.Mark(numbered); trail.Mark(only) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
	want(t, "remembered", len(none.newest), 0)
}
