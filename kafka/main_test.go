package kafka

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"log/slog"
	"net"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/goleak"

	"parley/routing"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// testKafka is a cluster for one test: the real one that PARLEY_TEST_KAFKA
// names, else one in this process.
type testKafka struct {
	Config
	fake *kfake.Cluster // nil for a real one
	name string         // makes names that no other test uses
}

func newKafka(t *testing.T) *testKafka {
	t.Helper()
	if addr := os.Getenv("PARLEY_TEST_KAFKA"); addr != "" {
		return &testKafka{Config: Config{Brokers: []string{addr}, Log: testLog(t)}, name: unique()}
	}
	return newFake(t)
}

// alongside lets a test that mostly waits do so beside others, where the Kafka that it
// troubles is its own.
func alongside(t *testing.T) {
	if os.Getenv("PARLEY_TEST_KAFKA") == "" {
		t.Parallel()
	}
}

// newFake is for tests that break the cluster.
func newFake(t *testing.T, opts ...kfake.Opt) *testKafka {
	t.Helper()
	c, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(1), kfake.GroupMinSessionTimeout(time.Second)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return &testKafka{Config: Config{Brokers: c.ListenAddrs(), Log: testLog(t)}, fake: c, name: unique()}
}

func unique() string {
	var b [6]byte
	_, _ = rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

func testLog(t *testing.T) *slog.Logger {
	if testing.Verbose() {
		return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelInfo}))
	}
	return slog.New(slog.DiscardHandler)
}

// topic makes a topic and answers its name.
func (k *testKafka) topic(t *testing.T, name string, partitions int32) string {
	t.Helper()
	name += "-" + k.name
	if _, err := EnsureTopics(t.Context(), k.Config, true, []Topic{{Name: name, Partitions: partitions, RecordBytes: 2 << 20}}); err != nil {
		t.Fatal(err)
	}
	return name
}

// kgo is a client that knows nothing of this package.
func (k *testKafka) kgo(t *testing.T, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	c, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(k.Brokers...), kgo.ProducerBatchMaxBytes(2 << 20)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// write puts records into Kafka and waits for them.
func (k *testKafka) write(t *testing.T, records ...*kgo.Record) {
	t.Helper()
	c := k.kgo(t, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err := c.ProduceSync(t.Context(), records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

// committed answers the offset that a group has committed, -1 for none.
func (k *testKafka) committed(t *testing.T, group, topic string, partition int32) int64 {
	t.Helper()
	offsets, err := kadm.NewClient(k.kgo(t)).FetchOffsets(t.Context(), group)
	if err != nil {
		return -1
	}
	at, ok := offsets.Lookup(topic, partition)
	if !ok {
		return -1
	}
	return at.At
}

// nextCommit waits for a commit that begins later than now: that of a record of its own in
// a partition that has nothing else out. A node commits all that is done in its partitions
// at once, so whatever was due elsewhere is committed too.
func (k *testKafka) nextCommit(t *testing.T, o RepliesOptions, got *heap, spare int32) {
	t.Helper()
	n := len(of(spare, got.all()))
	k.write(t, numbered(o.Topic, spare, n, n+1)...)
	until(t, "a record more", got.news, func() bool { return len(of(spare, got.all())) == n+1 })
	settle(of(spare, got.all())...)
	until(t, "its commit", nil, func() bool { return k.committed(t, o.Group, o.Topic, spare) == int64(n+1) })
}

// traffic is what a client has to do with its brokers. It is a hook of the client.
type traffic struct {
	mu      sync.Mutex
	answers map[int16]int // by the key of what was asked
	refused int           // connections that could not be made
	lost    chan struct{} // has room for one: a connection has ended
	group   struct {
		open int // requests without an answer
		last time.Time
	}
}

// seen is the same Kafka for one client, whose traffic it answers.
func (k *testKafka) seen() (*testKafka, *traffic) {
	traffic, same := &traffic{answers: make(map[int16]int), lost: make(chan struct{}, 1)}, *k
	same.Hooks = []kgo.Hook{traffic}
	return &same, traffic
}

// talk are the requests by which a member and its group tell each other the news.
var talk = []kmsg.Key{kmsg.JoinGroup, kmsg.SyncGroup, kmsg.Heartbeat, kmsg.ConsumerGroupHeartbeat}

func (c *traffic) passedLocked(key int16, open int) {
	if slices.Contains(talk, kmsg.Key(key)) {
		c.group.open += open
		c.group.last = time.Now()
	}
}

func (c *traffic) OnBrokerConnect(_ kgo.BrokerMetadata, _ time.Duration, _ net.Conn, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		c.refused++
	}
}

func (c *traffic) OnBrokerDisconnect(kgo.BrokerMetadata, net.Conn) {
	select {
	case c.lost <- struct{}{}:
	default:
	}
}

func (c *traffic) OnBrokerWrite(_ kgo.BrokerMetadata, key int16, _ int, _, _ time.Duration, _ error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.passedLocked(key, 1)
}

func (c *traffic) OnBrokerRead(_ kgo.BrokerMetadata, key int16, _ int, _, _ time.Duration, _ error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answers[key]++
	c.passedLocked(key, -1)
}

// answered counts what was asked and has an answer.
func (c *traffic) answered(key kmsg.Key) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.answers[key.Int16()]
}

// refusals counts connections that could not be made.
func (c *traffic) refusals() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.refused
}

// quiet tells whether the client is done with its group for now: the pauses between the
// echoes of a nudge, and the one before a new member's early heartbeat, are shorter than
// its silence. Nothing else tells that none is to come.
func (c *traffic) quiet() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.group.open == 0 && !c.group.last.IsZero() && time.Since(c.group.last) > 600*time.Millisecond
}

