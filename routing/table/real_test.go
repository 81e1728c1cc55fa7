package table_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"parley/routing"
	"parley/routing/table"
	"parley/routing/tabletest"
)

// server is a real redis-server of this test's own.
type server struct {
	addr string
	args []string
	cmd  *exec.Cmd
}

// serve starts redis-server, and ends it with the test. It skips where there is none.
func serve(t *testing.T, args ...string) *server {
	t.Helper()
	path, err := exec.LookPath("redis-server")
	if err != nil {
		t.Skip("needs redis-server on the PATH")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	l.Close()
	s := &server{addr: "127.0.0.1:" + port}
	s.args = append([]string{path, "--port", port, "--bind", "127.0.0.1", "--dir", t.TempDir(), "--save", "", "--loglevel", "warning"}, args...)
	s.start(t)
	t.Cleanup(s.kill)
	return s
}

func (s *server) start(t *testing.T) {
	t.Helper()
	s.cmd = exec.Command(s.args[0], s.args[1:]...)
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(&redis.Options{Addr: s.addr})
	defer client.Close()
	if err := await(t.Context(), func() bool { return client.Ping(t.Context()).Err() == nil }); err != nil {
		t.Fatalf("redis-server does not answer: %v", err)
	}
}

func (s *server) kill() {
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
}

// The contract on a real server of our own, where none was given.
func TestOwnRedis(t *testing.T) {
	if os.Getenv("PARLEY_TEST_REDIS") != "" {
		t.Skip("TestRedis does the same")
	}
	t.Parallel()
	s := serve(t, "--appendonly", "no")
	tabletest.Run(t, func(t *testing.T) tabletest.Harness { return through(t, s.addr, 0, wired) })
}

// The contract on a Redis Cluster: above all, that no script and no pipeline
// mixes keys of different slots in one step.
func TestCluster(t *testing.T) {
	t.Parallel()
	s := serve(t, "--appendonly", "no", "--cluster-enabled", "yes")
	direct := redis.NewClient(&redis.Options{Addr: s.addr})
	defer direct.Close()
	proxy := tabletest.NewProxy(t, s.addr)
	_, port, _ := net.SplitHostPort(proxy.Addr())
	for _, line := range [][]any{
		{"config", "set", "cluster-announce-ip", "127.0.0.1"}, {"config", "set", "cluster-announce-port", port},
		{"cluster", "addslotsrange", 0, 16383},
	} {
		if err := direct.Do(t.Context(), line...).Err(); err != nil {
			t.Fatal(err)
		}
	}
	if err := await(t.Context(), func() bool { return direct.Set(t.Context(), "ready", 1, 0).Err() == nil }); err != nil {
		t.Fatalf("the cluster is not ready: %v", err)
	}
	tabletest.Run(t, func(t *testing.T) tabletest.Harness {
		if err := direct.FlushDB(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		return tabletest.Harness{
			Client: direct, Cut: proxy.Cut, Heal: proxy.Heal, Sleep: fallAsleep, Age: age,
			New: func(o table.Options, w *tabletest.Wire) tabletest.Node {
				return newTable(t, redis.NewClusterClient(&redis.ClusterOptions{
					Addrs: []string{proxy.Addr()}, Dialer: w.Dial, ContextTimeoutEnabled: true, DialTimeout: time.Second, DialerRetries: 1, MaxRedirects: 2,
				}), o)
			},
		}
	})
}

// router stands for a node: it counts what comes, each reply once, whichever way.
type router struct {
	got     atomic.Int64
	seen    sync.Map // offsets
	session routing.SessionRow

	mu   sync.Mutex
	open []routing.Row // of the session
}

func (r *router) DeliverRelayed(replies []*routing.Reply) {
	for _, reply := range replies {
		r.count(reply)
		reply.Receipt.Done(reply.Token)
	}
}

func (r *router) Reclaimed(_ routing.SessionID, _ uint64, held []*routing.Reply) {
	for _, reply := range held {
		r.count(reply)
	}
}

func (r *router) count(reply *routing.Reply) {
	if _, twice := r.seen.LoadOrStore(reply.From.Offset, true); !twice {
		r.got.Add(1)
	}
}

// hasAll tells whether all of these offsets have come.
func (r *router) hasAll(from, to int64) bool {
	for offset := from; offset < to; offset++ {
		if _, came := r.seen.Load(offset); !came {
			return false
		}
	}
	return true
}

func (r *router) EachSession(ready func() bool, take func(routing.SessionRow, []routing.Row)) {
	if r.session.ID != "" && ready() {
		r.mu.Lock()
		defer r.mu.Unlock()
		take(r.session, r.open)
	}
}

func (*router) TakenOver(routing.SessionID, uint64) {}
func (*router) Removed()                            {}

// The server is killed and comes back, with and without what it had, while replies
// are relayed: all arrive in the end, some perhaps twice, but for those that only the
// server had.
func TestServerRestarts(t *testing.T) {
	t.Parallel()
	for _, keep := range []string{"yes", "no"} {
		t.Run("appendonly "+keep, func(t *testing.T) {
			s := serve(t, "--appendonly", keep, "--appendfsync", "always")
			a := newTable(t, single(s.addr, 0), table.Options{Node: "a"})
			b := newTable(t, single(s.addr, 0), table.Options{Node: "b"})
			at, nobody := &router{session: routing.SessionRow{ID: "abcdefghijklmnopqrstuv", Epoch: 1}}, &router{}
			stop := runAll(t, map[*table.Redis]*router{a: at, b: nobody})
			defer stop()
			if err := await(t.Context(), func() bool { return a.Open(t.Context(), at.session) == nil }); err != nil {
				t.Fatal(err)
			}
			relayed := 0
			for relayed < 3000 {
				if relayed == 1000 || relayed == 2000 {
					s.kill()
					s.start(t)
				}
				relayed += relayAll(t, b, at.session, relayed, 20)
			}
			// Without a file, a kill takes what its inbox had: none of what came after the last.
			if err := await(t.Context(), func() bool { return at.got.Load() == 3000 || keep == "no" && at.hasAll(2000, 3000) }); err != nil {
				t.Fatalf("%v: %d of 3000 arrived", err, at.got.Load())
			}
		})
	}
}

// restored counts what a watcher hears.
type restored struct{ times, left atomic.Int64 }

func (r *restored) Restored() { r.times.Add(1) }
func (*restored) Changed()    {}
func (r *restored) Left(context.Context, []table.Departed) error {
	r.left.Add(1)
	return nil
}

// The server is restarted with all that it had: it may still have lost what was
// written last, and each node is told so.
func TestRestored(t *testing.T) {
	t.Parallel()
	s := serve(t, "--appendonly", "yes", "--appendfsync", "always")
	const lease = 1200 * time.Millisecond
	var heard [2]restored
	a := newTable(t, single(s.addr, 0), table.Options{Node: "a", Lease: lease, Watcher: &heard[0]})
	b := newTable(t, single(s.addr, 0), table.Options{Node: "b", Lease: lease, Watcher: &heard[1]})
	stop := runAll(t, map[*table.Redis]*router{a: {}, b: {}})
	defer stop()
	leased := func() bool { return a.Leased() && b.Leased() }
	if err := await(t.Context(), leased); err != nil {
		t.Fatal(err)
	}
	for round := range int64(2) {
		s.kill()
		s.start(t)
		told := func() bool { return heard[0].times.Load() == round+1 && heard[1].times.Load() == round+1 }
		if err := await(t.Context(), told); err != nil {
			t.Fatalf("round %d: told %d and %d times", round, heard[0].times.Load(), heard[1].times.Load())
		}
	}
	look := redis.NewClient(&redis.Options{Addr: s.addr})
	defer look.Close()
	ends := func(node string) float64 { return look.ZScore(t.Context(), "parley:nodes", node).Val() }
	endsA, endsB := ends("a"), ends("b")
	renewed := func() bool { // each has had its lease for so long that it may judge the other
		return ends("a")-endsA > float64(lease.Milliseconds()) && ends("b")-endsB > float64(lease.Milliseconds())
	}
	if err := await(t.Context(), renewed); err != nil {
		t.Fatal(err)
	}
	if heard[0].times.Load() != 2 || heard[0].left.Load()+heard[1].left.Load() != 0 {
		t.Errorf("told %d times, and of %d dead", heard[0].times.Load(), heard[0].left.Load()+heard[1].left.Load())
	}
}

// relayAll routes a few replies until all are relayed.
func relayAll(t *testing.T, b *table.Redis, s routing.SessionRow, from, n int) int {
	t.Helper()
	var replies []*routing.Reply
	for i := range n {
		replies = append(replies, &routing.Reply{ID: routing.RequestID(s.ID) + ".1", Final: true, From: routing.RecordAt{Topic: "t", Offset: int64(from + i)}})
	}
	for end := time.Now().Add(20 * time.Second); len(replies) > 0; {
		if time.Now().After(end) {
			t.Fatal("replies are not relayed")
		}
		verdicts := b.Route(t.Context(), replies)
		var again []*routing.Reply
		for i, v := range verdicts {
			switch {
			case v.Fate == routing.Failed, v.Fate == routing.Dropped: // the router waits for rows too
				again = append(again, replies[i])
			case v.Fate != routing.Relayed:
				t.Fatalf("fate %d", v.Fate)
			}
		}
		if replies = again; len(again) > 0 {
			time.Sleep(10 * time.Millisecond) // a real server that is away does not tell when it is back
		}
	}
	return n
}

func runAll(t *testing.T, nodes map[*table.Redis]*router) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, len(nodes))
	for n, to := range nodes {
		go func() { ended <- n.Run(ctx, to) }()
	}
	return func() {
		cancel()
		for range nodes {
			if err := <-ended; err != nil {
				t.Logf("leave: %v", err)
			}
		}
	}
}

func await(ctx context.Context, so func() bool) error {
	for end := time.Now().Add(10 * time.Second); !so(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) || ctx.Err() != nil {
			return fmt.Errorf("not in time")
		}
	}
	return nil
}
