package kafka

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"parley/routing"
)

// dated are numbered records with a time.
func dated(at time.Time, topic string, from, to int) []*kgo.Record {
	records := numbered(topic, 0, from, to)
	for _, r := range records {
		r.Timestamp = at
	}
	return records
}

// What came within a minute is delivered again, without waiting for anything
// else to come; the offset that was committed stays, and goes on only when all
// that came again is done.
func TestRewind(t *testing.T) {
	eachProtocol(t, func(t *testing.T, k *testKafka, o RepliesOptions) {
		o.Topic, o.Commit = k.topic(t, "replies", 2), 20*time.Millisecond
		k.write(t, dated(time.Now().Add(-10*time.Minute), o.Topic, 0, 5)...)
		k.write(t, dated(time.Now(), o.Topic, 5, 10)...)
		a, got := k.member(t, o, "a")
		all := func() []*routing.Reply { return of(0, got.all()) }
		until(t, "ten replies", got.news, func() bool { return len(all()) == 10 })
		settle(all()...)
		committed := func() int64 { return k.committed(t, o.Group, o.Topic, 0) }
		until(t, "the commit", nil, func() bool { return committed() == 10 })
		if err := a.Rewind(t.Context(), time.Minute); err != nil {
			t.Fatal(err)
		}
		until(t, "five again", got.news, func() bool { return len(all()) == 15 })
		if again := ids(all()[10:]); again[0] != "5" || again[4] != "9" {
			t.Errorf("came again: %v", again)
		}
		k.write(t, numbered(o.Topic, 0, 10, 11)...)
		until(t, "a new one", got.news, func() bool { return len(all()) == 16 })
		settle(all()[15])
		settle(all()[:10]...) // from before: they change nothing
		k.nextCommit(t, o, got, 1)
		if at := committed(); at != 10 {
			t.Errorf("committed %d, want 10", at)
		}
		if _, waiting, _ := a.Stats(); waiting != 6 {
			t.Errorf("%d wait, want 6", waiting)
		}
		settle(all()[10:]...)
		until(t, "the commit of the new one", nil, func() bool { return committed() == 11 })
		if n := len(all()); n != 16 {
			t.Errorf("%d deliveries", n)
		}
	})
}

// What is not done comes again however old it is, for the receipts that it had
// are void.
func TestRewindKeepsWhatIsNotDone(t *testing.T) {
	eachProtocol(t, func(t *testing.T, k *testKafka, o RepliesOptions) {
		o.Topic, o.Commit = k.topic(t, "replies", 1), 20*time.Millisecond
		k.write(t, dated(time.Now().Add(-10*time.Minute), o.Topic, 0, 10)...)
		a, got := k.member(t, o, "a")
		until(t, "ten replies", got.news, func() bool { return len(got.all()) == 10 })
		settle(got.all()[:4]...)
		settle(got.all()[8])
		if err := a.Rewind(t.Context(), time.Millisecond); err != nil {
			t.Fatal(err)
		}
		until(t, "six again", got.news, func() bool { return len(got.all()) == 16 })
		if first := got.all()[10].ID; first != "4" {
			t.Errorf("%s came again first", first)
		}
		settle(got.all()[:10]...)
		until(t, "the commit", nil, func() bool { return k.committed(t, o.Group, o.Topic, 0) == 4 })
		settle(got.all()[10:]...)
		until(t, "the rest", nil, func() bool { return k.committed(t, o.Group, o.Topic, 0) == 10 })
	})
}

// A partition that moves while everyone rewinds is rewound by whoever gets it.
func TestRewindFollowsPartitions(t *testing.T) {
	eachProtocol(t, func(t *testing.T, k *testKafka, o RepliesOptions) {
		o.Topic, o.Commit = k.topic(t, "replies", 1), 20*time.Millisecond
		k.write(t, numbered(o.Topic, 0, 0, 5)...)
		a, got := k.member(t, o, "a")
		until(t, "five replies", got.news, func() bool { return len(got.all()) == 5 })
		settle(got.all()...)
		until(t, "the commit", nil, func() bool { return k.committed(t, o.Group, o.Topic, 0) == 5 })
		b, next := k.member(t, o, "b")
		until(t, "b's membership", next.news, func() bool { return b.Assigned() && next.owned() == 0 })
		if err := b.Rewind(t.Context(), time.Minute); err != nil { // it owns nothing
			t.Fatal(err)
		}
		a.stop()
		b.Nudge()
		until(t, "the five at b", next.news, func() bool { return len(next.all()) >= 5 })
		if first := next.all()[0].ID; first != "0" {
			t.Errorf("began at %s", first)
		}
		settle(next.all()...)
		if at := k.committed(t, o.Group, o.Topic, 0); at != 5 {
			t.Errorf("committed %d", at)
		}
	})
}

