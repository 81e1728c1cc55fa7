package table

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"parley/routing"
)

// keptKey has the session of each kept request of the cluster, by when its time is over.
const keptKey = "parley:kept"

func claimKey(claim string) string { return "parley:idem:" + claim }

const (
	// collectBytes is how much one look at a request brings beyond its first reply.
	collectBytes = 256 << 10
	// failedLife is for how long a request that was never made can be asked about, by
	// those who had joined it.
	failedLife = 60_000 // ms
)

// Keep records requests in two trips. The second claims the keys: a claim is only
// made for a request that is recorded, so that whoever joins it finds it. What lost
// its key, or did not fit, is taken off again in a third.
func (r *Redis) Keep(ctx context.Context, kept []*routing.Kept, limit int) []routing.Keeping {
	answers := make([]routing.Keeping, len(kept))
	err := r.record(ctx, kept, limit, answers)
	if err == nil {
		err = r.claim(ctx, kept, answers)
	}
	if err != nil {
		for i := range answers {
			answers[i] = routing.Keeping{Err: fmt.Errorf("keep: %w", err)}
		}
		return answers
	}
	var lost []redis.Cmder
	for i, k := range kept {
		if answers[i].ID != k.ID {
			lost = append(lost, redis.NewIntCmd(ctx, "unlink", sessionKey(k.Row.Session)), redis.NewIntCmd(ctx, "zrem", keptKey, string(k.Row.Session)))
		}
	}
	if len(lost) > 0 {
		if err := r.exec(ctx, lost, false); err != nil { // they expire
			r.link.failed("take requests off", err)
		}
	}
	return answers
}

// record makes room for requests and writes them.
func (r *Redis) record(ctx context.Context, kept []*routing.Kept, limit int, answers []routing.Keeping) error {
	if r.link.away() {
		return errAway
	}
	room := []any{limit, longest(kept)}
	for _, k := range kept {
		room = append(room, string(k.Row.Session))
	}
	cmds := make([]redis.Cmder, 0, len(kept)+1)
	cmds = append(cmds, call(ctx, roomScript, []string{keptKey}, room...))
	for _, k := range kept {
		cmds = append(cmds, call(ctx, keepScript, []string{sessionKey(k.Row.Session)},
			k.Life.Milliseconds(), k.Subject, string(k.ID), rowField(k.Row.N), rowText(k.Row, r.clock.there(k.Row.Deadline)), k.Key))
	}
	if err := r.exec(ctx, cmds, true); err != nil {
		r.link.failed("keep requests", err)
		return err
	}
	admitted, err := cmds[0].(*redis.Cmd).Int64Slice()
	if err != nil || len(admitted) != 3 {
		return fmt.Errorf("make room: %w", errors.Join(err, errKept))
	}
	r.expired(admitted[1])
	r.kept.Store(admitted[2])
	for i, k := range kept {
		answers[i].ID = k.ID
		if err := cmds[i+1].Err(); err != nil {
			return err
		}
		if int64(i) >= admitted[0] {
			answers[i] = routing.Keeping{Err: routing.ErrTooManyKept}
		}
	}
	return nil
}

var errKept = errors.New("a script of kept requests answered something else")

func longest(kept []*routing.Kept) (ms int64) {
	for _, k := range kept {
		ms = max(ms, k.Life.Milliseconds())
	}
	return ms
}

// expired counts kept requests whose time was over.
func (r *Redis) expired(n int64) {
	for range n {
		r.o.Observer.Count(routing.Keeps, routing.KeptExpired)
	}
}

// claim claims the keys of those that are recorded.
func (r *Redis) claim(ctx context.Context, kept []*routing.Kept, answers []routing.Keeping) error {
	var cmds []redis.Cmder
	var of []int
	until := r.lease.until(r.o.Timeout)
	for i, k := range kept {
		if k.Claim != "" && answers[i].Err == nil {
			of = append(of, i)
			cmds = append(cmds, call(ctx, claimScript, []string{claimKey(k.Claim)}, string(k.ID)+" "+k.Digest, k.Life.Milliseconds(), until))
		}
	}
	if cmds == nil {
		return nil
	}
	if err := r.exec(ctx, cmds, false); err != nil {
		r.link.failed("claim keys", err)
		return err
	}
	for n, i := range of {
		has, err := cmds[n].(*redis.Cmd).Text()
		if err != nil {
			return err
		}
		id, digest, _ := strings.Cut(has, " ")
		switch {
		case has == "":
			return errLate
		case digest != kept[i].Digest:
			answers[i] = routing.Keeping{Err: routing.ErrKeyUsed}
		default:
			answers[i].ID = routing.RequestID(id)
		}
	}
	return nil
}

// Collect reads requests in one trip.
func (r *Redis) Collect(ctx context.Context, asked []routing.Collection) []routing.Collected {
	answers := make([]routing.Collected, len(asked))
	cmds := make([]redis.Cmder, len(asked))
	for i, q := range asked {
		session, n, _ := q.ID.Split()
		cmds[i] = call(ctx, collectScript, sessionKeys(session), n, q.From, collectBytes)
	}
	if err := r.exec(ctx, cmds, true); err != nil {
		r.link.failed("look requests up", err)
	}
	for i, q := range asked {
		if err := cmds[i].Err(); err != nil {
			answers[i].Failed = fmt.Errorf("collect: %w", err)
		} else {
			answers[i] = r.readCollected(q, cmds[i].(*redis.Cmd))
		}
	}
	return answers
}

