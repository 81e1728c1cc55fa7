package routing

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func strangers(b *bench, offsets ...int64) []*Reply {
	session := newSessionID()
	var replies []*Reply
	for _, offset := range offsets {
		replies = append(replies, b.reply(RequestID(session)+".1", offset))
	}
	return replies
}

// judgements answers one verdict after the other, the last one for ever.
func judgements(verdicts ...Verdict) func([]*Reply) []Verdict {
	return func(replies []*Reply) []Verdict {
		v := verdicts[0]
		if len(verdicts) > 1 {
			verdicts = verdicts[1:]
		}
		all := make([]Verdict, len(replies))
		for i := range all {
			all[i] = v
		}
		return all
	}
}

// A reply can be ahead of its session's row: it is routed again for a while
// before it is called unknown.
func TestRowMayComeLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Limits{})
		unknown := Verdict{Fate: Dropped, Drop: DropUnknownRequest}
		b.cluster.judge = judgements(unknown, unknown, Verdict{Fate: Relayed})
		b.deliver(t, strangers(b, 1, 2)...)
		time.Sleep(rowGrace / 2)
		want(t, "settled", b.received.offsets(), []int64{1, 2})
		want(t, "dropped", b.counted.get("drops unknown_request"), 0)

		b.cluster.judge = judgements(unknown)
		b.deliver(t, strangers(b, 3)...)
		time.Sleep(2 * rowGrace)
		want(t, "settled", b.received.offsets(), []int64{1, 2, 3})
		want(t, "dropped", b.counted.get("drops unknown_request"), 1)
	})
}

// With the table away a stranger waits, in order, and is not settled; replies
// for sessions of this node pass it by.
func TestTableAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Limits{})
		b.cluster.judge = judgements(Verdict{Fate: Failed, Err: errors.New("away")})
		b.deliver(t, strangers(b, 1, 2, 3)...)
		time.Sleep(time.Minute)
		want(t, "settled while away", b.received.offsets(), nil)
		s, c := b.open(t, false)
		id, _ := s.Submit(call("1"), nil)
		b.deliver(t, b.reply(id, 9))
		want(t, "delivered here meanwhile", len(c.outcomes()), 1)
		b.cluster.mu.Lock()
		b.cluster.judge = judgements(Verdict{Fate: Relayed})
		b.cluster.mu.Unlock()
		time.Sleep(time.Second)
		want(t, "settled", b.received.offsets(), []int64{1, 2, 3})
	})
}

// After Redis was emptied, some sessions are not written yet, or never will be. Replies
// for them wait, in order, and those for sessions that are known pass them by at once,
// however many wait.
func TestUnknownSessionsHoldUpNoOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Limits{})
		var late []*Reply
		for offset := range int64(2 * relayBatch) {
			late = append(late, strangers(b, offset)...)
		}
		first := late[0].ID
		session, _, _ := first.Split()
		var mu sync.Mutex
		written := false
		b.cluster.judge = func(replies []*Reply) []Verdict {
			mu.Lock()
			defer mu.Unlock()
			all := make([]Verdict, len(replies))
			for i, reply := range replies {
				all[i] = Verdict{Fate: Relayed}
				if reply.Token.B < 10_000 && !written {
					all[i] = Verdict{Fate: Failed, Early: true, Err: errors.New("not written yet")}
				}
			}
			return all
		}
		b.deliver(t, late...)
		time.Sleep(3 * time.Second)
		b.deliver(t, strangers(b, 10_001, 10_002)...)
		synctest.Wait()
		want(t, "settled while others wait", b.received.offsets(), []int64{10_001, 10_002})

		// One that is known by now does not overtake those before it.
		b.deliver(t, b.reply(RequestID(session)+".2", 10_003))
		synctest.Wait()
		want(t, "settled of a session that waits", len(b.received.offsets()), 2)
		mu.Lock()
		written = true
		mu.Unlock()
		time.Sleep(time.Second)
		got := b.received.offsets()
		want(t, "settled in the end", len(got), 2*relayBatch+3)
		want(t, "in order", slices.Index(got, 0) < slices.Index(got, 10_003), true)
	})
}

