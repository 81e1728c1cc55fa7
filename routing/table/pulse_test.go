package table

import (
	"testing"
	"testing/synctest"
	"time"
)

// A beat that is long overdue says that the process slept, from the first look at the
// clock on, and a renewal that was sent before the sleep does not change that. Who
// has no lease is not watched.
func TestPulse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p pulse
		p.init(time.Second)
		want := func(what string, got, want bool) {
			t.Helper()
			if got != want {
				t.Errorf("%s: %v", what, got)
			}
		}
		sleep := func(d time.Duration) { t.Helper(); time.Sleep(d) }
		sleep(time.Minute)
		want("slept before its first lease", p.slept(time.Now()), false)
		want("beat", p.beat(time.Now(), true), true)
		sleep(400 * time.Millisecond)
		want("slept after a short pause", p.slept(time.Now()), false)
		want("beat", p.beat(time.Now(), true), true)
		sent := time.Now()
		sleep(501 * time.Millisecond)
		want("slept", p.slept(time.Now()), true)
		want("beat", p.beat(time.Now(), true), false)
		p.confirm(sent)
		want("slept, with an old answer", p.slept(time.Now()), true)
		p.confirm(time.Now())
		want("slept, and told", p.slept(time.Now()), false)
		want("beat", p.beat(time.Now(), false), true)
		sleep(time.Minute)
		want("slept without a lease", p.slept(time.Now()), false)
		want("beat", p.beat(time.Now(), true), true)
		p.stop()
		sleep(time.Minute)
		want("slept after the end", p.slept(time.Now()), false)
	})
}
