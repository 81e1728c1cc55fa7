package kafka

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"parley/routing"
)

// fleet are the nodes of a gateway, which tell each other when to nudge.
type fleet struct {
	mu      sync.Mutex
	members []*Replies
	silent  bool // nobody is told anything
}

func (f *fleet) tell() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range f.members {
		if !f.silent {
			r.Nudge()
		}
	}
}

// is makes these the nodes that hear each other.
func (f *fleet) is(members ...*started) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.members = nil
	for _, m := range members {
		f.members = append(f.members, m.Replies)
	}
}

// clock is a Sink that settles what it gets at once, and remembers when each
// partition had its replies.
type clock struct {
	*heap
	at map[int32][]time.Time
}

func newClock() *clock { return &clock{newHeap(), make(map[int32][]time.Time)} }

func (c *clock) Deliver(_ context.Context, replies []*routing.Reply) {
	now := time.Now()
	c.mu.Lock()
	for _, r := range replies {
		c.at[r.From.Partition] = append(c.at[r.From.Partition], now)
	}
	c.mu.Unlock()
	settle(replies...)
	c.tell()
}

// times are when a partition's replies came here.
func (c *clock) times(partition int32) []time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.at[partition])
}

// mains is the power supply of a node: once cut, its connections are closed and
// it gets no new ones.
type mains struct {
	mu    sync.Mutex
	off   bool
	conns []net.Conn
}

func (m *mains) dial(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.off {
		_ = c.Close()
		return nil, errors.New("the power is off")
	}
	m.conns = append(m.conns, c)
	return c, nil
}

func (m *mains) cut() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.off = true
	for _, c := range m.conns {
		_ = c.Close()
	}
}

// join adds a node to the fleet.
func (f *fleet) join(t *testing.T, k *testKafka, o RepliesOptions, node routing.NodeID) (*started, *clock, *mains) {
	t.Helper()
	at, power := newClock(), &mains{}
	wired := *k
	wired.dial = power.dial
	o.Node, o.Boot, o.Sink, o.Tell = node, unique(), at, f.tell
	o.ShutdownWait = 10 * time.Millisecond
	m := wired.start(t, o)
	f.mu.Lock()
	f.members = append(f.members, m.Replies)
	f.mu.Unlock()
	return m, at, power
}

// share waits until each node owns this many partitions.
func share(t *testing.T, each int, of ...*clock) {
	t.Helper()
	for i, c := range of {
		until(t, fmt.Sprintf("node %d's share", i), c.news, func() bool { return c.owned() == each })
	}
}

// A node dies without a word. Its lease says so, a survivor removes it, and its
// partitions' replies flow again.
func TestFailover(t *testing.T) {
	eachProtocol(t, func(t *testing.T, k *testKafka, o RepliesOptions) {
		rounds := 5
		if k.fake != nil {
			rounds = 1
		}
		for round := range rounds {
			failOver(t, k, o, round)
		}
	})
}

func failOver(t *testing.T, k *testKafka, o RepliesOptions, round int) {
	const partitions = 12
	o.Topic, o.Group = k.topic(t, fmt.Sprint("replies-", round), partitions), fmt.Sprint(o.Group, round)
	f := &fleet{}
	a, atA, _ := f.join(t, k, o, "a")
	b, atB, _ := f.join(t, k, o, "b")
	c, atC, power := f.join(t, k, o, "c")
	share(t, partitions/3, atA, atB, atC)
	dead := c.partitions()
	for p := range int32(partitions) { // everyone reads
		k.write(t, numbered(o.Topic, p, 0, 1)...)
	}
	until(t, "c's replies", atC.news, func() bool { return len(atC.times(dead[0])) > 0 })
	lease := Member{ClientID: c.ClientID(), ID: c.MemberID()}
	power.cut()
	for _, p := range dead {
		k.write(t, numbered(o.Topic, p, 1, 2)...)
	}
	begin := time.Now()
	if err := a.RemoveMembers(t.Context(), []Member{lease}); err != nil {
		t.Fatal(err)
	}
	removed := time.Since(begin)
	f.tell()
	first, last := time.Hour, time.Duration(0)
	for _, p := range dead {
		until(t, "a reply of the dead node's", nil, func() bool { return len(atA.times(p))+len(atB.times(p)) > 0 })
		at := append(atA.times(p), atB.times(p)...)[0].Sub(begin)
		first, last = min(first, at), max(last, at)
	}
	t.Logf("%s: removed in %v; replies of the dead node's partitions after %v (first) to %v (last)", o.Protocol,
		removed.Round(time.Microsecond), first.Round(time.Microsecond), last.Round(time.Microsecond))
	if last > 2*time.Second {
		t.Errorf("took %v", last)
	}
	for _, m := range []*started{a, b, c} {
		m.stop()
	}
}

