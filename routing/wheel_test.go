package routing

import (
	"context"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"
)

type fired struct {
	timer
	at time.Time
}

func (f *fired) expire(now time.Time) { f.at = now }

// A thousand timers, near and far, some moved and some disarmed: each fires
// once, never early, and at the latest a tick late.
func TestWheelFiresOnTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		w := newWheel()
		go w.run(ctx)
		start := time.Now()
		timers := make([]fired, 1000)
		due := make([]time.Time, len(timers))
		for i := range timers {
			timers[i].target = &timers[i]
			due[i] = start.Add(time.Duration(rand.Int64N(int64(time.Minute)))) // three turns of the wheel
			w.arm(&timers[i].timer, due[i])
		}
		for i := range timers {
			switch i % 10 {
			case 0:
				w.disarm(&timers[i].timer)
				due[i] = time.Time{}
			case 1:
				due[i] = due[i].Add(time.Second)
				w.arm(&timers[i].timer, due[i])
			}
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		for i := range timers {
			late := timers[i].at.Sub(due[i])
			if due[i].IsZero() {
				if !timers[i].at.IsZero() {
					t.Errorf("timer %d fired though disarmed", i)
				}
			} else if late < 0 || late > 2*wheelTick {
				t.Errorf("timer %d fired %v after its time", i, late)
			}
		}
		if w.armed != 0 {
			t.Errorf("%d timers are still armed", w.armed)
		}
	})
}

// An idle wheel sleeps, and the first timer after a long sleep is not early.
func TestWheelSleepsAndWakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		w := newWheel()
		go w.run(ctx)
		time.Sleep(24 * time.Hour)
		f := fired{}
		f.target = &f
		at := time.Now().Add(30 * time.Millisecond)
		w.arm(&f.timer, at)
		time.Sleep(time.Second)
		synctest.Wait()
		if late := f.at.Sub(at); late < 0 || late > 2*wheelTick {
			t.Errorf("fired %v after its time", late)
		}
	})
}

func BenchmarkWheelArmDisarm(b *testing.B) {
	w := newWheel()
	f := fired{}
	f.target = &f
	at := time.Now().Add(30 * time.Second)
	b.ReportAllocs()
	for range b.N {
		w.arm(&f.timer, at)
		w.disarm(&f.timer)
	}
}