// readCollected reads the answer of collect.lua, as far as it is the asker's to know.
func (r *Redis) readCollected(q routing.Collection, cmd *redis.Cmd) (c routing.Collected) {
	list, _ := cmd.Val().([]any)
	if len(list) == 0 { // there is no such session
		if r.rebuilding() {
			c.Failed = errRebuilding
		}
		return c
	}
	texts := make([]string, len(list))
	for i := range list {
		texts[i], _ = list[i].(string)
	}
	if len(texts) < 7 {
		return routing.Collected{Failed: errKept}
	}
	state, subject, id, text, said := texts[0], texts[1], texts[2], texts[3], texts[4]
	if subject != q.Subject || id != "" && id != string(q.ID) || text == "" {
		return c
	}
	session, n, _ := q.ID.Split()
	row, err := parseRow(session, rowField(n), text)
	if err != nil {
		return routing.Collected{Failed: errKept}
	}
	c.State, c.Key, c.Service, c.Entity = routing.Pending, texts[5], row.Service, row.Entity
	c.Arrival = parseArrival(texts[6])
	c.Replies = r.readHeld(texts[7:])
	for i, reply := range c.Replies {
		if reply.ID != q.ID {
			return routing.Collected{}
		}
		if reply.Final {
			c.State, c.Replies = routing.Over, c.Replies[:i+1]
			return c
		}
	}
	if state == stateEnded {
		c.State, c.Err = routing.Over, parseOutcome(said)
	}
	return c
}

// stateEnded is the state of a kept request whose outcome is no reply: see doc.go for
// the others.
const stateEnded = "ended"

// outcomeText is how an outcome that is no reply stands in its request.
func outcomeText(e *routing.Error) string {
	return fmt.Sprintf("%s %s %t %s", e.Word, e.Outcome, e.Retry, e.Message)
}

// tooMuch is the outcome of a request whose answer is more than is held of one.
const tooMuch = "too_large unknown false the answer is more than is kept of one request"

// parseOutcome undoes outcomeText.
func parseOutcome(text string) *routing.Error {
	parts := strings.SplitN(text, " ", 4)
	if len(parts) < 4 {
		return &routing.Error{Word: routing.Internal, Message: "the outcome cannot be read", Outcome: routing.Unknown}
	}
	retry, _ := strconv.ParseBool(parts[2])
	return &routing.Error{Word: routing.Word(parts[0]), Outcome: routing.Certainty(parts[1]), Retry: retry, Message: parts[3]}
}

// parseArrival reads the field heard of a kept request.
func parseArrival(text string) routing.Arrival {
	n, _ := strconv.ParseUint(text, 10, 8)
	return routing.Arrival(n)
}

// Heard queues what Kafka has said of a request.
func (r *Redis) Heard(id routing.RequestID, word routing.Arrival, tell routing.Claimed) {
	r.push(op{kind: opHeard, wait: routing.Wait{Request: id}, n: uint64(word), tell: tell})
}

// buildHeard makes the commands for what Kafka has said.
func (b *batch) buildHeard(ctx context.Context) {
	for _, o := range b.heard {
		session, _, _ := o.wait.Request.Split()
		b.cmds = append(b.cmds, call(ctx, heardScript, []string{sessionKey(session)}, string(o.wait.Request), o.n))
	}
}

// Conclude ends requests in one trip. What was never sent is remembered for a minute
// only, and its key is free again.
func (r *Redis) Conclude(ctx context.Context, ends []routing.Conclusion) []error {
	answers := make([]error, len(ends))
	var cmds []redis.Cmder
	of := make([]*redis.Cmd, len(ends))
	for i, end := range ends {
		session, _, _ := end.ID.Split()
		life := 0
		if end.Err.Outcome == routing.NotSent {
			life = failedLife
			cmds = append(cmds, redis.NewIntCmd(ctx, "zrem", keptKey, string(session)))
		}
		if end.Claim != "" {
			cmds = append(cmds, call(ctx, unclaimScript, []string{claimKey(end.Claim)}, string(end.ID)+" "))
		}
		of[i] = call(ctx, concludeScript, []string{sessionKey(session)}, end.Subject, string(end.ID), outcomeText(end.Err), life)
		cmds = append(cmds, of[i])
	}
	err := r.exec(ctx, cmds, true)
	if err != nil {
		r.link.failed("end requests", err)
	}
	for i, cmd := range of {
		n, failed := cmd.Int()
		switch {
		case err != nil:
			answers[i] = fmt.Errorf("end request: %w", err)
		case failed != nil:
			answers[i] = fmt.Errorf("end request: %w", failed)
		case n == 0 && r.rebuilding():
			answers[i] = errRebuilding
		case n == 0:
			answers[i] = routing.ErrNotKept
		case n == 2:
			answers[i] = routing.ErrConcluded
		}
	}
	return answers
}
