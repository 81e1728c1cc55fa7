package table

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"parley/routing"
)

// census is what a renewal has learned.
type census struct {
	now     int64 // by Redis's clock, Unix ms
	expires int64 // when the lease would have ended; 0 where there was none
	since   int64 // since then it has never lapsed, nor been renewed late
	removed bool  // the others took this process for dead
	rival   bool  // another process uses this node's name
	members map[routing.NodeID]string
	left    []Departed    // that this node is to clean up after
	graves  []grave       // that this node is to look after
	soon    time.Duration // until then there may be news; 0 for none soon

	// When the renewal was, by Redis's clock, since which each of these has had all that
	// it has in Redis.
	restated map[routing.NodeID]int64
}

// grave is what is left to do for a process that was removed.
type grave struct {
	node routing.NodeID
	boot string
}

// field is the grave's name in {parley:nodes}:graves.
func (g grave) field() string { return g.boot + " " + string(g.node) }

var errCensus = errors.New("the lease script answered something else")

// parseCensus reads the answer of lease.lua.
func parseCensus(answer []any) (*census, error) {
	if len(answer) != 9 {
		return nil, errCensus
	}
	c := &census{members: make(map[routing.NodeID]string), restated: make(map[routing.NodeID]int64)}
	now, _ := answer[0].(string)
	expires, _ := answer[1].(string)
	word, _ := answer[2].(string)
	c.removed, c.rival = word == "removed", word == "rival"
	var err error
	if c.now, err = strconv.ParseInt(now, 10, 64); err != nil {
		return nil, fmt.Errorf("%w: %w", errCensus, err)
	}
	since, _ := answer[8].(string)
	if c.since, err = strconv.ParseInt(since, 10, 64); err != nil {
		return nil, fmt.Errorf("%w: %w", errCensus, err)
	}
	if expires != "" {
		end, err := strconv.ParseFloat(expires, 64)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errCensus, err)
		}
		c.expires = int64(end)
	}
	for node, record := range pairs(answer[3]) {
		boot, _, _ := strings.Cut(record, " ")
		c.members[routing.NodeID(node)] = boot
	}
	for node, record := range pairs(answer[4]) {
		boot, member, _ := strings.Cut(record, " ")
		c.left = append(c.left, Departed{routing.NodeID(node), boot, member})
	}
	graves, _ := answer[5].([]any)
	for _, g := range graves {
		text, _ := g.(string)
		boot, node, _ := strings.Cut(text, " ")
		c.graves = append(c.graves, grave{routing.NodeID(node), boot})
	}
	if soon, _ := answer[6].(string); soon != "" {
		ms, err := strconv.ParseInt(soon, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errCensus, err)
		}
		c.soon = max(time.Duration(ms)*time.Millisecond, time.Millisecond)
	}
	for node, word := range pairs(answer[7]) {
		boot, since, _ := strings.Cut(word, " ")
		if at, err := strconv.ParseInt(since, 10, 64); err == nil && c.members[routing.NodeID(node)] == boot {
			c.restated[routing.NodeID(node)] = at
		}
	}
	return c, nil
}

// pairs goes through {a, b, a, b, ...}.
func pairs(list any) func(yield func(a, b string) bool) {
	return func(yield func(a, b string) bool) {
		flat, _ := list.([]any)
		for i := 0; i+1 < len(flat); i += 2 {
			a, _ := flat[i].(string)
			b, _ := flat[i+1].(string)
			if !yield(a, b) {
				return
			}
		}
	}
}
