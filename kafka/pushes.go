package kafka

import (
	"context"
	"slices"

	"parley/routing"
)

// pushes makes replies of the events that sessions have subscribed to, one for each
// session, in the order of the events. ok is false when ctx has ended first.
func (e *Events) pushes(ctx context.Context) (replies []*routing.Reply, ok bool) {
	if len(e.tells) == 0 {
		return nil, true
	}
	places := make(map[routing.Feed]int)
	var feeds []routing.Feed
	add := func(feed routing.Feed) {
		if _, known := places[feed]; !known {
			places[feed] = len(feeds)
			feeds = append(feeds, feed)
		}
	}
	for i := range e.tells {
		feed := e.tells[i].feed()
		if add(feed); e.whole[feed.Topic] {
			add(routing.Feed{Topic: feed.Topic})
		}
	}
	var subscribers [][]routing.SessionID
	ok = e.until(ctx, func() (err error) {
		subscribers, err = e.o.Feeds.Subscribers(ctx, feeds)
		return err
	})
	if !ok {
		return nil, false
	}
	for i := range e.tells {
		t := &e.tells[i]
		feed := t.feed()
		to := subscribers[places[feed]]
		if e.whole[feed.Topic] && feed.Key != "" {
			to = both(to, subscribers[places[routing.Feed{Topic: feed.Topic}]])
		}
		replies = e.push(replies, t, to)
	}
	return replies, true
}

// both are the sessions of two lists, each once.
func both(some, others []routing.SessionID) []routing.SessionID {
	switch {
	case len(others) == 0:
		return some
	case len(some) == 0:
		return others
	}
	all, in := slices.Clip(some), make(map[routing.SessionID]bool, len(some))
	for _, session := range some {
		in[session] = true
	}
	for _, session := range others {
		if !in[session] {
			all = append(all, session)
		}
	}
	return all
}

func (t *told) feed() routing.Feed {
	return routing.Feed{Topic: t.record.Topic, Key: string(t.record.Key)}
}

// push makes the pushes of one event.
func (e *Events) push(replies []*routing.Reply, t *told, to []routing.SessionID) []*routing.Reply {
	switch {
	case len(to) == 0 && t.from == nil:
		t.p.Done(t.token)
		return replies
	case len(to) == 0:
		t.from.settle()
		return replies
	case t.from == nil:
		t.from = &eventReceipt{events: e, p: t.p, token: t.token, left: 1}
	}
	e.count(routing.EventPushed)
	at := routing.RecordAt{Topic: t.record.Topic, Partition: t.record.Partition, Offset: t.record.Offset}
	for _, session := range to {
		reply := new(routing.Reply)
		_ = decodeReply(t.record, reply) // nobody asked: it names no request
		reply.ID, reply.Final, reply.Err, reply.Status = routing.PushID(session, at), true, nil, 0
		reply.Headers = []routing.Header{{Key: routing.PushKey, Value: t.record.Key}}
		t.p.trail.Tell(session, reply)
		reply.Consumed, reply.ConsumedBy = t.at, e.options.Node
		reply.Receipt, reply.Token = t.from.wait(routing.Entity{}, "")
		replies = append(replies, reply)
	}
	t.from.settle()
	return replies
}
