package kafka

import (
	"slices"
	"testing"
	"time"

	"parley/routing"
)

// of are the replies of one partition.
func of(partition int32, replies []*routing.Reply) []*routing.Reply {
	return slices.DeleteFunc(replies, func(r *routing.Reply) bool { return r.From.Partition != partition })
}

// fetchMore writes one reply more to a partition that does not wait, and waits for it: it
// is fetched after all that has come, together with what others have that do not wait.
func (k *testKafka) fetchMore(t *testing.T, o RepliesOptions, got *heap, partition int32) {
	t.Helper()
	n := len(of(partition, got.all()))
	k.write(t, numbered(o.Topic, partition, 1000+n, 1001+n)...)
	until(t, "one more", got.news, func() bool { return len(of(partition, got.all())) == n+1 })
}

// A partition with too many replies that are not done, or too large ones, waits
// in Kafka while others go on; it goes on when half of them are done, and nothing
// is missing.
func TestBacklog(t *testing.T) {
	alongside(t)
	for name, limit := range map[string]RepliesOptions{"replies": {Backlog: 20}, "bytes": {BacklogBytes: 2000}} {
		t.Run(name, func(t *testing.T) {
			alongside(t)
			k := newKafka(t)
			o := limit
			o.Group, o.Topic, o.Commit = "parley-"+k.name, k.topic(t, "replies", 2), 20*time.Millisecond
			_, got := k.member(t, o, "a")
			until(t, "assignment", got.news, func() bool { return got.owned() == 2 })
			large := numbered(o.Topic, 0, 0, 200)
			for _, r := range large {
				r.Value = make([]byte, 100)
			}
			k.write(t, large[:100]...)
			until(t, "the first", got.news, func() bool { return len(of(0, got.all())) > 20 })
			before := len(of(0, got.all())) // one poll may take more than there is room for
			k.write(t, large[100:]...)
			k.write(t, numbered(o.Topic, 1, 0, 100)...)
			until(t, "the other partition", got.news, func() bool { return len(of(1, got.all())) == 100 })
			settle(of(1, got.all())...) // so that it has room for more
			k.fetchMore(t, o, got, 1)
			if n := len(of(0, got.all())); n != before {
				t.Errorf("%d came though it should wait", n-before)
			}
			for settled := 0; settled < 200; {
				here := of(0, got.all())
				settle(here[settled:]...)
				settled = len(here)
				until(t, "more", got.news, func() bool { return settled == 200 || len(of(0, got.all())) > settled })
			}
			until(t, "the commit", nil, func() bool { return k.committed(t, o.Group, o.Topic, 0) == 200 })
			for i, r := range of(0, got.all()) {
				if r.From.Offset != int64(i) {
					t.Fatalf("offset %d at place %d", r.From.Offset, i)
				}
			}
		})
	}
}

// The router lets one partition wait, and another go on. What waits is not
// forgotten, nor is a partition that went elsewhere and came back still waiting.
func TestWait(t *testing.T) {
	alongside(t)
	eachProtocol(t, func(t *testing.T, k *testKafka, o RepliesOptions) {
		o.Topic, o.ShutdownWait = k.topic(t, "replies", 2), 10*time.Millisecond
		f := &fleet{}
		o.Tell = f.tell
		a, got := k.member(t, o, "a")
		until(t, "assignment", got.news, func() bool { return got.owned() == 2 })
		f.is(a)
		a.Wait(o.Topic, 0, true)
		a.Wait(o.Topic, 7, true) // not a partition of ours
		k.write(t, numbered(o.Topic, 0, 0, 3)...)
		k.write(t, numbered(o.Topic, 1, 0, 3)...)
		until(t, "the other partition", got.news, func() bool { return len(of(1, got.all())) == 3 })
		k.fetchMore(t, o, got, 1)
		if n := len(of(0, got.all())); n > 0 {
			t.Errorf("%d came though they should wait", n)
		}
		a.Wait(o.Topic, 0, false)
		until(t, "what waited", got.news, func() bool { return len(of(0, got.all())) == 3 })
		a.Wait(o.Topic, 0, true)
		a.Wait(o.Topic, 1, true)
		b, _ := k.member(t, o, "b")
		until(t, "b's share", nil, func() bool { return got.owned() == 1 })
		moved := 1 - a.partitions()[0]
		b.stop()
		until(t, "a's return to all", got.news, func() bool { return got.owned() == 2 })
		k.write(t, numbered(o.Topic, moved, 3, 4)...)
		until(t, "a reply of the partition that came back", got.news, func() bool {
			here := of(moved, got.all())
			return here[len(here)-1].ID == "3"
		})
	})
}
