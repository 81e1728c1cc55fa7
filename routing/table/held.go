package table

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"time"

	"parley/routing"
)

// anyBoot has hold.lua not ask which process of the owner's name has the session:
// its epoch says enough.
const anyBoot = "*"

// Hold keeps replies for sessions of this node, by all that the node has queued
// before. It appends to a session's list only what is not in it. Where it finds
// that another node has the session, it tells the router so, in case that node's
// own notice did not come.
func (r *Redis) Hold(ctx context.Context, held []routing.Holding) []routing.Verdict {
	verdicts := make([]routing.Verdict, len(held))
	if err := r.flush(ctx); err != nil {
		for i := range verdicts {
			verdicts[i] = failed(fmt.Errorf("hold: %w", err))
		}
		return verdicts
	}
	replies := make([]*routing.Reply, len(held))
	var jobs jobs
	for i, h := range held {
		replies[i] = h.Reply
		jobs.hold(h.Session, place{owner: r.o.Node, boot: anyBoot, epoch: strconv.FormatUint(h.Epoch, 10)}, i)
	}
	r.carryOut(ctx, &jobs, replies, verdicts)
	return verdicts
}

// Unhold queues the removal of the replies that are held to a request.
func (r *Redis) Unhold(id routing.RequestID) {
	if session, n, ok := id.Split(); ok {
		r.push(op{kind: opUnhold, session: session, n: n})
	}
}

// appendHeld appends a reply as it stands in a held list: behind the number of its
// request and the place of its record, for the scripts to see.
func appendHeld(buf []byte, r *routing.Reply, consumed time.Time) []byte {
	_, n, _ := r.ID.Split()
	buf = append(strconv.AppendUint(buf, n, 10), ' ')
	buf = append(append(buf, r.From.Topic...), '/')
	buf = append(strconv.AppendInt(buf, int64(r.From.Partition), 10), '/')
	buf = append(strconv.AppendInt(buf, r.From.Offset, 10), ' ')
	return AppendReply(buf, r, consumed)
}

// DecodeHeld reads an entry of a held list.
func DecodeHeld(entry []byte) (*routing.Reply, error) {
	for range 2 {
		_, rest, ok := bytes.Cut(entry, []byte(" "))
		if !ok {
			return nil, errEntry
		}
		entry = rest
	}
	return DecodeReply(entry)
}
