package kafka

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"parley/routing"
)

// eachProtocol runs a test under both ways of sharing out partitions.
func eachProtocol(t *testing.T, test func(t *testing.T, k *testKafka, o RepliesOptions)) {
	for _, protocol := range []string{Classic, Consumer} {
		t.Run(protocol, func(t *testing.T) {
			k := newKafka(t)
			test(t, k, RepliesOptions{Group: "parley-" + k.name, Protocol: protocol, Node: "a", Session: 6 * time.Second})
		})
	}
}

// member runs a member with a heap of its own.
func (k *testKafka) member(t *testing.T, o RepliesOptions, node routing.NodeID) (*started, *heap) {
	t.Helper()
	h := newHeap()
	o.Node, o.Boot, o.Sink = node, unique(), h
	return k.start(t, o), h
}

// numbered are records to partition p whose keys are numbers.
func numbered(topic string, p int32, from, to int) (records []*kgo.Record) {
	for n := from; n < to; n++ {
		records = append(records, &kgo.Record{Topic: topic, Partition: p, Key: []byte(strconv.Itoa(n))})
	}
	return records
}

func ids(replies []*routing.Reply) (all []string) {
	for _, r := range replies {
		all = append(all, string(r.ID))
	}
	return all
}

func settle(replies ...*routing.Reply) {
	for _, r := range replies {
		r.Receipt.Done(r.Token)
	}
}

// answer is a service: for each request it makes the replies that its body
// names, until the test ends.
func (k *testKafka) answer(t *testing.T, topic, replyTopic string) {
	in := k.kgo(t, kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxWait(100*time.Millisecond))
	byHeader := k.kgo(t, kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0))
	byKey := k.kgo(t, kgo.ProducerLinger(0))
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		for ctx.Err() == nil {
			in.PollFetches(ctx).EachRecord(func(r *kgo.Record) {
				id, partition := headerOf(r, RequestIDHeader), headerOf(r, ReplyPartitionHeader)
				reply := &kgo.Record{Topic: replyTopic, Value: r.Value}
				switch string(r.Value) {
				case "key":
					reply.Key = []byte(id)
					byKey.Produce(ctx, reply, nil)
				case "parts":
					for _, final := range []string{"false", "false", "true"} {
						byKey.Produce(ctx, &kgo.Record{Topic: replyTopic, Key: []byte(id), Headers: headers(FinalHeader, final)}, nil)
					}
				case "error":
					reply.Key, reply.Headers = []byte(id), headers(ErrorCodeHeader, "sold_out")
					byKey.Produce(ctx, reply, nil)
				default:
					n, _ := strconv.Atoi(partition)
					reply.Partition, reply.Headers = int32(n), headers(RequestIDHeader, id)
					byHeader.Produce(ctx, reply, nil)
				}
			})
		}
	})
	t.Cleanup(func() { cancel(); running.Wait() })
}

func headerOf(r *kgo.Record, key string) string {
	for _, h := range r.Headers {
		if h.Key == key {
			return string(h.Value)
		}
	}
	return ""
}

