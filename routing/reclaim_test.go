package routing

import (
	"testing"
	"testing/synctest"
)

// A reply comes twice, from two places one of which is gone: neither is told to forget
// it before its client has it.
func TestTwins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Limits{})
		s, c := b.open(t, true)
		id, _ := s.Submit(call("1"), nil)
		b.deliver(t, b.reply(id, 1))
		b.deliver(t, b.reply(id, 2))
		want(t, "delivered", bodies(c), []string{"1:1"})
		want(t, "settled", b.received.offsets(), nil)
		s.Ack(c, 1)
		want(t, "settled", b.received.offsets(), []int64{1, 2})
	})
}
