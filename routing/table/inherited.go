package table

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"parley/routing"
)

// pastField begins the name of a session's field about one that had it before.
const pastField = "past:"

// strayEntries is how many entries of an inbox are looked at for those that a process
// which is gone has left: they are the oldest.
const strayEntries = 64

// HandedOver queues that this node has handed on what it had of a session before a take-over.
func (r *Redis) HandedOver(session routing.SessionID, epoch uint64) {
	r.push(op{kind: opHanded, session: session, n: epoch})
}

// Inherited tells of each session whether those that had it before are done with it: one
// that lives has said so, the inbox of one that does not was routed again, and this
// node's own is read. It does not while Redis is away. However many sessions they are, it
// takes the same few round trips: after a node's death hundreds of them wait at once.
func (r *Redis) Inherited(ctx context.Context, sessions []routing.SessionID) []routing.Legacy {
	left := make([]routing.Legacy, len(sessions))
	if r.link.away() || r.Fenced(time.Now()) {
		return left
	}
	ctx, cancel := context.WithTimeout(ctx, r.o.Timeout)
	defer cancel()
	before, err := r.before(ctx, sessions)
	if err != nil {
		r.link.failed("ask for former owners", err)
		return left
	}
	all, some := make([]bool, len(sessions)), false
	for i := range sessions {
		all[i] = before[i] == 0
		some = some || all[i]
	}
	if !some {
		return left
	}
	newest, ok := r.newest(ctx)
	if !ok {
		return left
	}
	r.reached(ctx, sessions, all, newest)
	r.readLeft(ctx, sessions, all, left)
	return left
}

// readLeft reads what the sessions that all names have now, in a round trip.
func (r *Redis) readLeft(ctx context.Context, sessions []routing.SessionID, all []bool, left []routing.Legacy) {
	var cmds []redis.Cmder
	var of []int
	for i, id := range sessions {
		if all[i] {
			cmds, of = append(cmds, redis.NewMapStringStringCmd(ctx, "hgetall", sessionKey(id))), append(of, i)
		}
	}
	if len(cmds) == 0 {
		return
	}
	if err := r.exec(ctx, cmds, true); err != nil {
		r.link.failed("read what former owners have left", err)
		return
	}
	for n, i := range of {
		fields, err := cmds[n].(*redis.MapStringStringCmd).Result()
		left[i] = routing.Legacy{Whole: err == nil, Rows: r.readRows(sessions[i], maps.All(fields))}
	}
}

// mark is how far a node's inbox must be read before a session has what its former owners
// had: to the entry that was the newest when they had all said that they are done. An inbox
// that is always behind is read up to there all the same.
type mark struct {
	epoch uint64 // that the node has the session by
	at    routing.Token
	taken time.Time
}

// markLasts is how long a mark is remembered of a session that nobody asks for any longer.
const markLasts = time.Minute

// reached takes back what all says of sessions whose marks the inbox has not reached within
// catchUpFor. It is called by one goroutine.
func (r *Redis) reached(ctx context.Context, sessions []routing.SessionID, all []bool, newest routing.Token) {
	now := time.Now()
	maps.DeleteFunc(r.marks, func(_ routing.SessionID, m mark) bool { return now.Sub(m.taken) > markLasts })
	far := routing.Token{}
	for i, id := range sessions {
		if !all[i] {
			delete(r.marks, id)
			continue
		}
		epoch := r.standing.epoch(id)
		if m, ok := r.marks[id]; !ok || m.epoch != epoch {
			r.marks[id] = mark{epoch, newest, now}
		}
		if at := r.marks[id].at; far.A < at.A || far.A == at.A && far.B < at.B {
			far = at
		}
	}
	ctx, cancel := context.WithTimeout(ctx, catchUpFor)
	defer cancel()
	until(ctx, func() bool { return r.inbox.hasReached(far) })
	for i, id := range sessions {
		if all[i] = all[i] && r.inbox.hasReached(r.marks[id].at); all[i] {
			delete(r.marks, id)
		}
	}
}

