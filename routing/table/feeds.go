package table

import (
	"context"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"

	"parley/routing"
)

// feedKeys are the set of the keys of a topic that somebody has subscribed to, and the
// hash of who has to one of them: session -> when it may be forgotten, Unix ms. They
// share the topic's slot.
func feedKeys(f routing.Feed) []string {
	topic := "parley:{s:" + f.Topic + "}"
	return []string{topic, topic + ":" + f.Key}
}

// feedField is a session's own field for a subscription; a topic has no blanks.
func feedField(f routing.Feed) string { return "s:" + f.Topic + " " + f.Key }

// parseFeed undoes feedField.
func parseFeed(field string) (routing.Feed, bool) {
	text, ok := strings.CutPrefix(field, "s:")
	topic, key, found := strings.Cut(text, " ")
	return routing.Feed{Topic: topic, Key: key}, ok && found
}

// Subscribe registers subscriptions in one round trip, once what this node has queued
// before them is written: whoever finds one must find its session too.
func (r *Redis) Subscribe(ctx context.Context, subs []routing.Subscription) []error {
	errs := make([]error, len(subs))
	err := r.flush(ctx)
	var cmds []redis.Cmder
	if err == nil {
		for _, s := range subs {
			cmds = r.appendSub(ctx, cmds, s)
		}
		if err = r.exec(ctx, cmds, true); err != nil {
			r.link.failed("subscribe", err)
		}
	}
	for i := range errs {
		failed := err
		for _, cmd := range cmds[min(len(cmds), 2*i):min(len(cmds), 2*i+2)] {
			if failed == nil {
				failed = cmd.Err()
			}
		}
		if failed != nil {
			errs[i] = fmt.Errorf("subscribe: %w", failed)
		}
	}
	return errs
}

// appendSub appends the two commands that note a subscription.
func (r *Redis) appendSub(ctx context.Context, cmds []redis.Cmder, s routing.Subscription) []redis.Cmder {
	return append(cmds, redis.NewIntCmd(ctx, "hset", sessionKey(s.Session), feedField(s.Feed), ""),
		call(ctx, subScript, feedKeys(s.Feed), s.Feed.Key, string(s.Session), r.o.life()))
}

// Unsubscribe queues the removal of a subscription.
func (r *Redis) Unsubscribe(s routing.Subscription) {
	r.push(op{kind: opUnsub, sub: s})
}

// resub queues a session's subscriptions, to be written anew or prolonged.
func (r *Redis) resub(s routing.SessionRow) {
	for _, f := range s.Feeds {
		r.push(op{kind: opSub, sub: routing.Subscription{Session: s.ID, Feed: f}})
	}
}

// buildSubs makes the commands for subscriptions, in order.
func (b *batch) buildSubs(ctx context.Context, r *Redis) {
	for _, o := range b.subs {
		s := o.sub
		if o.kind == opSub {
			b.cmds = r.appendSub(ctx, b.cmds, s)
			continue
		}
		b.cmds = append(b.cmds, redis.NewIntCmd(ctx, "hdel", sessionKey(s.Session), feedField(s.Feed)),
			call(ctx, unsubScript, feedKeys(s.Feed), s.Feed.Key, string(s.Session)))
	}
}

// Subscribers answers who has subscribed to each feed. It costs one round trip, in
// which all keys of a topic are one command, and a second where somebody has. While
// nodes write anew what Redis has lost, that nobody has is an error: somebody may.
func (r *Redis) Subscribers(ctx context.Context, feeds []routing.Feed) ([][]routing.SessionID, error) {
	wanted, err := r.followed(ctx, feeds)
	if err != nil {
		return nil, fmt.Errorf("look up subscribers: %w", err)
	}
	found := make([][]routing.SessionID, len(feeds))
	cmds := make([]redis.Cmder, len(wanted))
	for i, at := range wanted {
		cmds[i] = redis.NewStringSliceCmd(ctx, "hkeys", feedKeys(feeds[at])[1])
	}
	if len(cmds) > 0 {
		err = r.exec(ctx, cmds, true)
	}
	for i, at := range wanted {
		if err == nil {
			err = cmds[i].Err()
		}
		if err != nil {
			r.link.failed("look up subscribers", err)
			return nil, fmt.Errorf("look up subscribers: %w", err)
		}
		for _, id := range cmds[i].(*redis.StringSliceCmd).Val() {
			found[at] = append(found[at], routing.SessionID(id))
		}
	}
	return found, nil
}

// followed answers which of the feeds somebody may have subscribed to, by their places.
func (r *Redis) followed(ctx context.Context, feeds []routing.Feed) (places []int, err error) {
	byTopic := make(map[string][]int)
	for i, f := range feeds {
		byTopic[f.Topic] = append(byTopic[f.Topic], i)
	}
	var cmds []redis.Cmder
	var of [][]int
	for topic, all := range byTopic {
		args := append(make([]any, 0, 2+len(all)), "smismember", feedKeys(routing.Feed{Topic: topic})[0])
		for _, i := range all {
			args = append(args, feeds[i].Key)
		}
		cmds, of = append(cmds, redis.NewIntSliceCmd(ctx, args...)), append(of, all)
	}
	if err := r.exec(ctx, cmds, true); err != nil {
		r.link.failed("look up subscribers", err)
		return nil, err
	}
	for n, cmd := range cmds {
		is, err := cmd.(*redis.IntSliceCmd).Result()
		if err != nil {
			return nil, err
		}
		for i, yes := range is {
			if yes == 1 {
				places = append(places, of[n][i])
			}
		}
	}
	if len(places) < len(feeds) && (r.rebuilding() || r.link.away() || !r.Leased()) {
		return nil, errRebuilding
	}
	return places, nil
}