// A request goes to its service and its answer comes back, named by a header or
// by the key, whole or in parts, good or bad; and then it is committed.
func TestRoundTrip(t *testing.T) {
	eachProtocol(t, func(t *testing.T, k *testKafka, o RepliesOptions) {
		requests, replies := k.topic(t, "orders", 2), k.topic(t, "replies", 6)
		b := k.bench(t, requests, ProducerOptions{})
		k.answer(t, requests, replies)
		o.Topic, o.Sink = replies, b.router
		m := k.start(t, o)
		until(t, "assignment", nil, func() bool { return m.Assigned() && b.router.Homes() != nil && b.router.Homes().Owned() == 6 })
		for range 3 {
			for _, c := range []struct {
				body  string
				parts int
				word  routing.Word
			}{{"header", 0, ""}, {"key", 0, ""}, {"parts", 2, ""}, {"error", 0, routing.FromService}} {
				id := b.call(t, routing.Call{Body: []byte(c.body)})
				for range c.parts {
					if d := receive(t, "a part", b.got); !d.Part || d.ID != id {
						t.Errorf("%s: got %+v", c.body, d)
					}
				}
				d := receive(t, "the outcome", b.got)
				if d.ID != id || d.Part || d.N != c.parts || (d.Err != nil) != (c.word != "") {
					t.Errorf("%s: got %+v, %v", c.body, d, d.Err)
				}
				if d.Reply.ConsumedBy != "a" || d.Reply.Consumed.IsZero() {
					t.Errorf("%s: got %+v", c.body, d.Reply)
				}
				b.session.Wrote(b.caller, d.Seq)
			}
		}
		m.stop()
		total := int64(0)
		for p := range int32(6) {
			total += max(0, k.committed(t, o.Group, replies, p))
		}
		if total != 18 {
			t.Errorf("%d replies committed, want 18", total)
		}
	})
}

// Only what is done is committed, and only up to the first that is not: the
// next member reads the rest again.
func TestCommitsOnlyWhatIsDone(t *testing.T) {
	alongside(t)
	eachProtocol(t, func(t *testing.T, k *testKafka, o RepliesOptions) {
		o.Topic, o.ShutdownWait = k.topic(t, "replies", 1), 10*time.Millisecond
		k.write(t, numbered(o.Topic, 0, 0, 10)...)
		a, got := k.member(t, o, "a")
		until(t, "ten replies", got.news, func() bool { return len(got.all()) == 10 })
		all := got.all()
		settle(all[:4]...)
		settle(all[5], all[9])
		until(t, "the commit", nil, func() bool { return k.committed(t, o.Group, o.Topic, 0) == 4 })
		if owned, waiting, oldest := a.Stats(); owned != 1 || waiting != 6 || oldest <= 0 {
			t.Errorf("owned %d, waiting %d, oldest %v", owned, waiting, oldest)
		}
		a.stop()
		if at := k.committed(t, o.Group, o.Topic, 0); at != 4 {
			t.Errorf("committed %d, want 4", at)
		}
		if got.owned() != 0 {
			t.Errorf("still owns %d", got.owned())
		}
		b, again := k.member(t, o, "b")
		until(t, "the rest", again.news, func() bool { return len(again.all()) == 6 })
		if first := again.all()[0].ID; first != "4" {
			t.Errorf("began at %s", first)
		}
		settle(all[4:]...) // receipts of a former owner
		settle(again.all()...)
		b.stop()
		if at := k.committed(t, o.Group, o.Topic, 0); at != 10 {
			t.Errorf("committed %d, want 10", at)
		}
	})
}

// A second member takes half of the partitions while replies are out: none is
// lost, and nothing that is not done is committed.
func TestRebalance(t *testing.T) {
	alongside(t)
	eachProtocol(t, func(t *testing.T, k *testKafka, o RepliesOptions) {
		const partitions, each = 6, 20
		o.Topic, o.ShutdownWait = k.topic(t, "replies", partitions), 10*time.Millisecond
		a, first := k.member(t, o, "a")
		until(t, "a's assignment", first.news, func() bool { return first.owned() == partitions })
		for p := range int32(partitions) {
			k.write(t, numbered(o.Topic, p, int(p)*each, int(p+1)*each)...)
		}
		until(t, "all replies", first.news, func() bool { return len(first.all()) == partitions*each })
		for _, r := range first.all() {
			if r.From.Offset < each/2 {
				settle(r)
			}
		}
		_, second := k.member(t, o, "b")
		until(t, "b's share", second.news, func() bool { return second.owned() == partitions/2 && first.owned() == partitions/2 })
		until(t, "the second halves", second.news, func() bool { return len(second.all()) == partitions/2*each/2 })
		moved := make(map[int32]bool)
		for _, r := range second.all() {
			moved[r.From.Partition] = true
			if r.From.Offset < each/2 {
				t.Errorf("%s was done, and came again", r.ID)
			}
		}
		settle(first.all()...) // those of moved partitions are former receipts
		until(t, "a's commits", nil, func() bool {
			for p := range int32(partitions) {
				if !moved[p] && k.committed(t, o.Group, o.Topic, p) != each {
					return false
				}
			}
			return true
		})
		for p := range moved {
			if at := k.committed(t, o.Group, o.Topic, p); at != each/2 {
				t.Errorf("partition %d: committed %d though b has settled nothing", p, at)
			}
		}
		// a leaves, and b reads what is written next.
		a.stop()
		for p := range int32(partitions) {
			k.write(t, numbered(o.Topic, p, 1000, 1001)...)
		}
		until(t, "everything at b", second.news, func() bool {
			n := 0
			for _, r := range second.all() {
				if r.ID == "1000" {
					n++
				}
			}
			return n == partitions
		})
	})
}

