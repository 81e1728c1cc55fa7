package main

import (
	"context"
	"time"
)

// redisFaults are what can become of Redis. With a replica, they concern the primary.
var redisFaults = []fault{
	onRedis(fault{name: "freeze Redis 2 s", rounds: 2, lasts: 2 * time.Second, short: true}, freezeRedis(2*time.Second)),
	onRedis(fault{name: "restart Redis empty", rounds: 2, lasts: 2 * time.Second, forgets: time.Hour, short: true}, restartRedisEmpty),
	onRedis(fault{name: "kill Redis, start it with its data", rounds: 2, lasts: 2 * time.Second}, restartRedis),
	onRedis(fault{name: "Redis is full for 3 s", rounds: 2, lasts: 8 * time.Second}, fillRedis),

	onRedis(fault{name: "fail over Redis: kill the primary", rounds: 2, lasts: 8 * time.Second, forgets: time.Second, sentinel: true}, failOver(killPrimary)),
	onRedis(fault{name: "fail over Redis: ask a Sentinel", lasts: 5 * time.Second, forgets: time.Second, sentinel: true}, failOver(askSentinel)),
	onRedis(fault{name: "fail over Redis: freeze the primary 6 s", lasts: 10 * time.Second, forgets: time.Second, sentinel: true}, failOver(freezePrimary)),
	onRedis(fault{name: "fail over Redis, its last 2 s lost, no client there", lasts: 10 * time.Second, forgets: time.Second, sentinel: true}, failOver(losePrimary)),
}

func freezeRedis(d time.Duration) func(*world) error {
	return func(w *world) error {
		primary, err := w.redis.primary(w.ctx)
		if err == nil {
			freeze(d, primary)
		}
		return err
	}
}

// restartRedisEmpty takes all servers' data away.
func restartRedisEmpty(w *world) error {
	primary, err := w.redis.primary(w.ctx)
	if err != nil {
		return err
	}
	for _, s := range w.redis.servers {
		s.kill()
	}
	w.sleep(500 * time.Millisecond)
	if err := w.redis.empty(); err != nil {
		return err
	}
	return w.redis.startAs(primary)
}

// restartRedis is over before a Sentinel takes notice.
func restartRedis(w *world) error {
	primary, err := w.redis.primary(w.ctx)
	if err != nil {
		return err
	}
	primary.kill()
	w.sleep(500 * time.Millisecond)
	return w.redis.startAs(primary)
}

// fillRedis leaves no room for anything more: what would write is refused. A node's
// clients lose their sockets meanwhile, and cannot resume.
func fillRedis(w *world) error {
	primary, err := w.redis.primary(w.ctx)
	if err != nil {
		return err
	}
	if _, err := primary.ask(w.ctx, "CONFIG", "SET", "maxmemory", "1"); err != nil {
		return err
	}
	w.sleep(500 * time.Millisecond)
	w.nodes[0].clients.reset()
	w.sleep(2500 * time.Millisecond)
	_, err = primary.ask(w.ctx, "CONFIG", "SET", "maxmemory", "0")
	return err
}

// failOver does what makes a replica the primary, waits for that, and gives what was
// the primary time to come back.
func failOver(how func(w *world, primary *server) error) func(*world) error {
	return func(w *world) error {
		primary, err := w.redis.primary(w.ctx)
		if err != nil {
			return err
		}
		if err := how(w, primary); err != nil {
			return err
		}
		if err := w.redis.otherPrimary(w.ctx, primary); err != nil {
			return err
		}
		w.sleep(2 * time.Second)
		now, err := w.redis.primary(w.ctx)
		if err != nil {
			return err
		}
		if err := w.redis.startAs(now); err != nil {
			return err
		}
		return w.redis.settle(w.ctx)
	}
}

func killPrimary(_ *world, primary *server) error {
	primary.kill()
	return nil
}

func freezePrimary(_ *world, primary *server) error {
	freeze(2*downAfter, primary)
	return nil
}

// askSentinel has the primary replaced while it is well: it goes on taking what is
// written for a moment, and that is lost.
func askSentinel(w *world, _ *server) error {
	return awaiting(w.ctx, "a fail-over", func(ctx context.Context) error {
		_, err := w.redis.sentinels[0].ask(ctx, "SENTINEL", "FAILOVER", primaryName)
		return err
	})
}

// losePrimary kills the primary when its replica has not heard of it for 2 s, in which
// all clients were away: what was held for them meanwhile is gone with it.
func losePrimary(w *world, primary *server) error {
	replica, err := w.redis.replica(w.ctx)
	if err != nil {
		return err
	}
	// A replica that says a password where none is wanted is refused.
	if _, err := replica.ask(w.ctx, "CONFIG", "SET", "masterauth", "wrong"); err != nil {
		return err
	}
	if _, err := primary.ask(w.ctx, "CLIENT", "KILL", "TYPE", "replica"); err != nil {
		return err
	}
	for _, n := range w.nodes {
		n.clients.sever()
	}
	w.sleep(2 * time.Second)
	primary.kill()
	for _, n := range w.nodes {
		n.clients.restore()
	}
	_, err = replica.ask(w.ctx, "CONFIG", "SET", "masterauth", "")
	return err
}