// More strangers than may wait block the consumer, which Kafka's own log then
// stands in for; ending the node frees it.
func TestStrangersAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Limits{Strangers: 4})
		b.cluster.judge = judgements(Verdict{Fate: Failed, Err: errors.New("away")})
		ctx, cancel := context.WithCancel(t.Context())
		returned := make(chan struct{})
		go func() {
			defer close(returned)
			for offset := range int64(2 * relayBatch) {
				b.Router.Deliver(ctx, strangers(b, offset))
			}
		}()
		time.Sleep(10 * time.Second)
		select {
		case <-returned:
			t.Error("the consumer was not held up")
		default:
		}
		cancel()
		<-returned
	})
}

// brake remembers which partitions wait.
type brake struct {
	mu    sync.Mutex
	waits map[int32]bool
}

func (b *brake) Wait(_ string, partition int32, wait bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.waits[partition] = wait
}

func (b *brake) waiting(partition int32) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.waits[partition]
}

// Before the consumer is held up altogether, the partitions that the strangers come
// from wait; they go on when the table is back.
func TestStrangersBrakeTheirPartition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Limits{Strangers: 1000})
		wheel := &brake{waits: make(map[int32]bool)}
		b.SetBrake(wheel)
		b.cluster.judge = judgements(Verdict{Fate: Failed, Err: errors.New("away")})
		for offset := range int64(relayBatch + 800) {
			reply := strangers(b, offset)[0]
			reply.From.Partition = 7
			b.deliver(t, reply)
			if offset == 0 {
				synctest.Wait()
			}
		}
		synctest.Wait()
		want(t, "partition 7 waits", wheel.waiting(7), true)
		b.cluster.mu.Lock()
		b.cluster.judge = judgements(Verdict{Fate: Relayed})
		b.cluster.mu.Unlock()
		time.Sleep(5 * time.Second)
		want(t, "partition 7 waits", wheel.waiting(7), false)
		want(t, "settled", len(b.received.offsets()), relayBatch+800)
	})
}

// What an inbox brings is delivered here; what has no session here any more is
// routed once more, and held when it should be here but is not.
func TestDeliverRelayed(t *testing.T) {
	b := newBench(t, Limits{})
	s, c := b.open(t, false)
	id, _ := s.Submit(call("1"), nil)
	routed := make(chan int, 1)
	b.cluster.judge = func(replies []*Reply) []Verdict {
		routed <- len(replies)
		return []Verdict{{Fate: Here}}
	}
	b.DeliverRelayed(append(strangers(b, 1), b.reply(id, 2)))
	want(t, "routed", <-routed, 1)
	want(t, "delivered", len(c.outcomes()), 1)
	want(t, "relayed", b.counted.get("replies relay"), 1)
}

// Gateways without Redis share a reply topic: a reply of another's is dropped and
// counted, and not a line in the log of each. One that nobody knows is.
func TestForeignRepliesAreQuiet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Limits{})
		var lines bytes.Buffer
		b.log = slog.New(slog.NewTextHandler(&lines, nil))
		b.cluster.judge = judgements(Verdict{Fate: Dropped, Drop: DropUnknownRequest, Foreign: true})
		b.deliver(t, strangers(b, 1)...)
		time.Sleep(2 * rowGrace)
		synctest.Wait()
		want(t, "log", lines.String(), "")
		want(t, "dropped", b.counted.get("drops unknown_request"), 1)

		b.cluster.judge = judgements(Verdict{Fate: Dropped, Drop: DropUnknownRequest})
		b.deliver(t, strangers(b, 2)...)
		time.Sleep(2 * rowGrace)
		synctest.Wait()
		want(t, "told", strings.Count(lines.String(), "reply dropped"), 1)
	})
}
