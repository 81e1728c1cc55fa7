package kafka

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// watch runs a Responders until the test ends. Its one service has the topic.
func (k *testKafka) watch(t *testing.T, topic string) *Responders {
	t.Helper()
	r := NewResponders(k.Config, RespondersOptions{Services: map[string]string{"orders": topic}})
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := r.Run(ctx); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(func() { cancel(); running.Wait() })
	return r
}

// service joins a group that reads a topic, and commits. It answers how to end it.
func (k *testKafka) service(t *testing.T, protocol, group string, topics ...string) (leave func()) {
	t.Helper()
	opts := []kgo.Opt{kgo.ConsumerGroup(group), kgo.ConsumeTopics(topics...), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart())}
	if protocol == Consumer {
		opts = append(opts, kgo.ServerSideBalancer(), kgo.Balancers(kgo.StickyBalancer()))
	}
	c := k.kgo(t, opts...)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		for ctx.Err() == nil {
			c.PollFetches(ctx)
		}
	})
	leave = sync.OnceFunc(func() { cancel(); running.Wait(); c.Close() })
	t.Cleanup(leave)
	return leave
}

// within waits until cond holds, which must be soon, and answers when it did.
func within(t *testing.T, limit time.Duration, what string, cond func() bool) time.Duration {
	t.Helper()
	begin := time.Now()
	until(t, what, nil, cond)
	took := time.Since(begin)
	if took > limit {
		t.Errorf("%s: after %v, want %v", what, took, limit)
	}
	return took.Round(10 * time.Millisecond)
}

// never watches that cond does not hold for as long as a judgement takes, and longer.
func never(t *testing.T, what string, cond func() bool) {
	t.Helper()
	end := time.After(missesToJudge*surveyEvery + wideEvery + 200*time.Millisecond)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-end:
			return
		case <-tick.C:
			if cond() {
				t.Fatal(what)
			}
		}
	}
}

// A service comes, goes, comes again and goes: each is known within 2 s, and it is
// not missed while it is there, nor before any group has read its topic. A node that
// starts when it is gone knows by its offsets.
func TestResponders(t *testing.T) {
	t.Parallel()
	eachProtocol(t, func(t *testing.T, k *testKafka, o RepliesOptions) {
		t.Parallel()
		topic := k.topic(t, "requests", 2)
		r := k.watch(t, topic)
		absent := func() bool { return r.Absent("orders") }
		present := func() bool { yes, _ := r.Present("orders"); return yes }
		never(t, "missed, though no group has ever read its topic", absent)
		for range 2 {
			k.write(t, numbered(topic, 0, 0, 1)...)
			leave := k.service(t, o.Protocol, o.Group, topic)
			// A new group of Kafka's waits 3 s for more members: it is not missed then.
			came := within(t, 6*time.Second, "it is seen", present)
			never(t, "missed, though it is there", absent)
			leave()
			t.Logf("%s: seen after %v, missed after %v", o.Protocol, came, within(t, 2*time.Second, "it is missed", absent))
		}
		late := k.watch(t, topic)
		within(t, 2500*time.Millisecond, "a node that starts now misses it", func() bool { return late.Absent("orders") })
		back := k.service(t, o.Protocol, o.Group, topic)
		within(t, 2*time.Second, "it is not missed any longer", func() bool { return !r.Absent("orders") && !late.Absent("orders") })
		back()
	})
}

// One of two groups that read a topic goes, and one member of two: somebody is there.
// Hundreds of other groups change nothing.
func TestRespondersLeft(t *testing.T) {
	t.Parallel()
	k := newKafka(t)
	topic, other := k.topic(t, "requests", 2), k.topic(t, "others", 1)
	r := k.watch(t, topic)
	for n := range 20 {
		k.service(t, Classic, fmt.Sprint("other-", n, k.name), other)
	}
	first := k.service(t, Classic, "first-"+k.name, topic)
	second := k.service(t, Consumer, "second-"+k.name, topic, other)
	twin := k.service(t, Consumer, "second-"+k.name, topic, other)
	within(t, 6*time.Second, "it is seen", func() bool { yes, _ := r.Present("orders"); return yes })
	first()
	second()
	never(t, "missed, though one is left", func() bool { return r.Absent("orders") })
	twin()
	within(t, 2*time.Second, "it is missed", func() bool { return r.Absent("orders") })
}

