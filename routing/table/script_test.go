package table

import (
	"context"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"parley/routing"
)

// scripts runs single scripts against a session of node a, boot a1, epoch 1.
type scripts struct {
	t      *testing.T
	client *redis.Client
	server *miniredis.Miniredis
}

func newScripts(t *testing.T) *scripts {
	server := miniredis.RunT(t)
	client := redis.NewClient(&redis.Options{Addr: server.Addr()})
	t.Cleanup(func() { client.Close() })
	s := &scripts{t, client, server}
	s.run(sessionScript, "open", "a", "a1", 1, 60_000, "secret", "me")
	return s
}

func (s *scripts) run(script *redis.Script, args ...any) any {
	s.t.Helper()
	answer, err := script.Run(context.Background(), s.client, sessionKeys("s"), args...).Result()
	if err != nil {
		s.t.Fatal(err)
	}
	return answer
}

// resume answers the epoch and whom to tell.
func (s *scripts) resume(node, boot, call string) string {
	s.t.Helper()
	answer := s.run(resumeScript, "secret", "me", node, boot, 60_000, call, 0).([]any)
	return answer[0].(string) + " " + answer[1].(string) + " " + answer[2].(string)
}

func (s *scripts) want(got, want string) {
	s.t.Helper()
	if got != want {
		s.t.Errorf("got %q, want %q", got, want)
	}
}

// A client that sends its command again after the answer was lost takes nothing
// over twice; and a node that got no answer at all still learns at its next try
// whom to tell.
func TestResumeSentAgain(t *testing.T) {
	s := newScripts(t)
	s.want(s.resume("b", "b1", "call1"), "2 a a1")
	s.want(s.resume("b", "b1", "call1"), "2 a a1")
	s.want(s.resume("b", "b1", "call2"), "3 a a1")
	s.want(s.resume("c", "c1", "call3"), "4 b b1")
	s.want(s.resume("c", "c2", "call4"), "5 c c1")
}

// A session that never moved has nobody to be told.
func TestResumeAtHome(t *testing.T) {
	s := newScripts(t)
	s.want(s.resume("a", "a1", "call1"), "2  ")
}

// A command that Redis comes to long after everybody gave it up takes nothing away
// from who has the session since.
func TestResumeTooLate(t *testing.T) {
	s := newScripts(t)
	s.server.SetTime(time.UnixMilli(5000))
	late := func(until int64) any { return s.run(resumeScript, "secret", "me", "b", "b1", 60_000, "call", until) }
	if got := late(4999); got != int64(2) {
		t.Errorf("too late: %v", got)
	}
	if _, ok := late(5000).([]any); !ok {
		t.Error("in time, and refused")
	}
}

// From a to b and back to a: an end that a meant for its first time is not one of
// its second.
func TestEndAfterReturn(t *testing.T) {
	s := newScripts(t)
	s.resume("b", "b1", "call1")
	s.resume("a", "a1", "call2")
	for _, old := range [][]any{{"a", "a1", 1}, {"b", "b1", 2}, {"a", "a0", 4}, {"b", "b1", 9}, {"a", "a0", 2}} {
		if got := s.run(endScript, old...); got != int64(0) {
			t.Errorf("end by %v: %v", old, got)
		}
	}
	if got := s.run(endScript, "a", "a1", 3); got != int64(1) {
		t.Errorf("end by its owner: %v", got)
	}
}

// A process that has got another boot meanwhile ends its session all the same.
func TestEndUnderAnotherBoot(t *testing.T) {
	s := newScripts(t)
	if got := s.run(endScript, "a", "a2", 1); got != int64(1) {
		t.Errorf("end by its owner: %v", got)
	}
}

// Of equal epochs, which a lost take-over can leave behind, the one in Redis counts;
// another process of the same node goes on with it.
func TestEqualEpochs(t *testing.T) {
	s := newScripts(t)
	if got := s.run(sessionScript, "anew", "b", "b1", 1, 60_000, "secret", "me"); got != int64(-1) {
		t.Errorf("another node: %v", got)
	}
	if got := s.run(sessionScript, "touch", "a", "a2", 1, 60_000, "secret", "me"); got != int64(2) {
		t.Errorf("the same node: %v", got)
	}
}

