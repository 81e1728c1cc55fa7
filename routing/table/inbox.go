package table

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"parley/routing"
)

const (
	readEntries  = 128
	readBlock    = 100 * time.Millisecond // an idle read lasts this long, and so does ending one
	readBlockNow = 10 * time.Millisecond  // while entries wait to be routed again
	readAgain    = 50 * time.Millisecond  // the pause after an error
	readAgainMax = time.Second
)

// inbox is what this node has read from its inbox and not deleted from it yet.
// It is the Receipt of those replies: an entry's id is the token.
type inbox struct {
	wake chan struct{} // one token: something is settled

	mu      sync.Mutex
	out     map[routing.Token]struct{} // read, and still in Redis
	settled []routing.Token            // those of out that can be deleted
	rewound bool
	seen    map[routing.RecordAt]struct{} // records that were delivered lately
	ring    []routing.RecordAt            // the same, in order
	ringAt  int
}

// seenRecords is how many records an inbox remembers. They come twice only when
// the answer to a relay was lost, and then soon.
const seenRecords = 4096

func (in *inbox) init() {
	in.wake = make(chan struct{}, 1)
	in.out = make(map[routing.Token]struct{})
	in.seen = make(map[routing.RecordAt]struct{})
}

// Done lets an entry be deleted.
func (in *inbox) Done(t routing.Token) {
	in.mu.Lock()
	in.settled = append(in.settled, t)
	in.mu.Unlock()
	select {
	case in.wake <- struct{}{}:
	default:
	}
}

func (in *inbox) len() int {
	in.mu.Lock()
	defer in.mu.Unlock()
	return len(in.out)
}

// rewind makes the reader start from the first entry: Redis may count ids anew.
func (in *inbox) rewind() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.rewound = true
}

func (in *inbox) takeRewind() bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	was := in.rewound
	in.rewound = false
	return was
}

// enter notes an entry as read, and answers false if it was before.
func (in *inbox) enter(t routing.Token) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	if _, twice := in.out[t]; twice {
		return false
	}
	in.out[t] = struct{}{}
	return true
}

// first tells whether a record was not delivered through this inbox before.
func (in *inbox) first(at routing.RecordAt) bool {
	if at.Topic == "" {
		return true
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	if _, twice := in.seen[at]; twice {
		return false
	}
	if len(in.ring) < seenRecords {
		in.ring = append(in.ring, at)
	} else {
		delete(in.seen, in.ring[in.ringAt])
		in.ring[in.ringAt] = at
		in.ringAt = (in.ringAt + 1) % seenRecords
	}
	in.seen[at] = struct{}{}
	return true
}

// read hands the inbox's entries to the node, oldest first, until ctx ends.
// Entries for an earlier boot of this node are routed again.
func (r *Redis) read(ctx context.Context, to Inbox) {
	last, pause := "0", readAgain
	var strays []*routing.Reply
	for ctx.Err() == nil {
		if r.inbox.takeRewind() {
			last = "0"
		}
		block := readBlock
		if len(strays) > 0 {
			block = readBlockNow
		}
		entries, err := r.readInbox(ctx, last, block)
		if err != nil {
			r.unread(err)
			sleep(ctx, pause)
			pause = min(2*pause, readAgainMax)
			continue
		}
		pause = readAgain
		var mine []*routing.Reply
		for _, e := range entries {
			last = e.ID
			switch reply, boot := r.open(e); {
			case reply == nil:
			case boot == r.boot:
				mine = append(mine, reply)
			default:
				strays = append(strays, reply)
			}
		}
		if len(mine) > 0 {
			to.DeliverRelayed(mine)
		}
		strays = r.reroute(ctx, strays, to)
	}
}

func (r *Redis) readInbox(ctx context.Context, last string, block time.Duration) ([]redis.XMessage, error) {
	ctx, cancel := context.WithTimeout(ctx, block+r.o.Timeout)
	defer cancel()
	streams, err := r.client.XRead(ctx, &redis.XReadArgs{
		Streams: []string{inboxKey(r.o.Node), last}, Count: readEntries, Block: block,
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

// open makes a reply of an entry, and answers the boot that it is meant for.
// There is no reply in an entry that was read before or that says nothing.
func (r *Redis) open(e redis.XMessage) (*routing.Reply, string) {
	token, ok := parseID(e.ID)
	if !ok || !r.inbox.enter(token) {
		return nil, ""
	}
	boot, _ := e.Values["b"].(string)
	data, _ := e.Values["r"].(string)
	reply, err := DecodeReply([]byte(data))
	if err != nil {
		r.refuse("read inbox entry "+e.ID, err)
		r.inbox.Done(token)
		return nil, ""
	}
	if boot == r.boot && !r.inbox.first(reply.From) {
		r.inbox.Done(token)
		return nil, ""
	}
	reply.Relayed, reply.Receipt, reply.Token = time.Now(), &r.inbox, token
	return reply, boot
}

// parseID splits "<ms>-<n>".
func parseID(id string) (routing.Token, bool) {
	ms, n, ok := strings.Cut(id, "-")
	a, err := strconv.ParseInt(ms, 10, 64)
	if err != nil || !ok {
		return routing.Token{}, false
	}
	b, err := strconv.ParseInt(n, 10, 64)
	return routing.Token{A: a, B: b}, err == nil
}

func formatID(t routing.Token) string {
	return strconv.FormatInt(t.A, 10) + "-" + strconv.FormatInt(t.B, 10)
}

// reroute routes entries that an earlier boot of this node left, and answers
// those that must be tried again.
func (r *Redis) reroute(ctx context.Context, strays []*routing.Reply, to Inbox) (again []*routing.Reply) {
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
			to.DeliverRelayed([]*routing.Reply{reply})
			continue
		case routing.Held:
			r.o.Observer.Count(routing.Replies, string(routing.PathHeld))
		case routing.Dropped:
			r.o.Observer.Count(routing.Replies, string(routing.PathDropped))
			r.o.Observer.Count(routing.Drops, string(v.Drop))
			r.o.Log.Info("reply dropped", "reason", string(v.Drop), "request", string(reply.ID), "partition", reply.From.Partition, "offset", reply.From.Offset)
		}
		r.rerouted.Add(1)
		r.inbox.Done(reply.Token)
	}
	return again
}
