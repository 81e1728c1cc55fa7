package main

import (
	"context"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/twmb/franz-go/pkg/kadm"

	"parley/routing"
	"parley/routing/table"
	"parley/routing/tabletest"
)

// burier is a node's table without the rest of the node: it takes up what is to be done
// after others' deaths, and never gets round to it.
type burier struct {
	table.Node
	heard chan []table.Departed
	look  func() // at who is dead, at once
}

func (b *burier) Left(ctx context.Context, gone []table.Departed) error {
	select {
	case b.heard <- gone:
	default:
	}
	<-ctx.Done()
	return ctx.Err()
}

func (*burier) Changed()  {}
func (*burier) Restored() {}

func (*burier) EachSession(func() bool, func(routing.SessionRow, []routing.Row)) {}
func (*burier) DeliverRelayed([]*routing.Reply)                                  {}

// run has it join the cluster until it crashes.
func (b *burier) run(c *cluster) (crash func()) {
	wire := tabletest.NewWire()
	link := redis.NewClient(&redis.Options{Addr: c.redis, Dialer: wire.Dial, ContextTimeoutEnabled: true})
	of := table.NewRedis(link, table.Options{Node: routing.NodeID(c.prefix + "-z"), Lease: 500 * time.Millisecond, Watcher: b})
	b.look = func() { of.SetMember("") } // which renews the lease
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { _ = of.Run(ctx, b); close(ended) }()
	crash = sync.OnceFunc(func() { wire.Cut(); cancel(); <-ended; link.Close() })
	c.t.Cleanup(crash)
	return crash
}

// A node is killed, and so is the one that was to take its member out of the consumer
// group, before it has. The dead member is out soon after the second death all the same,
// long before Kafka would have noticed: its session ends after 6 s.
func TestTheBurierDies(t *testing.T) {
	c := newCluster(t, map[string]string{"orders": "murmur2"})
	a, b := c.start("a"), c.start("b")
	c.start("c")
	client := redis.NewClient(&redis.Options{Addr: c.redis})
	defer client.Close()
	z := &burier{heard: make(chan []table.Departed, 1)}
	crash := z.run(c)
	c.mayJudge(client, "a", "b", "c", "z")
	c.settled(12)
	members := c.members()
	a.signal(syscall.SIGKILL)
	<-a.exited
	killed := time.Now()
	end := redis.Z{Score: 1, Member: c.prefix + "-a"} // its lease is over
	if err := client.ZAdd(t.Context(), "parley:nodes", end).Err(); err != nil {
		t.Fatal(err)
	}
	z.look()
	select {
	case gone := <-z.heard:
		if !slices.ContainsFunc(gone, func(d table.Departed) bool { return string(d.Node) == c.prefix+"-a" }) {
			t.Fatalf("the burier was told of %v", gone)
		}
	case <-time.After(time.Second):
		t.Skip("another node was faster")
	}
	crash()
	b.await(t, "alone with c in the group", func() bool { return len(c.members()) == len(members)-1 })
	took := time.Since(killed)
	t.Logf("out of the group after %v", took.Round(time.Millisecond))
	if took > 4500*time.Millisecond {
		t.Errorf("took %v", took)
	}
	c.nodes = c.nodes[1:]
	c.settled(12)
	for name, boot := range client.HGetAll(t.Context(), "{parley:nodes}:departed").Val() {
		if strings.Contains(name, c.prefix) {
			t.Errorf("still to be dealt with: %s, %s", name, boot)
		}
	}
}

// mayJudge waits until nodes have had their leases for long enough to judge others: real
// processes tell nobody, but Redis knows who has a lease, and the time.
func (c *cluster) mayJudge(client *redis.Client, nodes ...string) {
	c.t.Helper()
	const lease = 6 * time.Second // as in their configuration
	clock := func() time.Time { return client.Time(c.t.Context()).Val() }
	c.nodes[0].await(c.t, "one of as many as have leases", func() bool {
		return !slices.ContainsFunc(nodes, func(name string) bool {
			return !client.HExists(c.t.Context(), "{parley:nodes}:members", c.prefix+"-"+name).Val()
		})
	})
	then := clock().Add(lease)
	c.nodes[0].await(c.t, "a judge of others", func() bool { return clock().After(then) })
}

// members are the client ids in the cluster's consumer group.
func (c *cluster) members() (ids []string) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	groups, err := kadm.NewClient(c.client).DescribeGroups(ctx, c.prefix)
	if err != nil {
		c.t.Fatal(err)
	}
	for _, m := range groups[c.prefix].Members {
		ids = append(ids, m.ClientID)
	}
	return ids
}