// A list that vanished takes its index along, so that what is held next is not
// taken for held already.
func TestHeldListLost(t *testing.T) {
	s := newScripts(t)
	hold := func() string {
		got := s.run(holdScript, "a", "*", 1, 10, 1000, "7 t/0/1 one", "7 t/0/2 two", "7 t/0/1 again").([]any)
		return strings.Repeat("n", int(got[0].(int64))) + strings.Repeat("c", int(got[1].(int64)))
	}
	s.want(hold(), "nnncc")
	s.want(hold(), "nnncc")
	s.client.Del(t.Context(), heldKey("s"))
	s.want(hold(), "nnncc")
	if left := s.run(unholdScript, 8, 7, 7); left != int64(0) {
		t.Errorf("left: %v", left)
	}
	s.want(s.client.HGet(t.Context(), sessionKey("s"), "held").Val(), "0")
}

// What the lease script answers is read, and what it never would is refused.
func TestCensus(t *testing.T) {
	c, err := parseCensus([]any{"1000", "1e3", "rival", []any{"a b", "x one two", "c", "y "}, []any{"d", "z m"}, []any{"z d e"}, "7", []any{"a b", "x 900", "c", "former 900", "gone", "x 900"}, "800"})
	if err != nil || c.now != 1000 || c.expires != 1000 || c.since != 800 || !c.rival || c.removed ||
		c.members["a b"] != "x" || c.members["c"] != "y" || c.left[0] != (Departed{"d", "z", "m"}) || c.soon != 7*time.Millisecond || c.graves[0] != (grave{"d e", "z"}) ||
		!maps.Equal(c.restated, map[routing.NodeID]int64{"a b": 900}) {
		t.Errorf("%+v, %v", c, err)
	}
	for _, bad := range [][]any{nil, {"", "", "", nil, nil, nil, "", nil, "1"}, {"1", "x", "", nil, nil, nil, "", nil, "1"}, {"1", "", "", nil, nil, nil, "x", nil, "1"}, {"1", "", "", nil, nil, nil, "", nil, ""}, {1, 2, 3, 4, 5, 6, 7, 8, 9}} {
		if _, err := parseCensus(bad); err == nil {
			t.Errorf("%v was read", bad)
		}
	}
	if _, err := parseCensus([]any{"1", "", "removed", []any{}, []any{1, 2, 3}, []any{4}, 5, 6, "1"}); err != nil {
		t.Error(err)
	}
}

// What a node remembers of its sessions goes with them, whatever comes late.
func TestStanding(t *testing.T) {
	var s standing
	s.init()
	s.took("one", 1, 0)
	s.took("two", 3, 5)
	s.took("two", 2, 9) // an older answer
	s.holds("one", 4)
	if s.heldNow() != 9 || len(s.of) != 2 {
		t.Errorf("%d held, %d known", s.heldNow(), len(s.of))
	}
	s.lost("two", 3) // its own take-over
	if s.holds("one", 0); len(s.of) != 1 || s.heldNow() != 5 {
		t.Errorf("%d held, %d known", s.heldNow(), len(s.of))
	}
	if got := s.end("two"); got != 3 {
		t.Errorf("ended under %d", got)
	}
	if got := s.end("one"); got != 1 || s.heldNow() != 0 || len(s.of) != 0 {
		t.Errorf("ended under %d, %d held, %d known", got, s.heldNow(), len(s.of))
	}
}

// renewer answers what renews the lease of a node, 1.2 s long, at a time in ms.
func (s *scripts) renewer() func(node string, at int64) *census {
	since := map[string]any{}
	return func(node string, at int64) *census {
		s.t.Helper()
		s.server.SetTime(time.UnixMilli(at))
		args := []any{node, 1200, node + "1", "member", "", since[node], "", linePrefix}
		if since[node] == nil {
			args[4], args[5] = "first", ""
		}
		answer, err := leaseScript.Run(s.t.Context(), s.client, leaseKeys(), args...).Slice()
		if err != nil {
			s.t.Fatal(err)
		}
		c, err := parseCensus(answer)
		if err != nil {
			s.t.Fatal(err)
		}
		since[node] = c.since
		return c
	}
}

