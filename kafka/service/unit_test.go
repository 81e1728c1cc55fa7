package service

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// What a memory holds is bounded by time, number and bytes, the oldest first.
func TestMemoryBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(Memory{For: time.Minute, Answers: 3, Bytes: 4 * (answerCost + 10)})
		put := func(key string, bytes int) {
			e, known, err := m.enter(t.Context(), &Request{IdempotencyKey: key})
			if known || err != nil {
				t.Fatalf("%s: known %v, %v", key, known, err)
			}
			e.answers = []Answer{{Body: make([]byte, bytes), final: true}}
			m.leave(e)
		}
		knows := func(key string) bool { return m.entries[repetition{key: key}] != nil }
		for i := range 4 {
			put(fmt.Sprint(i), 10)
		}
		if knows("0") || !knows("1") || !knows("3") {
			t.Error("four answers where three may be: want the oldest forgotten")
		}
		put("large", 2*answerCost)
		if knows("2") || !knows("3") || !knows("large") {
			t.Error("too many bytes: want the oldest forgotten")
		}
		time.Sleep(time.Minute)
		put("new", 1)
		if knows("large") || m.bytes != answerCost+1 {
			t.Errorf("after a minute %d bytes are remembered", m.bytes)
		}
	})
}

// Whoever waits for the same request to be answered leaves when its own time is up,
// and takes over when the first was not answered in earnest.
func TestMemoryWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(Memory{For: time.Minute})
		first, _, _ := m.enter(t.Context(), &Request{IdempotencyKey: "k"})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, _, err := m.enter(ctx, &Request{IdempotencyKey: "k"}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		go func() { time.Sleep(time.Second); m.leave(first) }()
		second, known, err := m.enter(t.Context(), &Request{IdempotencyKey: "k"})
		if second == first || known || err != nil {
			t.Errorf("known %v, %v", known, err)
		}
	})
}

// A handler's test needs no Kafka.
func TestTry(t *testing.T) {
	got := Try(t.Context(), echo, &Request{Body: []byte("hi")})
	if len(got) != 1 || string(got[0].Body) != "hi" || !got[0].Final() {
		t.Errorf("got %+v", got)
	}
	got = Try(t.Context(), func(context.Context, *Request) error { return &Failure{Code: "no"} }, &Request{})
	if len(got) != 1 || got[0].Failure.Code != "no" {
		t.Errorf("got %+v", got)
	}
}

// A record with anything in its headers is read, and what it names is what it says.
func FuzzRead(f *testing.F) {
	f.Add("parley-request-id", "a.1", "parley-deadline", "-5")
	f.Add("parley-cancel", "a.1", "parley-reply-partition", "99999999999")
	f.Add("Content-Type", "text/plain", "x-demo", "")
	f.Fuzz(func(t *testing.T, a, b, c, d string) {
		record := &kgo.Record{Value: []byte("v"), Headers: []kgo.RecordHeader{{Key: a, Value: []byte(b)}, {Key: c, Value: []byte(d)}}}
		r, cancels := Parley.Read(record)
		if r.ReplyPartition < anyPartition || r.Deadline.Before(time.Time{}) {
			t.Errorf("partition %d, deadline %v", r.ReplyPartition, r.Deadline)
		}
		if cancels != "" && a != "parley-cancel" && c != "parley-cancel" {
			t.Errorf("cancels %q", cancels)
		}
		if r.ID == "" {
			return
		}
		answer := Parley.Write(r, &Answer{Body: record.Value, final: true})
		if again, _ := Parley.Read(answer); again.ID != r.ID {
			t.Errorf("answer to %q names %q", r.ID, again.ID)
		}
	})
}
