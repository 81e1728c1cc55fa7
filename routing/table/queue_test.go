package table

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"parley/routing"
)

// What is appended comes out once and in order, however it is taken; what does
// not fit is refused at once.
func TestQueue(t *testing.T) {
	var q queue
	q.init(10)
	next := uint64(0)
	taken := func(most int) {
		for _, o := range q.take(most) {
			if next++; o.n != next {
				t.Fatalf("%d came for %d", o.n, next)
			}
		}
	}
	appended := uint64(0)
	for round := range 100 {
		for q.append(op{n: appended + 1}) {
			appended++
		}
		taken(round%10 + 1)
	}
	taken(10)
	if next != appended || q.len() != 0 {
		t.Errorf("%d of %d came", next, appended)
	}
	for len(q.wake) > 0 {
		<-q.wake
	}
	q.append(op{})
	q.append(op{})
	<-q.wake
	q.take(1)
	select {
	case <-q.wake:
	default:
		t.Error("what is left does not wake the writer")
	}
}

// Claims and releases run under a session's lock: they allocate nothing once
// the queue has grown.
func TestClaimAllocatesNothing(t *testing.T) {
	r := NewRedis(nil, Options{Node: "a"})
	row := routing.Row{Session: "s", N: 1, Service: "orders", ClientID: "1"}
	for range 4 {
		for range 4000 {
			r.Claim(row, nil)
		}
		r.queue.reuse(r.queue.take(1 << 20))
	}
	if n := testing.AllocsPerRun(1000, func() { r.Claim(row, nil); r.Release("s", 1) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// Redis goes and comes back: that is two lines in the log, however many notice.
func TestLinkLogsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		l := link{log: slog.New(slog.NewTextHandler(&out, nil))}
		for range 3 {
			l.failed("read inbox", context.Canceled)
			l.failed("read inbox", errors.New("refused"))
			time.Sleep(time.Second)
		}
		if !l.away() || !l.worked() || l.worked() || l.away() {
			t.Error("it was not away, and then back once")
		}
		if lines := strings.Split(strings.TrimSpace(out.String()), "\n"); len(lines) != 2 || !strings.Contains(lines[1], "after=3s") {
			t.Errorf("log: %q", lines)
		}
	})
}

// Lines that repeat are let through once in ten seconds, and say how many were
// kept back.
func TestRarely(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r rarely
		passed, kept := 0, 0
		for range 100 {
			if n, ok := r.pass(); ok {
				passed, kept = passed+1, kept+n
			}
			time.Sleep(time.Second / 2)
		}
		if passed != 5 || kept != 4*19 {
			t.Errorf("%d passed and told of %d", passed, kept)
		}
	})
}