// Nodes come and go and rewind while replies come and are done in any order: each
// is delivered, committed offsets never fall, and in the end all is committed.
func TestRewindAmongRebalances(t *testing.T) {
	alongside(t)
	eachProtocol(t, func(t *testing.T, k *testKafka, o RepliesOptions) {
		const partitions = 4
		o.Topic, o.Commit, o.ShutdownWait = k.topic(t, "replies", partitions), 10*time.Millisecond, 20*time.Millisecond
		f, seen := &fleet{}, &settler{seen: make(map[routing.RecordAt]bool)}
		join := func(node routing.NodeID) *started {
			o.Node, o.Boot, o.Sink, o.Tell = node, unique(), seen, f.tell
			m := k.start(t, o)
			f.mu.Lock()
			f.members = append(f.members, m.Replies)
			f.mu.Unlock()
			return m
		}
		a := join("a")
		until(t, "a's assignment", nil, a.Assigned)
		floor := k.watchCommits(t, o)
		n := 0
		stop := make(chan struct{})
		var writing sync.WaitGroup
		writing.Go(func() {
			for ; ; n++ {
				select {
				case <-stop:
					return
				case <-time.After(2 * time.Millisecond):
					k.write(t, numbered(o.Topic, int32(n%partitions), n, n+1)...)
				}
			}
		})
		rewind := func(m *started) {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			if err := m.Rewind(ctx, 300*time.Millisecond); err != nil {
				t.Error(err)
			}
		}
		for round := range 5 {
			b := join(routing.NodeID(fmt.Sprint("b", round)))
			until(t, "b's assignment", nil, b.Assigned)
			for _, m := range []*started{a, b} {
				rewind(m)
			}
			seen.more(t, rand.IntN(15))
			b.stop()
			rewind(a)
			seen.more(t, rand.IntN(15))
		}
		close(stop)
		writing.Wait()
		seen.now()
		for p := range int32(partitions) {
			want := int64((n + partitions - 1 - int(p)) / partitions)
			until(t, "the last commit", nil, func() bool { return k.committed(t, o.Group, o.Topic, p) == want })
			for offset := range want {
				if !seen.has(routing.RecordAt{Topic: o.Topic, Partition: p, Offset: offset}) {
					t.Errorf("%d of partition %d was never delivered", offset, p)
				}
			}
		}
		floor()
	})
}

// watchCommits fails the test when a committed offset falls. The function that
// it answers ends it.
func (k *testKafka) watchCommits(t *testing.T, o RepliesOptions) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		highest := make(map[int32]int64)
		look := time.NewTicker(10 * time.Millisecond) // nothing tells of a commit
		defer look.Stop()
		for ctx.Err() == nil {
			for p := range int32(4) {
				at := k.committed(t, o.Group, o.Topic, p)
				if at >= 0 && at < highest[p] {
					t.Errorf("partition %d: committed %d after %d", p, at, highest[p])
				}
				highest[p] = max(at, highest[p])
			}
			select {
			case <-look.C:
			case <-ctx.Done():
			}
		}
	})
	return func() { cancel(); running.Wait() }
}

// settler is a Sink that settles replies some time later, in any order.
type settler struct {
	mu     sync.Mutex
	seen   map[routing.RecordAt]bool
	atOnce bool
	late   []*routing.Reply
}

func (s *settler) SetHomes(*routing.Homes) {}

func (s *settler) Deliver(_ context.Context, replies []*routing.Reply) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range replies {
		s.seen[r.From] = true
		if s.late = append(s.late, r); !s.atOnce && len(s.late) < 40 {
			continue
		}
		i := rand.IntN(len(s.late))
		settle(s.late[i])
		s.late[i] = s.late[len(s.late)-1]
		s.late = s.late[:len(s.late)-1]
	}
}

// more waits until so many have come that had not come before.
func (s *settler) more(t *testing.T, n int) {
	t.Helper()
	n += s.count()
	until(t, "more replies", nil, func() bool { return s.count() >= n })
}

func (s *settler) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.seen)
}

// now settles all, and from now on at once.
func (s *settler) now() {
	s.mu.Lock()
	defer s.mu.Unlock()
	settle(s.late...)
	s.late, s.atOnce = nil, true
}

func (s *settler) has(at routing.RecordAt) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen[at]
}
