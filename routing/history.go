package routing

import (
	"errors"
	"strconv"
	"strings"
)

// Position is how far somebody is in the partitions of a topic: of each the offset of the
// first event that is yet to come.
type Position map[int32]int64

// Backlog is what has happened to a feed while its client was away.
type Backlog struct {
	Events []*Event // of each partition in the order of its records
	// Ends are where the partitions ended when they were read: an event before its end is
	// among them, and one that is pushed besides is a second copy.
	Ends Position
	// Release says that the events are not needed any longer. It is called once.
	Release func()
}

// Replay is how a wish to read events again ended.
type Replay string

const (
	ReplayWhole  Replay = "whole"       // all that was missed was read, be it nothing
	ReplayBeyond Replay = "beyond"      // more was missed than is read again
	ReplayLost   Replay = "lost"        // the position is not there any longer, or never was
	ReplayBusy   Replay = "busy"        // too many ask
	ReplayAway   Replay = "unavailable" // Kafka does not answer in time
)

// ErrNoPosition says that a topic has no such position: what stood there is gone, or it
// never was there, as in a topic that was made anew.
var ErrNoPosition = errors.New("the topic has no such position")

// ParseRecordAt undoes String.
func ParseRecordAt(text string) (at RecordAt, err error) {
	rest, offset, ok := cutLast(text)
	topic, partition, found := cutLast(rest)
	p, errPartition := strconv.ParseInt(partition, 10, 32)
	n, errOffset := strconv.ParseInt(offset, 10, 64)
	if !ok || !found || topic == "" || p < 0 || n < 0 || errPartition != nil || errOffset != nil {
		return RecordAt{}, errors.New("it is not <topic>/<partition>/<offset>")
	}
	return RecordAt{Topic: topic, Partition: int32(p), Offset: n}, nil
}

func cutLast(text string) (before, after string, found bool) {
	if at := strings.LastIndexByte(text, '/'); at >= 0 {
		return text[:at], text[at+1:], true
	}
	return text, "", false
}