// A member that was thrown out commits nothing of what it had, joins again and
// reads it again.
func TestLostIsNotCommitted(t *testing.T) {
	alongside(t)
	k := newKafka(t)
	o := RepliesOptions{Group: "parley-" + k.name, Topic: k.topic(t, "replies", 2), Heartbeat: 200 * time.Millisecond, Commit: 20 * time.Millisecond}
	a, got := k.member(t, o, "a")
	k.write(t, numbered(o.Topic, 0, 0, 5)...)
	until(t, "five replies", got.news, func() bool { return len(got.all()) == 5 })
	before := got.all()
	throwOut(t, k, o.Group, a.ClientID())
	until(t, "the same five", got.news, func() bool { return len(got.all()) == 10 })
	settle(before...)
	if _, waiting, _ := a.Stats(); waiting != 5 {
		t.Errorf("%d wait, want 5: former receipts counted", waiting)
	}
	k.nextCommit(t, o, got, 1)
	if at := k.committed(t, o.Group, o.Topic, 0); at != -1 {
		t.Errorf("committed %d", at)
	}
	settle(of(0, got.all())[5:]...)
	a.stop()
	if at := k.committed(t, o.Group, o.Topic, 0); at != 5 {
		t.Errorf("committed %d, want 5", at)
	}
}

// throwOut removes a member from a classic group in its name.
func throwOut(t *testing.T, k *testKafka, group, clientID string) {
	t.Helper()
	c := k.kgo(t)
	described, err := kadm.NewClient(c).DescribeGroups(t.Context(), group)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range described[group].Members {
		if m.ClientID == clientID {
			leave := kmsg.NewPtrLeaveGroupRequest()
			leave.Group = group
			leave.Members = []kmsg.LeaveGroupRequestMember{{MemberID: m.MemberID}}
			if _, err := leave.RequestWith(t.Context(), c); err != nil {
				t.Fatal(err)
			}
			return
		}
	}
	t.Fatalf("no member %s in %+v", clientID, described)
}

// counts is an Observer that remembers.
type counts struct {
	mu sync.Mutex
	n  map[string]int
}

func (c *counts) Count(counter routing.Counter, label string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n == nil {
		c.n = make(map[string]int)
	}
	c.n[fmt.Sprintf("%s %s", counter, label)]++
}

// A record that names no request is counted, and holds up nothing.
func TestNoCorrelation(t *testing.T) {
	k := newKafka(t)
	seen := &counts{}
	o := RepliesOptions{Group: "parley-" + k.name, Topic: k.topic(t, "replies", 1), Observer: seen}
	k.write(t, &kgo.Record{Topic: o.Topic, Value: []byte("?")}, &kgo.Record{Topic: o.Topic, Key: []byte("1")}, &kgo.Record{Topic: o.Topic})
	a, got := k.member(t, o, "a")
	until(t, "the good one", got.news, func() bool { return len(got.all()) == 1 })
	settle(got.all()...)
	a.stop()
	if at := k.committed(t, o.Group, o.Topic, 0); at != 3 {
		t.Errorf("committed %d, want 3", at)
	}
	if seen.n["drops no_correlation"] != 2 || seen.n["replies dropped"] != 2 {
		t.Errorf("counted %v", seen.n)
	}
}

