package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// redises are Redis: one server, or a primary with a replica and the Sentinels that
// watch both.
type redises struct {
	servers   []*server
	sentinels []*server
	folders   []string   // of the servers' data
	busy      sync.Mutex // held while something is done to them
}

// What the Sentinels are told. A primary that is silent for less than downAfter is
// only slow.
const (
	primaryName = "chaos"
	sentinels   = 3
	downAfter   = 3 * time.Second
)

// newRedises lays out what is wanted, each server behind a proxy of every node's. They
// are started later.
func newRedises(o *options, dir string, nodes []*node) (*redises, error) {
	r := &redises{}
	names := []string{"redis"}
	if o.sentinel {
		names = []string{"redis-1", "redis-2"}
	}
	for _, name := range names {
		s, err := newRedis(o, dir, name)
		if err != nil {
			return nil, err
		}
		folder := filepath.Join(dir, name)
		s.command = append(s.command, "--data", folder)
		r.servers, r.folders = append(r.servers, s), append(r.folders, folder)
	}
	for i := range sentinels {
		if !o.sentinel {
			break
		}
		s, err := newSentinel(o, dir, fmt.Sprintf("sentinel-%d", i+1), r.servers[0].address)
		if err != nil {
			return nil, err
		}
		r.sentinels = append(r.sentinels, s)
	}
	for _, n := range nodes {
		if err := r.stand(n); err != nil {
			return nil, err
		}
	}
	return r, nil
}

func newRedis(o *options, dir, name string) (*server, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	return &server{
		name: name, logFile: filepath.Join(dir, name+".log"), address: fmt.Sprintf("127.0.0.1:%d", port),
		command: []string{filepath.Join(o.scripts, "redis"), "--port", strconv.Itoa(port)},
	}, nil
}

func newSentinel(o *options, dir, name, primary string) (*server, error) {
	s, err := newRedis(o, dir, name)
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, name+".conf") // which it rewrites
	s.command = append(s.command, "--sentinel", file)
	host, port, _ := strings.Cut(primary, ":")
	return s, os.WriteFile(file, fmt.Appendf(nil, `sentinel monitor %s %s %s %d
sentinel down-after-milliseconds %[1]s %[5]d
sentinel failover-timeout %[1]s 5000
`, primaryName, host, port, sentinels/2+1, downAfter.Milliseconds()), 0o644)
}

// stand puts proxies between a node and all servers. A Sentinel tells its clients
// where the others are; the proxy before it makes that the other proxies' addresses.
func (r *redises) stand(n *node) error {
	var ports, watchers []string
	for _, s := range slices.Concat(r.servers, r.sentinels) {
		proxied, err := n.redis.open(s.address)
		if err != nil {
			return err
		}
		_, real, _ := strings.Cut(s.address, ":")
		_, shown, _ := strings.Cut(proxied, ":")
		if len(real) != len(shown) {
			return fmt.Errorf("port %s cannot stand for %s in an answer of a Sentinel", shown, real)
		}
		ports = append(ports, real, shown)
		if slices.Contains(r.sentinels, s) {
			watchers = append(watchers, strconv.Quote(proxied))
		}
	}
	if len(watchers) == 0 {
		n.settings = fmt.Sprintf(`{url: "redis://%s/0"}`, n.redis[0].address())
		return nil
	}
	n.settings = fmt.Sprintf("{sentinel: {master: %s, addresses: [%s]}}", primaryName, strings.Join(watchers, ", "))
	for _, p := range n.redis[len(r.servers):] {
		p.rewrite = strings.NewReplacer(ports...)
	}
	return nil
}

// start starts all, and waits until every Sentinel knows both servers and the others.
func (r *redises) start(ctx context.Context) error {
	if err := r.startAs(r.servers[0]); err != nil || len(r.sentinels) == 0 {
		return err
	}
	return errors.Join(together(r.sentinels), r.settle(ctx))
}

// startAs starts the servers that do not run, as the primary or as replicas of it. The
// primary must be first to be one.
func (r *redises) startAs(primary *server) error {
	if !primary.lives() {
		if err := primary.start(); err != nil {
			return err
		}
	}
	host, port, _ := strings.Cut(primary.address, ":")
	for _, s := range r.servers {
		if s.lives() {
			continue
		}
		if err := s.start("--set", fmt.Sprintf("replicaof %s %s", host, port)); err != nil {
			return err
		}
	}
	return nil
}

// heal starts what is not running, and waits until everything is as it should be.
func (r *redises) heal(ctx context.Context) error {
	if !slices.ContainsFunc(r.servers, func(s *server) bool { return !s.lives() }) {
		return r.settle(ctx)
	}
	log.Print("a Redis is not running; starting it again")
	primary, err := r.primary(ctx)
	if err != nil {
		return err
	}
	return errors.Join(r.startAs(primary), r.settle(ctx))
}

// empty removes the data of all servers, none of which runs.
func (r *redises) empty() error {
	var failed []error
	for _, folder := range r.folders {
		failed = append(failed, os.RemoveAll(folder))
	}
	return errors.Join(failed...)
}

func (r *redises) close() { stopAll(slices.Concat(r.sentinels, r.servers)) }