// alone is a Table of a cluster of one: strangers are remembered and dropped.
type alone struct{ routing.Table }

func (alone) Open(context.Context, routing.SessionRow) error { return nil }
func (alone) Announce(routing.SessionRow)                    {}
func (alone) End(routing.SessionID)                          {}
func (alone) CatchUp(context.Context) bool                   { return true }
func (alone) Claim(routing.Row, routing.Claimed) bool        { return false }
func (alone) Release(routing.SessionID, uint64)              {}
func (alone) Fenced(time.Time) bool                          { return false }
func (alone) Route(_ context.Context, replies []*routing.Reply) []routing.Verdict {
	verdicts := make([]routing.Verdict, len(replies))
	for i := range verdicts {
		verdicts[i] = routing.Verdict{Fate: routing.Dropped, Drop: routing.DropLate}
	}
	return verdicts
}

// caller is a routing.Sink that hands on what it gets.
type caller struct {
	accepted chan routing.RequestID
	got      chan routing.Delivery
}

func newCaller() *caller {
	return &caller{make(chan routing.RequestID, 10_000), make(chan routing.Delivery, 10_000)}
}

func (c *caller) Accepted(_ string, id routing.RequestID) { c.accepted <- id }
func (c *caller) Deliver(d routing.Delivery)              { c.got <- d }
func (c *caller) Leave(routing.Leaving)                   {}

// heap is a Sink of this package that keeps what it gets until it is told to
// settle it.
type heap struct {
	mu      sync.Mutex
	replies []*routing.Reply
	homes   *routing.Homes
	news    chan struct{} // told, without waiting, of each delivery and of each SetHomes

	caughtUp atomic.Int32
}

func newHeap() *heap { return &heap{news: make(chan struct{}, 1)} }

func (h *heap) Deliver(_ context.Context, replies []*routing.Reply) {
	h.mu.Lock()
	h.replies = append(h.replies, replies...)
	h.mu.Unlock()
	h.tell()
}

func (h *heap) CatchUp(context.Context) { h.caughtUp.Add(1) }

func (h *heap) SetHomes(homes *routing.Homes) {
	h.mu.Lock()
	h.homes = homes
	h.mu.Unlock()
	h.tell()
}

func (h *heap) tell() {
	select {
	case h.news <- struct{}{}:
	default:
	}
}

func (h *heap) all() []*routing.Reply {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.replies)
}

func (h *heap) owned() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.homes == nil {
		return -1
	}
	return h.homes.Owned()
}

// until waits until cond holds, which news may have changed.
func until(t *testing.T, what string, news <-chan struct{}, cond func() bool) {
	t.Helper()
	give := time.After(30 * time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-news:
		case <-tick.C:
		case <-give:
			t.Fatalf("%s: never", what)
		}
	}
}

// receive waits for one value.
func receive[T any](t *testing.T, what string, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(30 * time.Second):
		t.Fatalf("%s: never", what)
		panic("unreachable")
	}
}

// started is a member of a group that runs.
type started struct {
	*Replies
	stop func()
}

// start runs a member until the test ends, or it is stopped.
func (k *testKafka) start(t *testing.T, o RepliesOptions) *started {
	t.Helper()
	r, err := NewReplies(k.Config, o)
	if err != nil {
		t.Fatal(err)
	}
	return &started{r, run(t, r.Run)}
}

// run runs a loop until the test ends, or it is stopped, which waits for its end.
func run(t *testing.T, loop func(context.Context) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := loop(ctx); err != nil {
			t.Errorf("Run: %v", err)
		}
	}()
	stop = sync.OnceFunc(func() { cancel(); <-ended })
	t.Cleanup(stop)
	return stop
}

// read polls one record.
func read(t *testing.T, c *kgo.Client) *kgo.Record {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for {
		fetches := c.PollRecords(ctx, 1)
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		if records := fetches.Records(); len(records) > 0 {
			return records[0]
		}
	}
}