// Who reads without a group, and commits or not, is not missed.
func TestRespondersUnseen(t *testing.T) {
	t.Parallel()
	k := newKafka(t)
	topic := k.topic(t, "requests", 1)
	k.kgo(t, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {0: kgo.NewOffset().AtStart()}}))
	r := k.watch(t, topic)
	never(t, "missed, though no group is known", func() bool { return r.Absent("orders") })
	var offsets kadm.Offsets
	offsets.AddOffset(topic, 0, 1, -1)
	if err := kadm.NewClient(k.kgo(t)).CommitAllOffsets(t.Context(), "alone-"+k.name, offsets); err != nil {
		t.Fatal(err)
	}
	leave := k.service(t, Classic, "visitor-"+k.name, topic)
	within(t, 6*time.Second, "the visitor is seen", func() bool { yes, _ := r.Present("orders"); return yes })
	leave()
	never(t, "missed, though somebody commits without being a member", func() bool { return r.Absent("orders") })
}

// What Kafka does not tell is not held against a service, and what it tells again is.
func TestRespondersInDoubt(t *testing.T) {
	t.Parallel()
	k := newFake(t)
	topic := k.topic(t, "requests", 1)
	r := k.watch(t, topic)
	leave := k.service(t, Classic, "orders-"+k.name, topic)
	other := k.service(t, Classic, "other-"+k.name, k.topic(t, "others", 1))
	within(t, 2*time.Second, "it is seen", func() bool { yes, _ := r.Present("orders"); return yes })
	leave()
	missed := func() bool { return r.Absent("orders") }
	within(t, 2*time.Second, "it is missed", missed)
	var wrong atomic.Bool
	for _, c := range []struct {
		what   string
		key    kmsg.Key
		answer func(kmsg.Response)
	}{
		{"groups cannot be listed", kmsg.ListGroups, func(a kmsg.Response) {
			a.(*kmsg.ListGroupsResponse).ErrorCode = kerr.ClusterAuthorizationFailed.Code
		}},
		{"not all groups may be seen", kmsg.DescribeCluster, func(a kmsg.Response) {
			a.(*kmsg.DescribeClusterResponse).ClusterAuthorizedOperations = 1 << 3
		}},
		{"a group may not be described", kmsg.DescribeGroups, describedAs("Stable", kerr.GroupAuthorizationFailed.Code, nil)},
		{"a group rebalances", kmsg.DescribeGroups, describedAs("PreparingRebalance", 0, nil)},
		{"a member is not understood", kmsg.DescribeGroups, describedAs("Stable", 0, []byte{0xff})},
	} {
		wrong.Store(true)
		k.fake.ControlKey(c.key.Int16(), func(ask kmsg.Request) (kmsg.Response, error, bool) {
			if !wrong.Load() {
				return nil, nil, false
			}
			k.fake.KeepControl()
			a := ask.ResponseKind()
			if describe, ok := ask.(*kmsg.DescribeGroupsRequest); ok {
				for _, name := range describe.Groups {
					g := kmsg.NewDescribeGroupsResponseGroup()
					g.Group = name
					a.(*kmsg.DescribeGroupsResponse).Groups = append(a.(*kmsg.DescribeGroupsResponse).Groups, g)
				}
			}
			c.answer(a)
			return a, nil, true
		})
		within(t, 2*time.Second, c.what, func() bool { return !missed() })
		wrong.Store(false)
		within(t, 2*time.Second, "it is missed again", missed)
	}
	k.fake.Close()
	within(t, 2*time.Second, "Kafka is gone", func() bool { return !missed() })
	other()
}

// describedAs is what a broker says of every group that it is asked about.
func describedAs(state string, code int16, metadata []byte) func(kmsg.Response) {
	return func(a kmsg.Response) {
		groups := a.(*kmsg.DescribeGroupsResponse).Groups
		for i := range groups {
			m := kmsg.NewDescribeGroupsResponseGroupMember()
			m.ProtocolMetadata = metadata
			groups[i].State, groups[i].ErrorCode, groups[i].ProtocolType, groups[i].Members = state, code, "consumer", append(groups[i].Members, m)
		}
	}
}
