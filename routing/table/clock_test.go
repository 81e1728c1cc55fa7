package table

import (
	"testing"
	"time"
)

// A process whose clock is minutes off learns it from Redis, tells times by Redis's
// clock from then on, and reads its own in them; a difference that any two clocks have, or
// that a slow round trip may account for, changes nothing.
func TestClock(t *testing.T) {
	var c clock
	sent := time.Now()
	received := sent.Add(20 * time.Millisecond)
	if _, news := c.learn(sent, received, sent.Add(90*time.Millisecond).UnixMilli()); news || !c.there(sent).Equal(sent) {
		t.Errorf("80 ms are news, and %v are told as %v", sent, c.there(sent))
	}
	slow := sent.Add(2 * time.Second)
	if _, news := c.learn(sent, slow, sent.Add(1900*time.Millisecond).UnixMilli()); news {
		t.Error("what a slow round trip may account for is believed")
	}
	var busy clock
	if off, news := busy.learn(sent, slow, sent.Add(-5*time.Minute).UnixMilli()); !news || (off-5*time.Minute).Abs() > 1010*time.Millisecond {
		t.Errorf("a clock that is 5 min ahead is off by %v after a slow round trip, news: %v", off, news)
	}
	if off, news := busy.learn(sent, received, sent.Add(-5*time.Minute).UnixMilli()); !news || (off-5*time.Minute).Abs() > 20*time.Millisecond {
		t.Errorf("a clock that is 5 min ahead is off by %v after a quick one, news: %v", off, news)
	}
	off, news := c.learn(sent, received, sent.Add(-5*time.Minute).UnixMilli())
	if !news || (off-5*time.Minute).Abs() > 20*time.Millisecond {
		t.Errorf("a clock that is 5 min ahead is off by %v, news: %v", off, news)
	}
	if told := c.there(sent); (told.Sub(sent) + 5*time.Minute).Abs() > 20*time.Millisecond {
		t.Errorf("%v is told as %v", sent, told)
	}
	if back := c.here(c.there(sent)); !back.Equal(sent) {
		t.Errorf("%v comes back as %v", sent, back)
	}
	if _, news := c.learn(sent, received, sent.Add(-5*time.Minute).UnixMilli()); news {
		t.Error("the same is news a second time")
	}
	if never := c.here(time.Time{}); !never.IsZero() {
		t.Errorf("a time that was not told is %v", never)
	}
}