// partitions are what a node owns.
func (s *started) partitions() []int32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(func(yield func(int32) bool) {
		for at := range s.owned {
			if !yield(at.id) {
				return
			}
		}
	})
}

// A node joins, and one leaves: how long the partitions that move stand still.
func TestJoinPause(t *testing.T) {
	eachProtocol(t, func(t *testing.T, k *testKafka, o RepliesOptions) {
		group := o.Group
		for _, silent := range []bool{false, true} {
			o.Topic, o.Group = k.topic(t, fmt.Sprint("replies-", silent), 12), fmt.Sprint(group, silent)
			pauses(t, k, o, silent)
		}
	})
}

func pauses(t *testing.T, k *testKafka, o RepliesOptions, silent bool) {
	f := &fleet{silent: silent}
	a, atA, _ := f.join(t, k, o, "a")
	share(t, 12, atA)
	stop := k.stream(t, o.Topic, 12)
	flowing(t, atA, a.partitions())
	b, atB, _ := f.join(t, k, o, "b")
	share(t, 6, atA, atB)
	moved := b.partitions()
	joined := gap(t, moved, atA, atB)
	flowing(t, atB, moved)
	b.stop()
	share(t, 12, atA)
	left := gap(t, moved, atB, atA)
	stop()
	a.stop()
	t.Logf("%s, nudges: %v: partitions that moved stood still for %v at a join, %v at a leave", o.Protocol, !silent, joined, left)
	if limit := 2 * time.Second; !silent && (joined > limit || left > limit) {
		t.Errorf("stood still for %v and %v", joined, left)
	}
}

// flowing waits until each partition has had some replies.
func flowing(t *testing.T, at *clock, partitions []int32) {
	t.Helper()
	for _, p := range partitions {
		until(t, "replies", at.news, func() bool { return len(at.times(p)) > 20 })
	}
}

// stream writes a record to each partition every few milliseconds until it is
// stopped.
func (k *testKafka) stream(t *testing.T, topic string, partitions int32) (stop func()) {
	c := k.kgo(t, kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0))
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		tick := time.NewTicker(3 * time.Millisecond)
		defer tick.Stop()
		for ; ctx.Err() == nil; <-tick.C {
			for p := range partitions {
				c.Produce(ctx, &kgo.Record{Topic: topic, Partition: p, Key: []byte("1")}, nil)
			}
		}
	})
	return func() { cancel(); running.Wait() }
}

// gap is the longest time in which partitions that moved had no reply.
func gap(t *testing.T, moved []int32, from, to *clock) (longest time.Duration) {
	t.Helper()
	for _, p := range moved {
		before := from.times(p)
		last := before[len(before)-1]
		after := func() (at time.Time) {
			for _, a := range to.times(p) {
				if a.After(last) {
					return a
				}
			}
			return at
		}
		until(t, "a reply at the new owner", nil, func() bool { return !after().IsZero() })
		longest = max(longest, after().Sub(last))
	}
	return longest.Round(100 * time.Microsecond)
}

