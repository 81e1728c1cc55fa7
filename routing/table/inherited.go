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
// node's own is read. It answers false while Redis is away.
func (r *Redis) Inherited(ctx context.Context, sessions []routing.SessionID) []bool {
	all := make([]bool, len(sessions))
	if r.link.away() || r.Fenced(time.Now()) {
		return all
	}
	ctx, cancel := context.WithTimeout(ctx, r.o.Timeout)
	defer cancel()
	before, err := r.before(ctx, sessions)
	if err != nil {
		r.link.failed("ask for former owners", err)
		return all
	}
	some := false
	for i := range sessions {
		all[i] = before[i] == 0
		some = some || all[i]
	}
	if some && !r.CatchUp(ctx) {
		clear(all)
	}
	return all
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
