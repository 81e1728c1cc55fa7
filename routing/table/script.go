package table

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"
)

//go:embed lease.lua
var leaseLua string

//go:embed leave.lua
var leaveLua string

//go:embed nodes.lua
var nodesLua string

//go:embed session.lua
var sessionLua string

//go:embed end.lua
var endLua string

//go:embed inbox.lua
var inboxLua string

//go:embed uninbox.lua
var uninboxLua string

//go:embed push.lua
var pushLua string

//go:embed hold.lua
var holdLua string

//go:embed unhold.lua
var unholdLua string

//go:embed notice.lua
var noticeLua string

//go:embed left.lua
var leftLua string

//go:embed handed.lua
var handedLua string

//go:embed resume.lua
var resumeLua string

//go:embed room.lua
var roomLua string

//go:embed keep.lua
var keepLua string

//go:embed claim.lua
var claimLua string

//go:embed unclaim.lua
var unclaimLua string

//go:embed collect.lua
var collectLua string

//go:embed conclude.lua
var concludeLua string

//go:embed heard.lua
var heardLua string

//go:embed wait.lua
var waitLua string

//go:embed sub.lua
var subLua string

//go:embed unsub.lua
var unsubLua string

var (
	leaseScript   = redis.NewScript(leaseLua)
	leaveScript   = redis.NewScript(leaveLua)
	nodesScript   = redis.NewScript(nodesLua)
	sessionScript = redis.NewScript(sessionLua)
	endScript     = redis.NewScript(endLua)
	inboxScript   = redis.NewScript(inboxLua)
	uninboxScript = redis.NewScript(uninboxLua)
	pushScript    = redis.NewScript(pushLua)
	holdScript    = redis.NewScript(holdLua)
	unholdScript  = redis.NewScript(unholdLua)
	noticeScript  = redis.NewScript(noticeLua)
	leftScript    = redis.NewScript(leftLua)
	handedScript  = redis.NewScript(handedLua)
	resumeScript  = redis.NewScript(resumeLua)
	waitScript    = redis.NewScript(waitLua)
	subScript     = redis.NewScript(subLua)
	unsubScript   = redis.NewScript(unsubLua)

	roomScript     = redis.NewScript(roomLua)
	keepScript     = redis.NewScript(keepLua)
	claimScript    = redis.NewScript(claimLua)
	unclaimScript  = redis.NewScript(unclaimLua)
	collectScript  = redis.NewScript(collectLua)
	concludeScript = redis.NewScript(concludeLua)
	heardScript    = redis.NewScript(heardLua)

	// pipelined are the sources of the scripts that run in pipelines, where an unknown
	// digest cannot be answered by sending the source at once.
	pipelined = []string{leaseLua, inboxLua, resumeLua, nodesLua, sessionLua, endLua, pushLua, holdLua, unholdLua, noticeLua, leftLua, handedLua,
		roomLua, keepLua, claimLua, unclaimLua, collectLua, concludeLua, heardLua, waitLua, subLua, unsubLua}
)

// call is a script's call for a pipeline.
func call(ctx context.Context, script *redis.Script, keys []string, args ...any) *redis.Cmd {
	line := make([]any, 0, 3+len(keys)+len(args))
	line = append(line, "evalsha", script.Hash(), len(keys))
	for _, key := range keys {
		line = append(line, key)
	}
	cmd := redis.NewCmd(ctx, append(line, args...)...)
	cmd.SetFirstKeyPos(3)
	return cmd
}

// exec sends commands in one pipeline and answers an error when Redis could not
// be talked to; what Redis says about a command is that command's. Where Redis
// does not know a script, all commands are sent again if again is set, else
// those only.
func (r *Redis) exec(ctx context.Context, cmds []redis.Cmder, again bool) error {
	err := r.send(ctx, cmds)
	if err != nil {
		return err
	}
	var missing []redis.Cmder
	for _, cmd := range cmds {
		if err := cmd.Err(); err != nil && redis.HasErrorPrefix(err, "NOSCRIPT") {
			missing = append(missing, cmd)
		}
	}
	if missing == nil {
		return nil
	}
	if err := r.load(ctx); err != nil {
		return err
	}
	if again {
		missing = cmds
	}
	return r.send(ctx, missing)
}

func (r *Redis) send(ctx context.Context, cmds []redis.Cmder) error {
	ctx, cancel := context.WithTimeout(ctx, r.o.Timeout)
	defer cancel()
	pipe := r.client.Pipeline()
	for _, cmd := range cmds {
		cmd.SetErr(nil)
		_ = pipe.Process(ctx, cmd)
	}
	_, _ = pipe.Exec(ctx) // answers the first command's error; all are looked at
	for _, cmd := range cmds {
		if unreachable(cmd.Err()) {
			return cmd.Err()
		}
	}
	return nil
}

// load makes all servers know the scripts, in one round trip for all who find that one
// does not.
func (r *Redis) load(ctx context.Context) error {
	_, err, _ := r.loading.Do("", func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.o.Timeout)
		defer cancel()
		if cluster, ok := r.client.(*redis.ClusterClient); ok {
			return nil, cluster.ForEachMaster(ctx, func(ctx context.Context, c *redis.Client) error { return loadInto(ctx, c) })
		}
		return nil, loadInto(ctx, r.client)
	})
	if err != nil {
		return fmt.Errorf("load scripts: %w", err)
	}
	return nil
}

func loadInto(ctx context.Context, client redis.Cmdable) error {
	pipe := client.Pipeline()
	for _, source := range pipelined {
		pipe.ScriptLoad(ctx, source)
	}
	_, err := pipe.Exec(ctx)
	return err
}

// unreachable tells errors of the way to Redis, and of a Redis that is not
// ready, from what Redis says about a command.
func unreachable(err error) bool {
	if err == nil || errors.Is(err, redis.Nil) {
		return false
	}
	var said redis.Error
	if !errors.As(err, &said) {
		return true
	}
	for _, word := range []string{"LOADING", "READONLY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "BUSY ", "NOAUTH", "WRONGPASS", "NOREPLICAS", "max number of clients"} {
		if strings.Contains(said.Error(), word) {
			return true
		}
	}
	return false
}