// A member is removed by its id, by its client id, and by an id that it had; one
// that is not there is no error, again and again.
func TestRemoveMembers(t *testing.T) {
	eachProtocol(t, func(t *testing.T, k *testKafka, o RepliesOptions) {
		o.Topic = k.topic(t, "replies", 4)
		f := &fleet{}
		remove := func(members ...Member) {
			t.Helper()
			if err := RemoveMembers(t.Context(), k.Config, o.Group, o.Protocol, members); err != nil {
				t.Error(err)
			}
		}
		remove(Member{ID: "nobody"}, Member{ClientID: "nobody"}) // nor is there a group
		a, atA, _ := f.join(t, k, o, "a")
		_, atB, cutB := f.join(t, k, o, "b")
		_, atC, cutC := f.join(t, k, o, "c")
		until(t, "three nodes", nil, func() bool { return atA.owned()+atB.owned()+atC.owned() == 4 && atB.owned() > 0 && atC.owned() > 0 })
		f.mu.Lock()
		b, c := f.members[1], f.members[2]
		f.mu.Unlock()
		if got := k.clients(t, o); len(got) != 3 {
			t.Fatalf("members %v", got)
		}
		cutB.cut()
		cutC.cut()
		remove(Member{ClientID: b.ClientID(), ID: "former"}, Member{ClientID: c.ClientID()}, Member{ID: "nobody"})
		if got := k.clients(t, o); len(got) != 1 || got[0] != a.ClientID() {
			t.Errorf("members %v", got)
		}
		f.tell()
		share(t, 4, atA)
		remove(Member{ClientID: b.ClientID(), ID: "former"}, Member{ClientID: c.ClientID()}, Member{ID: "nobody"})
		remove()
		former := a.MemberID()
		remove(Member{ID: former}) // a is alive
		a.Nudge()
		until(t, "a's return", atA.news, func() bool { return a.MemberID() != former && a.MemberID() != "" })
		share(t, 4, atA)
	})
}

// clients are the client ids of a group's members.
func (k *testKafka) clients(t *testing.T, o RepliesOptions) (ids []string) {
	t.Helper()
	admin := kadm.NewClient(k.kgo(t))
	if o.Protocol == Consumer {
		groups, err := admin.DescribeConsumerGroups(t.Context(), o.Group)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range groups[o.Group].Members {
			ids = append(ids, m.ClientID)
		}
		return ids
	}
	groups, err := admin.DescribeGroups(t.Context(), o.Group)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range groups[o.Group].Members {
		ids = append(ids, m.ClientID)
	}
	return ids
}

// A removal says so when Kafka cannot be asked.
func TestRemoveWithoutKafka(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	err := RemoveMembers(ctx, Config{Brokers: []string{fmt.Sprintf("127.0.0.1:%d", freePort(t))}}, "g", Classic, []Member{{ID: "x"}})
	if err == nil || !strings.Contains(err.Error(), "group g") {
		t.Errorf("got %v", err)
	}
	if err := RemoveMembers(ctx, Config{}, "g", Classic, []Member{{ID: "x"}}); err == nil {
		t.Error("no brokers, no error")
	}
}

// A node that was removed while it slept, and joins again, neither sets back nor
// advances the offset of a partition that another node owns by now, whatever
// of it was done and not committed when it fell asleep.
func TestRemovedNodeDoesNotCommit(t *testing.T) {
	alongside(t)
	for _, c := range []struct {
		name        string
		done, later int // by the removed node; by the new owner
		want        int64
	}{{"back", 3, 10, 10}, {"ahead", 10, 0, -1}, {"some way", 7, 4, 4}} {
		t.Run(c.name, func(t *testing.T) {
			alongside(t)
			eachProtocol(t, func(t *testing.T, k *testKafka, o RepliesOptions) {
				o.Topic, o.ShutdownWait = k.topic(t, "replies", 2), 10*time.Millisecond
				f := &fleet{}
				sleepy := o
				// It hears of its removal when it joins again, not before.
				sleepy.Heartbeat, sleepy.Session, sleepy.Commit, sleepy.Tell = 10*time.Second, 20*time.Second, time.Hour, f.tell
				o.Commit, o.Tell = 20*time.Millisecond, f.tell
				watched, seen := k.seen()
				a, atA := watched.member(t, sleepy, "a")
				b, atB := k.member(t, o, "b")
				f.is(a, b)
				until(t, "a share each", nil, func() bool {
					if atA.owned() == 2 { // b came before f knew of both
						f.tell()
					}
					return atA.owned() == 1 && atB.owned() == 1
				})
				f.is(b)
				until(t, "a's silence", nil, seen.quiet)
				p := a.partitions()[0]
				k.write(t, numbered(o.Topic, p, 0, 10)...)
				until(t, "ten replies", atA.news, func() bool { return len(atA.all()) == 10 })
				settle(atA.all()[:c.done]...)
				former := a.MemberID()
				if err := b.RemoveMembers(t.Context(), []Member{{ClientID: a.ClientID(), ID: former}}); err != nil {
					t.Fatal(err)
				}
				until(t, "the ten at b", atB.news, func() bool { return len(atB.all()) == 10 })
				settle(atB.all()[:c.later]...)
				until(t, "b's commit", nil, func() bool { return k.committed(t, o.Group, o.Topic, p) == c.want })
				f.is(a, b)
				f.tell()
				until(t, "a's return", nil, func() bool {
					if at := k.committed(t, o.Group, o.Topic, p); at != c.want {
						t.Fatalf("committed %d, want %d", at, c.want)
					}
					return a.MemberID() != former && a.MemberID() != "" && atA.owned() == 1 && atB.owned() == 1
				})
				a.stop()
				b.stop()
				if at := k.committed(t, o.Group, o.Topic, p); at != c.want {
					t.Errorf("committed %d, want %d", at, c.want)
				}
			})
		})
	}
}

