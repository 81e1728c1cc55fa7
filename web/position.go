package web

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"parley/routing"
)

// maxPositions is of how many partitions an event's id says where its reader is: it
// travels with every event of a whole topic.
const maxPositions = 64

var (
	errOtherTopic = errors.New("it is of another topic")
	errNoPosition = errors.New("it does not say where its reader is in each partition")
)

// readPosition reads from an event's id where its reader is: of a key in the partition of
// that event, of a whole topic in all.
func readPosition(feed routing.Feed, id string) (routing.Position, error) {
	if feed.Key != "" {
		at, err := routing.ParseRecordAt(id)
		switch {
		case err != nil:
			return nil, err
		case at.Topic != feed.Topic:
			return nil, errOtherTopic
		}
		return routing.Position{at.Partition: at.Offset + 1}, nil
	}
	place, list, found := strings.Cut(id, "+")
	topic, _, _ := strings.Cut(place, "/")
	offsets := strings.Split(list, ".")
	switch {
	case topic != feed.Topic:
		return nil, errOtherTopic
	case !found || len(offsets) > maxPositions:
		return nil, errNoPosition
	}
	from := make(routing.Position, len(offsets))
	for partition, text := range offsets {
		offset, err := strconv.ParseInt(text, 10, 64)
		if err != nil || offset < 0 {
			return nil, fmt.Errorf("%w: %q is no offset", errNoPosition, clip(text))
		}
		from[int32(partition)] = offset
	}
	return from, nil
}

// appendPosition appends where a reader is in the partitions of a topic.
func appendPosition(dst []byte, at routing.Position) []byte {
	for partition := range int32(len(at)) {
		mark := byte('.')
		if partition == 0 {
			mark = '+'
		}
		dst = strconv.AppendInt(append(dst, mark), at[partition], 10)
	}
	return dst
}

// start answers where a whole topic ends before somebody subscribes to it; nil where ids
// will not say how far their reader is, who is told when it comes back that it may have
// missed something.
func (s *Server) start(ctx context.Context, topic string) routing.Position {
	at, err := s.history.Ends(ctx, topic)
	switch {
	case err != nil:
		if ctx.Err() == nil && !errors.Is(err, errNoHistory) {
			s.log.Warn("subscribers will not be able to go on where they are", "topic", topic, "err", err)
		}
		return nil
	case len(at) > maxPositions:
		return nil
	}
	return at
}