// A service may answer in transactions: what it aborted is never delivered.
func TestAbortedRepliesAreNone(t *testing.T) {
	k := newKafka(t)
	o := RepliesOptions{Group: "parley-" + k.name, Topic: k.topic(t, "replies", 1)}
	service := k.kgo(t, kgo.TransactionalID("service-"+k.name))
	for i, end := range []kgo.TransactionEndTry{kgo.TryAbort, kgo.TryCommit, kgo.TryAbort, kgo.TryCommit} {
		if err := service.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		if err := service.ProduceSync(t.Context(), &kgo.Record{Topic: o.Topic, Key: []byte(strconv.Itoa(i))}).FirstErr(); err != nil {
			t.Fatal(err)
		}
		if err := service.EndTransaction(t.Context(), end); err != nil {
			t.Fatal(err)
		}
	}
	a, got := k.member(t, o, "a")
	until(t, "two replies", got.news, func() bool { return len(got.all()) >= 2 })
	if all := ids(got.all()); len(all) != 2 || all[0] != "1" || all[1] != "3" {
		t.Errorf("got %v", all)
	}
	settle(got.all()...)
	a.stop()
	if at := k.committed(t, o.Group, o.Topic, 0); at < 7 {
		t.Errorf("committed %d, want 7 at least", at)
	}
}

// A node may start before its topic is there.
func TestTopicComesLater(t *testing.T) {
	alongside(t)
	k := newKafka(t)
	o := RepliesOptions{Group: "parley-" + k.name, Topic: "replies-" + k.name}
	watched, seen := k.seen()
	_, got := watched.member(t, o, "a")
	until(t, "a look for a topic that is not there", nil, func() bool { return seen.answered(kmsg.Metadata) >= 3 })
	k.topic(t, "replies", 3)
	until(t, "assignment", got.news, func() bool { return got.owned() == 3 })
	k.write(t, numbered(o.Topic, 2, 0, 1)...)
	until(t, "a reply", got.news, func() bool { return len(got.all()) == 1 })
}

// Kafka goes away and comes back: reading goes on where it was, and what could
// not be committed meanwhile is committed then.
func TestRepliesOutage(t *testing.T) {
	alongside(t)
	eachProtocolFake(t, func(t *testing.T, protocol string) {
		dir, port := t.TempDir(), freePort(t)
		k := newFake(t, kfake.DataDir(dir), kfake.Ports(port))
		o := RepliesOptions{Group: "parley-" + k.name, Topic: k.topic(t, "replies", 2), Protocol: protocol, Commit: 100 * time.Millisecond}
		a, got := k.member(t, o, "a")
		k.write(t, numbered(o.Topic, 1, 0, 3)...)
		until(t, "three replies", got.news, func() bool { return len(got.all()) == 3 })
		k.fake.Close()
		settle(got.all()...)
		until(t, "a commit's failure", nil, func() bool { return a.cannotCommit() || !a.Assigned() })
		newFake(t, kfake.DataDir(dir), kfake.Ports(port))
		until(t, "the commit of what was done", got.news, func() bool {
			settle(got.all()...) // also what came again, where the group was lost meanwhile
			return k.committed(t, o.Group, o.Topic, 1) == 3
		})
		k.write(t, numbered(o.Topic, 1, 3, 4)...)
		until(t, "the fourth", got.news, func() bool {
			all := got.all()
			return all[len(all)-1].ID == "3"
		})
		settle(got.all()...)
		a.stop()
		if at := k.committed(t, o.Group, o.Topic, 1); at != 4 {
			t.Errorf("committed %d, want 4", at)
		}
	})
}

