package table

import (
	"context"
	"encoding/hex"
	"fmt"
	"iter"
	"maps"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"parley/routing"
)

// taken is a session that this node has taken over.
type taken struct {
	routing.Resumed
	before [2]owner // the last owner that was another, and the one before that
}

// owner is one process of a node; its node is "" for none.
type owner struct {
	node routing.NodeID
	boot string
}

// Resume takes a session over for this node, with its epoch raised, once all that
// the node has queued before is written. It blocks for two round trips, and no longer than
// Options.Timeout. The former owner is told soon, without Resume waiting for it.
// Errors are routing.ErrSessionGone, where there is no such session or secret or
// subject are not its, or Redis's; and while other nodes may have to write anew what Redis
// has lost: a take-over may be among that, of which the new one must know.
func (r *Redis) Resume(ctx context.Context, q routing.Resumption) (routing.Resumed, error) {
	ctx, cancel := context.WithTimeout(ctx, r.o.Timeout)
	defer cancel()
	if err := r.flush(ctx); err != nil {
		return routing.Resumed{}, fmt.Errorf("resume: %w", err)
	}
	if r.rebuilding() { // another node may have the session, or rows of it, that Redis has lost
		return routing.Resumed{}, fmt.Errorf("resume: %w", errRebuilding)
	}
	until := r.lease.until(r.o.Timeout)
	if until == 0 { // it has had no lease yet: as an owner it would look dead, and it does not know Redis's clock
		return routing.Resumed{}, fmt.Errorf("resume: %w", errLease)
	}
	boot := r.boot()
	take := call(ctx, resumeScript, sessionKeys(q.ID), hex.EncodeToString(q.Secret), q.Subject,
		string(r.o.Node), boot, r.o.life(), newBoot(), until)
	if err := r.join(ctx, take); err != nil {
		return routing.Resumed{}, fmt.Errorf("resume: %w", err)
	}
	t, err := r.readTaken(q.ID, take.Val())
	if err != nil {
		return routing.Resumed{}, err
	}
	for _, o := range t.before {
		r.tellTaken(o.node, o.boot, q.ID, t.Epoch)
	}
	if boot != r.boot() {
		return routing.Resumed{}, fmt.Errorf("resume: %w", errRemoved)
	}
	r.standing.took(q.ID, t.Epoch, len(t.Held))
	return t.Resumed, nil
}

// readTaken reads the answer of resume.lua.
func (r *Redis) readTaken(session routing.SessionID, answer any) (*taken, error) {
	list, _ := answer.([]any)
	switch {
	case answer == int64(2):
		return nil, fmt.Errorf("resume: %w", errLate)
	case answer == int64(0) && r.rebuilding():
		return nil, fmt.Errorf("resume: %w", errRebuilding)
	case answer == int64(0), answer == int64(1):
		return nil, routing.ErrSessionGone
	case len(list) != 7:
		return nil, fmt.Errorf("resume: the script answered %T", answer)
	}
	number, _ := list[0].(string)
	before, _ := list[1].(string)
	boot, _ := list[2].(string)
	held, _ := list[4].([]any)
	epoch, err := strconv.ParseUint(number, 10, 64)
	if err != nil {
		return nil, fmt.Errorf("resume: epoch: %w", err)
	}
	older, _ := list[5].(string)
	olderBoot, _ := list[6].(string)
	t := &taken{before: [2]owner{{routing.NodeID(before), boot}, {routing.NodeID(older), olderBoot}}}
	t.Epoch, t.Rows = epoch, r.readRows(session, pairs(list[3]))
	for field := range pairs(list[3]) {
		if feed, ok := parseFeed(field); ok {
			t.Feeds = append(t.Feeds, feed)
		}
	}
	texts := make([]string, len(held))
	for i := range held {
		texts[i], _ = held[i].(string)
	}
	t.Held = r.readHeld(texts)
	return t, nil
}

// readRows reads those of a session's fields that are rows.
func (r *Redis) readRows(session routing.SessionID, fields iter.Seq2[string, string]) (rows []routing.Row) {
	for field, text := range fields {
		if !strings.HasPrefix(field, "r:") {
			continue
		}
		row, err := parseRow(session, field, text)
		if err != nil {
			r.refuse("read row "+field, err)
			continue
		}
		row.Deadline = r.clock.here(row.Deadline)
		rows = append(rows, row)
	}
	return rows
}

// Look reads the rows of a session, for a take-over that may have come before what
// its former owner had queued, and whether that owner has said Left since.
func (r *Redis) Look(ctx context.Context, id routing.SessionID) (got routing.Looked, err error) {
	ctx, cancel := context.WithTimeout(ctx, r.o.Timeout)
	defer cancel()
	look := redis.NewMapStringStringCmd(ctx, "hgetall", sessionKey(id))
	if err := r.join(ctx, look); err != nil {
		return got, fmt.Errorf("look at session: %w", err)
	}
	fields := look.Val()
	got.Rows = r.readRows(id, maps.All(fields))
	if !r.rebuilding() { // else its rows may be another's that has not written them yet
		got.Left, _ = strconv.ParseUint(fields["left"], 10, 64)
	}
	return got, nil
}

// Owns reads who owns a session.
func (r *Redis) Owns(ctx context.Context, id routing.SessionID, epoch uint64) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, r.o.Timeout)
	defer cancel()
	fields, err := r.client.HMGet(ctx, sessionKey(id), "owner", "epoch").Result()
	if err != nil {
		return false, fmt.Errorf("ask for a session's owner: %w", err)
	}
	return fields[0] == string(r.o.Node) && fields[1] == strconv.FormatUint(epoch, 10), nil
}