// Who is late itself does not take others for dead before they have had as long to be late.
func TestLateNodeDoesNotJudge(t *testing.T) {
	s := newScripts(t)
	renew := s.renewer()
	at := int64(100_000)
	for ; at < 102_000; at += 300 {
		renew("b", at)
		renew("a", at+10)
	} // the last time at 101.8 s
	late := renew("a", 103_005) // 1195 ms after its last, and 5 after b's lease has ended
	if len(late.left) > 0 || late.soon != 895*time.Millisecond {
		t.Errorf("late: %d are dead, and more is known after %v", len(late.left), late.soon)
	}
	for at = 103_305; at < 103_900; at += 300 {
		if c := renew("a", at); len(c.left) > 0 {
			t.Errorf("dead after %d ms", at-101_800)
		}
	}
	if c := renew("a", 103_901); len(c.left) != 1 {
		t.Errorf("%d are dead in the end", len(c.left))
	}
	if c := renew("b", 103_950); !c.removed {
		t.Error("who is dead was not told")
	}
}

// line lays a node's line, and answers what breaks it.
func (s *scripts) line(node string) (breaks func()) {
	s.t.Helper()
	line := s.client.Subscribe(s.t.Context(), linePrefix+node)
	s.t.Cleanup(func() { line.Close() })
	if _, err := line.Receive(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
	return func() {
		s.t.Helper()
		if err := line.Unsubscribe(s.t.Context()); err != nil {
			s.t.Fatal(err)
		}
		if _, err := line.Receive(s.t.Context()); err != nil {
			s.t.Fatal(err)
		}
	}
}

// A node's line has broken: it is taken for dead before its lease has ended, but not
// before it had the time to lay the line anew, and only by one whose own line was there
// all along.
func TestLineBreaks(t *testing.T) {
	s := newScripts(t)
	renew := s.renewer()
	breaks := s.line("b")
	s.line("a")
	both := func(from, to int64) {
		t.Helper()
		for at := from; at < to; at += 300 {
			renew("b", at)
			if c := renew("a", at+10); len(c.left) > 0 {
				t.Errorf("dead at %d", at)
			}
		}
	}
	both(100_000, 102_000)
	breaks()
	if c := renew("a", 102_000); len(c.left) > 0 || c.soon != 400*time.Millisecond {
		t.Errorf("broken just now: %d are dead, and more is known after %v", len(c.left), c.soon)
	}
	breaks = s.line("b")
	both(102_300, 104_000)
	breaks()
	renew("a", 104_000)
	if c := renew("a", 104_399); len(c.left) > 0 {
		t.Error("dead too early")
	}
	if c := renew("a", 104_400); len(c.left) != 1 { // its lease would end at 105.3 s
		t.Errorf("%d are dead", len(c.left))
	}
	if c := renew("b", 104_450); !c.removed {
		t.Error("who is dead was not told")
	}
}

// The server was restarted: it knows nobody's line. Who is the first to lay its own anew
// does not take the others for dead, nor does one without a line; the lease counts.
func TestNoLines(t *testing.T) {
	s := newScripts(t)
	renew := s.renewer()
	breakA, breakB := s.line("a"), s.line("b")
	at := int64(100_000)
	renewed := func(to int64, who string) {
		t.Helper()
		for ; at < to; at += 300 {
			renew("c", at)
			if who == "all" {
				renew("b", at)
			}
			if c := renew("a", at+10); len(c.left) > 0 {
				t.Errorf("dead at %d: %v", at, c.left)
			}
		}
	}
	renewed(102_000, "all") // c never has a line
	breakA()
	breakB()
	renewed(104_000, "all")
	s.line("a")
	renewed(105_000, "")
	if c := renew("a", 105_300); len(c.left) != 1 { // b's lease was renewed at 103.9 s
		t.Errorf("%d are dead", len(c.left))
	}
}