// cannotCommit tells whether Kafka did not take the last commit.
func (s *started) cannotCommit() bool {
	s.committing.Lock()
	defer s.committing.Unlock()
	return s.failing
}

func eachProtocolFake(t *testing.T, test func(t *testing.T, protocol string)) {
	for _, protocol := range []string{Classic, Consumer} {
		t.Run(protocol, func(t *testing.T) { test(t, protocol) })
	}
}

// Stopping a node does not wait for a Kafka that is not there.
func TestStopWithoutKafka(t *testing.T) {
	alongside(t)
	eachProtocolFake(t, func(t *testing.T, protocol string) {
		k := newFake(t)
		o := RepliesOptions{Group: "parley-" + k.name, Topic: k.topic(t, "replies", 1), Protocol: protocol, ShutdownWait: 100 * time.Millisecond}
		a, got := k.member(t, o, "a")
		k.write(t, numbered(o.Topic, 0, 0, 2)...)
		until(t, "two replies", got.news, func() bool { return len(got.all()) == 2 })
		settle(got.all()[0])
		k.fake.Close()
		begin := time.Now()
		a.stop()
		if took := time.Since(begin); took > 12*time.Second {
			t.Errorf("took %v", took)
		}
	})
}

// Nor does one that never reached it.
func TestNeverKafka(t *testing.T) {
	k := &testKafka{Config: Config{Brokers: []string{fmt.Sprintf("127.0.0.1:%d", freePort(t))}, Log: testLog(t)}, name: unique()}
	k, seen := k.seen()
	a, _ := k.member(t, RepliesOptions{Group: "parley", Topic: "replies"}, "a")
	until(t, "vain tries", nil, func() bool { return seen.refusals() > 2 })
	if a.Assigned() {
		t.Error("assigned by nobody")
	}
	begin := time.Now()
	a.stop()
	if took := time.Since(begin); took > 12*time.Second {
		t.Errorf("took %v", took)
	}
}

// A delivery that waits, because the table is away, does not hold up the group.
func TestBlockedDeliveryLetsOthersIn(t *testing.T) {
	k := newKafka(t)
	o := RepliesOptions{Group: "parley-" + k.name, Topic: k.topic(t, "replies", 4), ShutdownWait: time.Millisecond}
	stuck := &stuckSink{heap: newHeap(), in: make(chan struct{}, 1), out: make(chan struct{})}
	o.Node, o.Sink = "a", stuck
	k.start(t, o)
	until(t, "a's assignment", stuck.news, func() bool { return stuck.owned() == 4 })
	for p := range int32(4) {
		k.write(t, numbered(o.Topic, p, 0, 1)...)
	}
	receive(t, "a delivery", stuck.in)
	_, got := k.member(t, o, "b")
	until(t, "b's share and its replies", got.news, func() bool { return got.owned() == 2 && len(got.all()) == 2 })
	close(stuck.out)
}

type stuckSink struct {
	*heap
	in, out chan struct{}
}

func (s *stuckSink) Deliver(ctx context.Context, replies []*routing.Reply) {
	select {
	case s.in <- struct{}{}:
	default:
	}
	<-s.out
	s.heap.Deliver(ctx, replies)
}

// Options that cannot work are refused before anything runs.
func TestBadOptions(t *testing.T) {
	for _, o := range []RepliesOptions{
		{Group: "g", Topic: "t", Sink: newHeap(), Protocol: "eager"}, {Topic: "t", Sink: newHeap()}, {Group: "g", Sink: newHeap()}, {Group: "g", Topic: "t"},
	} {
		if _, err := NewReplies(Config{}, o); err == nil {
			t.Errorf("%+v passed", o)
		}
	}
}
