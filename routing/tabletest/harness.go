package tabletest

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"parley/routing"
	"parley/routing/table"
)

// Node is a table as a node uses it.
type Node interface {
	routing.Table
	Run(ctx context.Context, to table.Node) error
	Ping(ctx context.Context) error
	Stats() table.Stats
}

// Harness is a place where the contract is tested. Each test gets a new one,
// empty.
type Harness struct {
	// New makes a node's table, which reaches Redis through wire.
	New func(o table.Options, wire *Wire) Node
	// Client looks into Redis past all faults; nil where there is none.
	Client redis.UniversalClient
	// Cut takes Redis away from all tables, and Heal brings it back.
	Cut, Heal func()
	// Sleep makes a table notice that its process has slept.
	Sleep func(n Node)
	// Age makes a table take its lease for one that it has had for as long as it lasts.
	Age func(n Node)
	// Pass makes time pass for the expiry of keys; nil where it does so by itself.
	Pass func(d time.Duration)
}

// Run tests a table.
func Run(t *testing.T, open func(t *testing.T) Harness) {
	for _, group := range [][]story{single, sessions, rows, relays, held, holds, nodes, burials, inherited, returns, kept, faults, waits, feeds} {
		for _, s := range group {
			t.Run(s.name, func(t *testing.T) {
				h := open(t)
				if s.shared && h.Client == nil {
					t.Skip("needs a table that nodes share")
				}
				s.tell(t, h)
			})
		}
	}
}

// story is one test of the suite.
type story struct {
	name   string
	shared bool // needs Redis
	tell   func(t *testing.T, h Harness)
}

// running is a node's table at work.
type running struct {
	Node
	mail *mailbox
	wire *Wire
	name routing.NodeID
	stop func() error // ends Run, and answers what it did

	member string
}

// start runs a new node until the test ends.
func (h Harness) start(t *testing.T, o table.Options) *running {
	t.Helper()
	n := &running{mail: &mailbox{settle: true}, wire: NewWire(), name: o.Node, member: o.Member}
	if o.Watcher == nil {
		o.Watcher = n.mail
	}
	n.Node = h.New(o, n.wire)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- n.Run(ctx, n.mail) }()
	n.stop = sync.OnceValue(func() error {
		cancel()
		return <-ended
	})
	t.Cleanup(func() { _ = n.stop() })
	if h.Client != nil {
		eventually(t, "node "+string(o.Node)+" has its lease", func() bool { return n.Node.(*table.Redis).Leased() })
	}
	return n
}

// judging has nodes judge others from now on, as those do that have had their lease for as
// long as it lasts.
func (h Harness) judging(some ...*running) {
	for _, n := range some {
		h.Age(n.Node)
	}
}

// renewed waits until each of these nodes has renewed its lease once more, and has dealt
// with all that it has learned by that.
func (h Harness) renewed(t *testing.T, some ...*running) {
	t.Helper()
	for _, n := range some {
		for range 2 { // one begins when the one before is dealt with
			before := h.ends(t, n.name)
			n.Node.(*table.Redis).SetMember(n.member) // which renews it
			eventually(t, "a renewal by "+string(n.name), func() bool { return h.ends(t, n.name) > before })
		}
	}
}

// ends answers when a node's lease ends, in ms of Redis's clock.
func (h Harness) ends(t *testing.T, node routing.NodeID) float64 {
	t.Helper()
	return h.Client.ZScore(t.Context(), "parley:nodes", string(node)).Val()
}

// lapsed tells whether a node's lease has ended.
func (h Harness) lapsed(t *testing.T, node routing.NodeID) bool {
	t.Helper()
	return h.ends(t, node) < float64(h.Client.Time(t.Context()).Val().UnixMilli())
}

// ghost puts a node on the table that is not there, and whose lease ends after a while.
func (h Harness) ghost(t *testing.T, name routing.NodeID, after time.Duration) {
	t.Helper()
	must(t, h.Client.HSet(t.Context(), "{parley:nodes}:members", string(name), "boot-of-"+string(name)+" member").Err())
	end := redis.Z{Score: float64(h.Client.Time(t.Context()).Val().Add(after).UnixMilli()), Member: string(name)}
	must(t, h.Client.ZAdd(t.Context(), "parley:nodes", end).Err())
}

// crash ends a node as a crash would: nothing is taken off the table.
func (n *running) crash() {
	n.wire.Cut()
	_ = n.stop()
}

// kill ends a node as a crash would, and removes it as another node would.
func (h Harness) kill(t *testing.T, n *running) {
	t.Helper()
	n.crash()
	h.remove(t, n.name)
}

// remove takes a node off the table. If the node lives and renews its lease in
// between, it still finds itself forgotten later.
func (h Harness) remove(t *testing.T, node routing.NodeID) {
	t.Helper()
	must(t, h.Client.HDel(t.Context(), "{parley:nodes}:members", string(node)).Err())
	must(t, h.Client.ZRem(t.Context(), "parley:nodes", string(node)).Err())
}

// expire makes a node's lease end now.
func (h Harness) expire(t *testing.T, node routing.NodeID) {
	t.Helper()
	must(t, h.Client.ZAdd(t.Context(), "parley:nodes", redis.Z{Score: 1, Member: string(node)}).Err())
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func want[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Fatalf("%s: got %v, want %v", what, got, want)
	}
}

// eventually waits until something that happens behind is so. Its limit is for what never
// is, and not for a machine that is busy.
func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !so(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not in time: %s", what)
		}
	}
}
