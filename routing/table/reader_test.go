package table

import (
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

// An inbox is read in as few round trips as memory allows: many small entries at once, few
// large ones, and of what comes after nothing or notices alone as many as at first.
func TestReadNext(t *testing.T) {
	of := func(n, size int) []redis.XMessage {
		return times(n, redis.XMessage{Values: map[string]any{"r": strings.Repeat("x", size)}})
	}
	for name, c := range map[string]struct {
		before []redis.XMessage
		want   int
	}{
		"nothing":    {nil, readEntries},
		"notices":    {times(3, redis.XMessage{Values: map[string]any{"k": "taken"}}), readEntries},
		"tiny":       {of(64, 100), readEntriesMax},
		"4 KiB":      {of(64, 4<<10), 256},
		"large":      {of(8, 1<<20), readEntries},
		"one of all": {append(of(63, 100), of(1, 1<<20)...), 64},
	} {
		if got := readNext(c.before); got != c.want {
			t.Errorf("%s: got %d, want %d", name, got, c.want)
		}
	}
}

func times(n int, e redis.XMessage) (all []redis.XMessage) {
	for range n {
		all = append(all, e)
	}
	return all
}
