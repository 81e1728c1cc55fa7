package kafka

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"parley/routing"
)

// Whatever the order in which replies are done, no offset becomes committable
// before all that came earlier are done, and in the end all are.
func TestCommittableIsTheLowestNotDone(t *testing.T) {
	for seed := range uint64(50) {
		random := rand.New(rand.NewPCG(seed, 1))
		p := &partition{}
		type reply struct {
			token routing.Token
			done  bool
		}
		var line []reply
		offset := int64(random.IntN(1000))
		check := func() {
			t.Helper()
			want, left := int64(0), len(line)
			for _, r := range line {
				if !r.done {
					break
				}
				want = r.token.B + 1
				left--
			}
			if got := p.Committable(); got != want {
				t.Fatalf("seed %d: committable %d, want %d", seed, got, want)
			}
			if n, _ := p.Outstanding(); n != left {
				t.Fatalf("seed %d: %d outstanding, want %d", seed, n, left)
			}
		}
		for range 2000 {
			if random.IntN(2) == 0 && len(line) < 700 {
				offset += 1 + int64(random.IntN(3)/2) // sometimes a gap, as transactions leave
				line = append(line, reply{token: p.Add(offset, 0, 0)})
			} else if len(line) > 0 {
				r := &line[random.IntN(len(line))]
				p.Done(r.token) // perhaps again
				r.done = true
			}
			check()
		}
		for i := range line {
			p.Done(line[i].token)
			line[i].done = true
		}
		check()
	}
}

// A revoked partition waits for its replies, but not longer than it may.
func TestDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &partition{}
		p.Drain(t.Context()) // nothing is out
		one, two := p.Add(5, 0, 0), p.Add(6, 0, 0)
		begin := time.Now()
		time.AfterFunc(20*time.Millisecond, func() { p.Done(two); p.Done(one) })
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		p.Drain(ctx)
		if took := time.Since(begin); took != 20*time.Millisecond || p.Committable() != 7 {
			t.Errorf("drained in %v, committable %d", took, p.Committable())
		}
		p.Add(7, 0, 0)
		begin = time.Now()
		p.Drain(ctx)
		if took := time.Since(begin); took != 980*time.Millisecond {
			t.Errorf("gave up after %v", took)
		}
	})
}

// A ring that a flood has grown is given back, and goes on working.
func TestRingShrinks(t *testing.T) {
	p := &partition{}
	for round := range 3 {
		tokens := make([]routing.Token, 3*largeRing)
		for i := range tokens {
			tokens[i] = p.Add(int64(round*len(tokens)+i), 0, 0)
		}
		for i := len(tokens) - 1; i >= 0; i-- {
			p.Done(tokens[i])
		}
		if got, want := p.Committable(), int64((round+1)*len(tokens)); got != want || p.ring != nil {
			t.Fatalf("round %d: committable %d, want %d; ring of %d", round, got, want, len(p.ring))
		}
	}
}

// Receipts come from many goroutines at once.
func TestDoneFromEverywhere(t *testing.T) {
	p := &partition{}
	var running sync.WaitGroup
	for i := range int64(5000) {
		token := p.Add(i, 0, 0)
		running.Go(func() { p.Done(token) })
	}
	running.Wait()
	if got := p.Committable(); got != 5000 {
		t.Errorf("committable %d", got)
	}
}

// Counting a reply costs no allocation.
func TestDoneAllocatesNothing(t *testing.T) {
	p := &partition{}
	offset := int64(0)
	if got := testing.AllocsPerRun(10_000, func() {
		offset++
		p.Done(p.Add(offset, 0, 0))
	}); got > 0 {
		t.Errorf("%.2f allocations", got)
	}
}

func BenchmarkDone(b *testing.B) {
	p := &partition{}
	b.ReportAllocs()
	for i := range int64(b.N) {
		p.Done(p.Add(i, 0, 0))
	}
}

func BenchmarkDoneOutOfOrder(b *testing.B) {
	p := &partition{}
	var tokens [256]routing.Token
	b.ReportAllocs()
	offset := int64(0)
	for i := 0; i < b.N; i += len(tokens) {
		for j := range tokens {
			offset++
			tokens[j] = p.Add(offset, 0, 0)
		}
		for j := len(tokens) - 1; j >= 0; j-- {
			p.Done(tokens[j])
		}
	}
}
