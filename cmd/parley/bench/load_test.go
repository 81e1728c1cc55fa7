package bench

import (
	"context"
	"errors"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func driven(t *testing.T, m *memory, l Load) *Result {
	t.Helper()
	r, err := drive(t.Context(), m, l, fakeSleep)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func near(got, want, tolerance float64) bool { return math.Abs(got-want) <= tolerance*want }

// A system that answers everything within 2 ms has a latency of 2 ms, whatever
// is counted, and requests are sent when they are due.
func TestOpenLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := driven(t, &memory{after(2 * time.Millisecond)},
			Load{Lanes: 3, Rate: 1000, Payload: 100, Warmup: time.Second, Duration: 5 * time.Second, Drain: time.Second})
		if r.Failed() || r.Sent != 5000 || r.Answered != 5000 {
			t.Errorf("%+v", r)
		}
		for _, ms := range []float64{r.Latency.P50, r.Latency.P999, r.Latency.Max, r.Latency.Mean} {
			if !near(ms, 2, 0.01) {
				t.Errorf("latency %v", r.Latency)
			}
		}
		if r.Lag.Max != 0 {
			t.Errorf("sent late: %v", r.Lag)
		}
	})
}

// A system that takes nothing for a second makes a thousand requests wait, half
// a second on average: the load generator must not leave out those that it
// could not send.
func TestNoCoordinatedOmission(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stall := &memory{func(id uint64, body []byte, reply func(Answer)) {
			if id == 2000 {
				time.Sleep(time.Second)
			}
			reply(Answer{ID: id, Body: body})
		}}
		r := driven(t, stall, Load{Lanes: 1, Rate: 1000, Payload: 100, Duration: 4 * time.Second})
		if r.Failed() || r.Sent != 4000 {
			t.Errorf("%+v", r)
		}
		// A quarter of all requests waited, evenly between 0 and 1 s.
		if r.Latency.P50 > 0.01 || !near(r.Latency.P90, 600, 0.02) || !near(r.Latency.Max, 1000, 0.001) {
			t.Errorf("latency %v", r.Latency)
		}
		if !near(r.Lag.Max, 999, 0.001) {
			t.Errorf("lag %v", r.Lag)
		}
	})
}

// In a closed loop the number of outstanding requests over the latency is the
// throughput.
func TestClosedLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := driven(t, &memory{after(5 * time.Millisecond)},
			Load{Lanes: 10, Outstanding: 4, Payload: 64, Warmup: time.Second, Duration: 2 * time.Second, Drain: time.Second})
		if r.Failed() || !near(r.PerSecond, 40/0.005, 0.01) || r.Outstanding != 40 {
			t.Errorf("%+v", r)
		}
	})
}

// Whatever an answer can have wrong is counted by its name, and fails the run.
func TestWrongAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		handle func(id uint64, body []byte, reply func(Answer))
		count  func(*Result) int64
	}{
		"another's payload": {func(id uint64, body []byte, reply func(Answer)) {
			if id == 7 {
				body[nonceAt] ^= 1
			}
			reply(Answer{ID: id, Body: body})
		}, func(r *Result) int64 { return r.Wrong }},
		"cut short": {func(id uint64, body []byte, reply func(Answer)) {
			if id == 7 {
				body = body[:len(body)-1]
			}
			reply(Answer{ID: id, Body: body})
		}, func(r *Result) int64 { return r.Wrong }},
		"twice": {func(id uint64, body []byte, reply func(Answer)) {
			reply(Answer{ID: id, Body: body})
			if id == 7 {
				reply(Answer{ID: id, Body: body})
			}
		}, func(r *Result) int64 { return r.Stray }},
		"lost": {func(id uint64, body []byte, reply func(Answer)) {
			if id != 7 {
				reply(Answer{ID: id, Body: body})
			}
		}, func(r *Result) int64 { return r.Missing }},
		"error": {func(id uint64, body []byte, reply func(Answer)) {
			a := Answer{ID: id, Body: body}
			if id == 7 {
				a.Word = "overloaded"
			}
			reply(a)
		}, func(r *Result) int64 { return r.Errors["overloaded"] }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := driven(t, &memory{c.handle}, Load{Lanes: 2, Rate: 100, Payload: 64, Duration: time.Second, Drain: time.Second})
				if !r.Failed() || c.count(r) != 2 { // one a lane
					t.Errorf("%+v", r)
				}
			})
		})
	}
}

// Who is interrupted gets no numbers, and nothing is left running.
func TestInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := drive(ctx, &memory{after(0)}, Load{Lanes: 2, Rate: 100, Payload: 64, Duration: time.Minute}, fakeSleep)
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
	})
}

// The load generator shares its processors with what it measures: a request
// costs it no allocation.
func TestAllocations(t *testing.T) {
	payload, _ := NewPayload(100, 1)
	r := &run{Load: Load{Duration: time.Hour}, payload: payload, start: time.Now()}
	l := newLane(r, &nowhere{}, 0)
	var body []byte
	allocs := testing.AllocsPerRun(1000, func() {
		l.send(0)
		body = payload.Write(body, 0, l.last)
		l.take(Answer{ID: l.last, Body: body}, time.Millisecond)
	})
	if allocs != 0 || r.wrong.Load()+r.stray.Load() > 0 {
		t.Errorf("%v allocations a request, %d wrong, %d stray", allocs, r.wrong.Load(), r.stray.Load())
	}
}

type nowhere struct{ Lane }

func (*nowhere) Send(uint64, []byte) error { return nil }
