package table

import (
	"context"
	"encoding/hex"

	"github.com/redis/go-redis/v9"

	"parley/routing"
)

// fieldsACommand bounds a command of many rows: Lua cannot unpack more than
// 8000 values, and Redis serves nobody else meanwhile.
const fieldsACommand = 512

// build makes the commands.
func (b *batch) build(ctx context.Context, r *Redis) {
	for _, g := range b.order {
		if g.end {
			if g.state == nil || g.state.how != open { // else it was never written
				b.cmds = append(b.cmds, call(ctx, endScript, sessionKeys(g.session), string(r.o.Node), b.boot, g.epoch))
			}
			b.ended = append(b.ended, written{session: g.session, epoch: g.epoch})
			tell(g.waiters, nil)
			continue
		}
		if g.state != nil {
			b.buildState(ctx, r, g)
		}
		b.buildRows(ctx, r, g.session, g.sets)
		b.buildReleases(ctx, g)
		b.buildUnholds(ctx, g)
		b.buildLeft(ctx, r, g)
		if g.handed > 0 {
			b.cmds = append(b.cmds, call(ctx, handedScript, []string{sessionKey(g.session)}, b.boot+" "+string(r.o.Node), g.handed))
		}
	}
	b.buildWaits(ctx, r)
	b.buildSubs(ctx, r)
	b.buildHeard(ctx)
	for _, n := range b.notices {
		b.cmds = append(b.cmds, n.cmd(ctx))
	}
}

func (b *batch) buildLeft(ctx context.Context, r *Redis, g *group) {
	if len(g.left) == 0 || r.queue.isTorn(g.session) {
		return
	}
	for _, t := range g.left {
		b.cmds = append(b.cmds, call(ctx, leftScript, []string{sessionKey(g.session)}, t.from, t.to))
	}
}

func (b *batch) buildState(ctx context.Context, r *Redis, g *group) {
	s := g.state
	args := []any{string(s.how), string(r.o.Node), b.boot, s.row.Epoch, r.o.life(), hex.EncodeToString(s.row.Secret), s.row.Subject}
	rows := s.open
	first := min(len(rows), fieldsACommand)
	for _, row := range rows[:first] {
		args = append(args, rowField(row.N), rowText(row, r.clock.there(row.Deadline)))
	}
	cmd := call(ctx, sessionScript, sessionKeys(g.session), args...)
	b.cmds = append(b.cmds, cmd)
	b.states = append(b.states, written{cmd, g.session, s.row.Epoch, g.waiters})
	b.back = b.back || s.how == reclaim
	b.buildRows(ctx, r, g.session, rows[first:])
}

func (b *batch) buildRows(ctx context.Context, r *Redis, session routing.SessionID, rows []routing.Row) {
	var args []any
	for _, row := range rows {
		if row.N == 0 {
			continue
		}
		if args == nil {
			args = append(make([]any, 0, 4), "hset", sessionKey(session))
		}
		if args = append(args, rowField(row.N), rowText(row, r.clock.there(row.Deadline))); len(args) >= 2*fieldsACommand {
			b.cmds, args = append(b.cmds, redis.NewIntCmd(ctx, args...)), nil
		}
	}
	if args != nil {
		b.cmds = append(b.cmds, redis.NewIntCmd(ctx, args...))
	}
}

func (b *batch) buildReleases(ctx context.Context, g *group) {
	for rest := g.releases; len(rest) > 0; {
		now := rest[:min(len(rest), fieldsACommand)]
		rest = rest[len(now):]
		args := append(make([]any, 0, 2+len(now)), "hdel", sessionKey(g.session))
		for _, n := range now {
			args = append(args, rowField(n))
		}
		b.cmds = append(b.cmds, redis.NewIntCmd(ctx, args...))
	}
}

func (b *batch) buildUnholds(ctx context.Context, g *group) {
	for rest := g.unholds; len(rest) > 0; {
		now := rest[:min(len(rest), fieldsACommand)]
		rest = rest[len(now):]
		args := make([]any, len(now))
		for i, n := range now {
			args[i] = n
		}
		cmd := call(ctx, unholdScript, sessionKeys(g.session), args...)
		b.cmds = append(b.cmds, cmd)
		b.unholds = append(b.unholds, written{cmd: cmd, session: g.session})
	}
}
