package table

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"parley/routing"
)

const (
	readBlock    = 100 * time.Millisecond // an idle read lasts this long, and so does ending one
	readBlockNow = 10 * time.Millisecond  // while entries wait to be routed again
	readAgain    = 50 * time.Millisecond  // the pause after an error
	readAgainMax = 100 * time.Millisecond
)

// How many entries are read at once goes by their size: many small ones, since an inbox that
// is behind, as all are when Redis was failed over and replies are routed again, costs a
// round trip a read; and a few large ones, since they are in memory together.
const (
	readEntries    = 64
	readEntriesMax = 1024
	readBytes      = 1 << 20
)

// readNext answers how many entries to read after some: as many as have readBytes in all, if
// they are as large.
func readNext(before []redis.XMessage) int {
	bytes := 0
	for _, e := range before {
		text, _ := e.Values["r"].(string)
		bytes += len(text)
	}
	if bytes == 0 {
		return readEntries
	}
	return max(readEntries, min(readEntriesMax, readBytes*len(before)/bytes))
}

// read hands the inbox's entries to the node, oldest first, until ctx ends.
// Entries for an earlier boot of this node are routed again.
func (r *Redis) read(ctx context.Context, to Node) {
	last, count, pause := "0", readEntries, readAgain
	var strays []*routing.Reply
	for ctx.Err() == nil {
		if r.inbox.takeRewind() {
			last = "0"
		}
		block := readBlock
		if len(strays) > 0 {
			block = readBlockNow
		}
		entries, err := r.readInbox(ctx, last, count, block)
		if err != nil {
			r.unread(err)
			sleep(ctx, pause)
			pause = min(2*pause, readAgainMax)
			continue
		}
		count, pause = readNext(entries), readAgain
		if !r.awake(ctx) {
			return
		}
		var mine []*routing.Reply
		for _, e := range entries {
			last = e.ID
			if text, ok := r.openNotice(e); ok {
				r.handOver(mine, to)
				mine = nil
				r.hear(text, to)
				continue
			}
			switch reply, boot := r.open(e); {
			case reply == nil:
			case boot == r.boot():
				mine = append(mine, reply)
			default:
				strays = append(strays, reply)
			}
		}
		r.handOver(mine, to)
		if strays = r.reroute(ctx, strays, to); len(strays) == 0 {
			r.inbox.reach(last)
		}
	}
}

// handOver delivers replies, once none is on its way that was held before.
func (r *Redis) handOver(replies []*routing.Reply, to Node) {
	if len(replies) == 0 {
		return
	}
	r.turn.Lock()
	defer r.turn.Unlock()
	to.DeliverRelayed(replies)
}

// awake waits while this process does not know whether it still is a node, and tells
// whether ctx goes on.
func (r *Redis) awake(ctx context.Context) bool {
	for r.Fenced(time.Now()) {
		if !sleep(ctx, readBlockNow) {
			return false
		}
	}
	return true
}

func (r *Redis) readInbox(ctx context.Context, last string, count int, block time.Duration) ([]redis.XMessage, error) {
	ctx, cancel := context.WithTimeout(ctx, block+r.o.Timeout)
	defer cancel()
	streams, err := r.client.XRead(ctx, &redis.XReadArgs{
		Streams: []string{inboxKey(r.o.Node), last}, Count: int64(count), Block: block,
	}).Result()
	if errors.Is(err, redis.Nil) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read inbox: %w", err)
	}
	return streams[0].Messages, nil
}

func (r *Redis) unread(err error) {
	if unreachable(err) {
		r.link.failed("read inbox", err)
	} else {
		r.refuse("read inbox", err)
	}
}

// openNotice answers the notice in an entry, "" where it was not meant for this
// boot; ok is false when there is none in it.
func (r *Redis) openNotice(e redis.XMessage) (text string, ok bool) {
	text, ok = e.Values["k"].(string)
	token, valid := parseID(e.ID)
	if !ok || !valid {
		return "", false
	}
	r.inbox.Done(token)
	if e.Values["b"] != r.boot() {
		return "", true
	}
	return text, true
}

// open makes a reply of an entry, and answers the boot that it is meant for.
// There is no reply in an entry that was read before or that says nothing.
func (r *Redis) open(e redis.XMessage) (*routing.Reply, string) {
	token, ok := parseID(e.ID)
	if !ok || !r.inbox.enter(token) {
		return nil, ""
	}
	boot, _ := e.Values["b"].(string)
	epoch, _ := e.Values["e"].(string)
	data, _ := e.Values["r"].(string)
	reply, err := DecodeReply([]byte(data))
	if err != nil {
		r.refuse("read inbox entry "+e.ID, err)
		r.inbox.Done(token)
		return nil, ""
	}
	if boot == r.boot() && !r.inbox.first(reply, epoch, boot) {
		r.inbox.Done(token)
		return nil, ""
	}
	reply.Consumed, reply.Relayed = r.clock.here(reply.Consumed), time.Now()
	reply.Receipt, reply.Token = &r.inbox, token
	return reply, boot
}

// reroute routes entries that an earlier boot of this node left, and answers
// those that must be tried again.
func (r *Redis) reroute(ctx context.Context, strays []*routing.Reply, to Node) (again []*routing.Reply) {
	if len(strays) == 0 {
		return nil
	}
	for i, v := range r.Route(ctx, strays) {
		reply := strays[i]
		switch v.Fate {
		case routing.Failed:
			again = append(again, reply)
			continue
		case routing.Here:
			r.handOver([]*routing.Reply{reply}, to)
			continue
		}
		r.account(reply, v)
		r.inbox.Done(reply.Token)
	}
	return again
}

// account counts a reply that was routed again.
func (r *Redis) account(reply *routing.Reply, v routing.Verdict) {
	r.rerouted.Add(1)
	switch v.Fate {
	case routing.Held:
		r.o.Observer.Count(routing.Replies, string(routing.PathHeld))
	case routing.Dropped:
		r.o.Observer.Count(routing.Replies, string(routing.PathDropped))
		r.o.Observer.Count(routing.Drops, string(v.Drop))
		r.o.Log.Info("reply dropped", "reason", string(v.Drop), "request", string(reply.ID),
			"partition", reply.From.Partition, "offset", reply.From.Offset)
	}
}
