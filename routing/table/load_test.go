package table

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"
)

// forgetful stands for a Redis that has lost all scripts. It notes how often it is told
// some, which takes a while, and answers calls of those only.
type forgetful struct {
	mu    sync.Mutex
	knows map[string]bool // digests
	told  []int           // how many scripts, by trip
}

func (*forgetful) DialHook(next redis.DialHook) redis.DialHook { return next }

func (f *forgetful) ProcessHook(redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error { return f.take([]redis.Cmder{cmd}) }
}

func (f *forgetful) ProcessPipelineHook(redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error { return f.take(cmds) }
}

func (f *forgetful) take(cmds []redis.Cmder) (err error) {
	told := 0
	for _, cmd := range cmds {
		if cmd.Name() == "script" {
			told++
		}
	}
	if told > 0 {
		time.Sleep(time.Millisecond) // in a bubble: until all others wait
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if told > 0 {
		f.told = append(f.told, told)
	}
	for _, cmd := range cmds {
		switch args := cmd.Args(); {
		case cmd.Name() == "script":
			f.knows[redis.NewScript(args[2].(string)).Hash()] = true
		case !f.knows[args[1].(string)]:
			cmd.SetErr(errForgotten)
			err = errForgotten
		}
	}
	return err
}

var errForgotten = forgotten{errors.New("NOSCRIPT No matching script")}

// forgotten is an error of Redis's own.
type forgotten struct{ error }

func (forgotten) RedisError() {}

// Redis has been emptied, and many find at once that it does not know what they call:
// one of them tells it all scripts, in one trip, and the others wait for that.
func TestScriptsAreLoadedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &forgetful{knows: make(map[string]bool)}
		client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1"}) // nobody, and not asked
		defer client.Close()
		client.AddHook(server)
		r := NewRedis(client, Options{Node: "a"})
		var callers sync.WaitGroup
		for _, script := range []*redis.Script{endScript, pushScript, holdScript, keepScript, claimScript, heardScript, subScript, waitScript} {
			for range 8 {
				callers.Go(func() {
					cmd := call(t.Context(), script, []string{"key"})
					if err := errors.Join(r.exec(t.Context(), []redis.Cmder{cmd}, false), cmd.Err()); err != nil {
						t.Error(err)
					}
				})
			}
		}
		callers.Wait()
		if len(server.told) != 1 || server.told[0] != len(pipelined) {
			t.Errorf("scripts by trip: %v, want all %d in one", server.told, len(pipelined))
		}
	})
}