// before answers how many processes that had a session may still have replies to it, for
// each, in a round trip, or two where some of them are gone.
func (r *Redis) before(ctx context.Context, sessions []routing.SessionID) (left []int, err error) {
	p, err := r.readPast(ctx, sessions)
	if err != nil {
		return nil, err
	}
	gone := make(map[owner]bool) // and whether their inboxes have something of theirs
	for _, former := range p.former {
		for _, o := range former {
			if !p.lives(o) && !p.unburied[o] {
				gone[o] = false
			}
		}
	}
	if err := r.strays(ctx, gone); err != nil {
		return nil, err
	}
	left = make([]int, len(sessions))
	for i, former := range p.former {
		for _, o := range former {
			if strays, is := gone[o]; !is || strays {
				left[i]++
			}
		}
	}
	return left, nil
}

// past is who had sessions before, and has not said that it handed all over.
type past struct {
	former   [][]owner // of each session
	living   map[routing.NodeID]string
	unburied map[owner]bool
}

func (p *past) lives(o owner) bool { return p.living[o.node] == o.boot }

// readPast reads it in a round trip.
func (r *Redis) readPast(ctx context.Context, sessions []routing.SessionID) (p past, err error) {
	cmds := make([]redis.Cmder, 0, len(sessions)+2)
	for _, id := range sessions {
		cmds = append(cmds, redis.NewStringSliceCmd(ctx, "hkeys", sessionKey(id)))
	}
	// Who is no node any more has a grave already, so graves come last.
	nodes, graves := call(ctx, nodesScript, nodeKeys()), redis.NewStringSliceCmd(ctx, "hkeys", gravesKey)
	if err := r.exec(ctx, append(cmds, nodes, graves), false); err != nil {
		return p, err
	}
	if p.living, err = boots(nodes); err != nil {
		return p, err
	}
	if p.unburied, err = owners(graves, ""); err != nil {
		return p, err
	}
	p.former = make([][]owner, len(sessions))
	for i := range sessions {
		former, err := owners(cmds[i].(*redis.StringSliceCmd), pastField)
		if err != nil {
			return p, err
		}
		p.former[i] = slices.Collect(maps.Keys(former))
	}
	return p, nil
}

// owners reads those that stand behind a prefix in the names of a hash's fields.
func owners(fields *redis.StringSliceCmd, prefix string) (map[owner]bool, error) {
	names, err := fields.Result()
	all := make(map[owner]bool)
	for _, name := range names {
		if text, is := strings.CutPrefix(name, prefix); is {
			all[parseOwner(text)] = true
		}
	}
	return all, err
}

// Remind has the living former owners of sessions told once more that this node has them.
// It does nothing while Redis is away.
func (r *Redis) Remind(ctx context.Context, sessions []routing.SessionID) {
	if r.link.away() || r.Fenced(time.Now()) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, r.o.Timeout)
	defer cancel()
	p, err := r.readPast(ctx, sessions)
	if err != nil {
		r.link.failed("ask for former owners", err)
		return
	}
	me := owner{r.o.Node, r.boot()}
	for i, former := range p.former {
		epoch := r.standing.epoch(sessions[i])
		for _, o := range former {
			switch {
			case !p.lives(o):
			case o == me: // in an earlier time
				r.seesTaken(sessions[i], epoch)
			default:
				r.tellTaken(o.node, o.boot, sessions[i], epoch)
			}
		}
	}
}

// strays notes which processes that are gone have left something in their inboxes, for a
// new one of their names to route again.
func (r *Redis) strays(ctx context.Context, gone map[owner]bool) error {
	if len(gone) == 0 {
		return nil
	}
	var cmds []redis.Cmder
	var owners []owner
	for o := range gone {
		owners = append(owners, o)
		cmds = append(cmds, redis.NewXMessageSliceCmd(ctx, "xrange", inboxKey(o.node), "-", "+", "count", strayEntries))
	}
	if err := r.exec(ctx, cmds, false); err != nil {
		return err
	}
	for i, o := range owners {
		entries, err := cmds[i].(*redis.XMessageSliceCmd).Result()
		if err != nil {
			return err
		}
		for _, e := range entries {
			gone[o] = gone[o] || e.Values["b"] == o.boot
		}
	}
	return nil
}

// parseOwner reads "<boot> <node>".
func parseOwner(text string) owner {
	boot, node, _ := strings.Cut(text, " ")
	return owner{routing.NodeID(node), boot}
}
