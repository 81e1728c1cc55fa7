package table_test

import (
	"context"
	"slices"

	"github.com/redis/go-redis/v9"
)

// eachTrip is told of each round trip to Redis, and of what goes along.
type eachTrip func(ctx context.Context, cmds ...redis.Cmder)

func (eachTrip) DialHook(next redis.DialHook) redis.DialHook { return next }

func (told eachTrip) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error { told(ctx, cmd); return next(ctx, cmd) }
}

func (told eachTrip) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error { told(ctx, cmds...); return next(ctx, cmds) }
}

// names tells whether a word is among those of some commands.
func names(cmds []redis.Cmder, word string) bool {
	return slices.ContainsFunc(cmds, func(cmd redis.Cmder) bool { return slices.Contains(cmd.Args(), any(word)) })
}