// A node was removed by mistake, another committed in its place and went away, and
// the node came back to the partition that it had never let go: it commits again,
// and nothing below what the other had committed.
func TestKeptPartition(t *testing.T) {
	alongside(t)
	eachProtocol(t, func(t *testing.T, k *testKafka, o RepliesOptions) {
		o.Topic, o.Commit, o.ShutdownWait = k.topic(t, "replies", 2), 20*time.Millisecond, 10*time.Millisecond
		o.Heartbeat, o.Session = 10*time.Second, 20*time.Second
		watched, seen := k.seen()
		a, got := watched.member(t, o, "a")
		all := func() []*routing.Reply { return of(0, got.all()) }
		k.write(t, numbered(o.Topic, 0, 0, 10)...)
		until(t, "ten replies", got.news, func() bool { return len(all()) == 10 })
		settle(all()[:3]...)
		committed := func() int64 { return k.committed(t, o.Group, o.Topic, 0) }
		until(t, "the commit", nil, func() bool { return committed() == 3 })
		until(t, "a's silence", nil, seen.quiet)
		former := a.MemberID()
		if err := RemoveMembers(t.Context(), k.Config, o.Group, o.Protocol, []Member{{ID: former}}); err != nil {
			t.Fatal(err)
		}
		other := make(kadm.Offsets)
		other.AddOffset(o.Topic, 0, 8, -1)
		if _, err := kadm.NewClient(k.kgo(t)).CommitOffsets(t.Context(), o.Group, other); err != nil {
			t.Fatal(err)
		}
		a.Nudge()
		until(t, "a's return", got.news, func() bool { return a.MemberID() != former && a.MemberID() != "" && got.owned() == 2 })
		settle(all()[:5]...)
		k.nextCommit(t, o, got, 1)
		if at := committed(); at != 8 {
			t.Errorf("committed %d, want 8", at)
		}
		until(t, "the commit of all", got.news, func() bool { settle(all()...); return committed() == 10 })
	})
}

// A node without a client answers what it can.
func TestNotRunning(t *testing.T) {
	r, err := NewReplies(Config{}, RepliesOptions{Topic: "t", Group: "g", Sink: newHeap()})
	if err != nil {
		t.Fatal(err)
	}
	r.Nudge()
	r.Nudge()
	r.Wait("t", 1, true)
	if r.MemberID() != "" {
		t.Error("a member of what?")
	}
	if err := r.Rewind(t.Context(), time.Second); err == nil {
		t.Error("rewound nothing")
	}
}

// watcher counts the clients that it is a hook of.
type watcher int

func (w *watcher) OnNewClient(*kgo.Client) { *w++ }

// A node finds a peer dead before its own client is there: the client of the
// moment, which removes the peer, is not one that the node's metrics watch, as
// they can watch one alone.
func TestRemovalBeforeTheClientIsThere(t *testing.T) {
	k := newFake(t)
	var seen watcher
	k.Hooks = []kgo.Hook{&seen}
	r, err := NewReplies(k.Config, RepliesOptions{Topic: "t", Group: "g", Protocol: "classic", Node: "a", Sink: newHeap()})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.RemoveMembers(t.Context(), []Member{{ID: "m", ClientID: "b-1"}}); err != nil {
		t.Error(err)
	}
	if seen > 0 {
		t.Error("the metrics watch the client of the moment")
	}
}
