package table

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"parley/routing"
)

// place is where a session is, as one look-up saw it.
type place struct {
	owner routing.NodeID // "" where no node has the session attached
	boot  string
	epoch string
	known bool // the table has the session
	alive bool // the owner has neither left nor been removed, and is still the same process
	err   error
}

// Route looks all sessions up in one round trip. In a second one it appends
// replies to the inboxes of those owners that live, and to the held lists of
// sessions that have none; more round trips are needed only for more than a
// megabyte to one of them. Failed is the verdict on what could not be looked up
// or stored, and on everything after it that goes the same way.
func (r *Redis) Route(ctx context.Context, replies []*routing.Reply) []routing.Verdict {
	return r.route(ctx, replies, false)
}

// route is Route; with aside, replies for this node's own sessions go into its
// inbox too, so that they are safe.
func (r *Redis) route(ctx context.Context, replies []*routing.Reply, aside bool) []routing.Verdict {
	if len(replies) == 0 {
		return nil
	}
	verdicts := make([]routing.Verdict, len(replies))
	sessions := make([]routing.SessionID, len(replies))
	places := make(map[routing.SessionID]place)
	for i, reply := range replies {
		sessions[i], _, _ = reply.ID.Split()
		places[sessions[i]] = place{}
	}
	r.lookUp(ctx, places)
	var jobs jobs
	for i := range replies {
		verdicts[i] = r.judge(&jobs, sessions[i], places[sessions[i]], i, aside)
	}
	r.carryOut(ctx, &jobs, replies, verdicts)
	return verdicts
}

// lookUp fills in the places of sessions, in one round trip.
func (r *Redis) lookUp(ctx context.Context, places map[routing.SessionID]place) {
	cmds := make([]redis.Cmder, 0, len(places)+1)
	ids := make([]routing.SessionID, 0, len(places))
	for id := range places {
		ids = append(ids, id)
		cmds = append(cmds, redis.NewSliceCmd(ctx, "hmget", sessionKey(id), "owner", "boot", "epoch"))
	}
	// Last, as an owner is a node before it is an owner: it must not look dead.
	nodes := call(ctx, nodesScript, nodeKeys())
	cmds = append(cmds, nodes)
	if err := r.exec(ctx, cmds, false); err != nil {
		r.link.failed("look up sessions", err)
	}
	boots, err := boots(nodes)
	for i, id := range ids {
		p := seen(cmds[i].(*redis.SliceCmd))
		p.alive = p.known && p.owner != "" && boots[p.owner] == p.boot
		if p.err == nil {
			p.err = err
		}
		places[id] = p
	}
}

// boots reads which nodes live, and which process each is.
func boots(cmd *redis.Cmd) (map[routing.NodeID]string, error) {
	flat, err := cmd.StringSlice()
	if err != nil {
		return nil, fmt.Errorf("look up nodes: %w", err)
	}
	boots := make(map[routing.NodeID]string, len(flat)/2)
	for i := 0; i+1 < len(flat); i += 2 {
		boots[routing.NodeID(flat[i])] = flat[i+1]
	}
	return boots, nil
}

func seen(cmd *redis.SliceCmd) place {
	fields, err := cmd.Result()
	if err == nil && len(fields) != 3 {
		err = errors.New("not three fields")
	}
	if err != nil {
		return place{err: fmt.Errorf("look up session: %w", err)}
	}
	owner, known := fields[0].(string)
	boot, _ := fields[1].(string)
	epoch, _ := fields[2].(string)
	return place{owner: routing.NodeID(owner), boot: boot, epoch: epoch, known: known}
}

// judge answers the verdict on reply i, or makes it part of a job, which will.
func (r *Redis) judge(jobs *jobs, session routing.SessionID, p place, i int, aside bool) routing.Verdict {
	switch {
	case p.err != nil:
		return failed(p.err)
	case !p.known:
		return r.nobody()
	case p.owner == r.o.Node && p.boot == r.boot() && r.Fenced(time.Now()):
		return failed(errLease)
	case p.owner == r.o.Node && p.boot == r.boot() && !aside:
		epoch, _ := strconv.ParseUint(p.epoch, 10, 64)
		return routing.Verdict{Fate: routing.Here, Epoch: epoch}
	case p.alive:
		jobs.relay(p, i)
	case defectForgetKept && p.owner == "":
		return routing.Verdict{Fate: routing.Dropped, Drop: routing.DropUnknownRequest}
	default:
		jobs.hold(session, p, i)
	}
	return routing.Verdict{}
}

// nobody is the verdict where the table has no such session. Nothing is unknown
// to a Redis that has come back before this node's own renewal has noticed: other
// nodes may not have written their sessions yet.
func (r *Redis) nobody() routing.Verdict {
	if r.rebuilding() || r.link.away() || !r.Leased() {
		return routing.Verdict{Fate: routing.Failed, Err: fmt.Errorf("route: %w", errRebuilding), Early: true}
	}
	return routing.Verdict{Fate: routing.Dropped, Drop: routing.DropUnknownRequest}
}

func failed(err error) routing.Verdict {
	return routing.Verdict{Fate: routing.Failed, Err: err}
}
