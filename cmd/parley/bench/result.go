package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
)

// Result is what a run measured. Latencies are in milliseconds.
type Result struct {
	Name        string  `json:"name,omitempty"`        // what was measured
	Rate        float64 `json:"rate,omitempty"`        // requests a second, open loop
	Outstanding int     `json:"outstanding,omitempty"` // over all lanes, closed loop
	Lanes       int     `json:"lanes"`
	Payload     int     `json:"payload"` // bytes
	Seconds     float64 `json:"seconds"`

	Sent      int64   `json:"sent"`
	Answered  int64   `json:"answered"`
	PerSecond float64 `json:"per_second"` // answers within the measured time
	Latency   Summary `json:"latency"`
	Lag       Summary `json:"lag"` // how late requests were sent; latency includes it

	Wrong   int64            `json:"wrong"`            // answers that were not the request's own
	Stray   int64            `json:"stray"`            // answers to no open request: second ones, say
	Missing int64            `json:"missing"`          // requests that got no answer at all, warm-up included
	Unsent  int64            `json:"unsent"`           // requests for which no socket was left
	Errors  map[string]int64 `json:"errors,omitempty"` // by word, or by what ended a socket

	CPU map[string]float64 `json:"cpu_us,omitempty"` // µs a request, by process
	// Others is how many processors were busy with what is not watched.
	Others float64 `json:"others"`
}

// Summary is a distribution in milliseconds.
type Summary struct {
	Mean float64 `json:"mean"`
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p999"`
	Max  float64 `json:"max"`
}

func summarize(h *Histogram) Summary {
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	return Summary{
		Mean: ms(h.Mean()), P50: ms(h.Quantile(0.5)), P90: ms(h.Quantile(0.9)),
		P99: ms(h.Quantile(0.99)), P999: ms(h.Quantile(0.999)), Max: ms(h.Max()),
	}
}

// result is called when nothing of the run goes on any more.
func (r *run) result() *Result {
	res := &Result{
		Rate: r.Rate, Lanes: r.Lanes, Payload: r.Payload, Seconds: r.Duration.Seconds(),
		Sent: r.sent.Load(), Answered: r.latency.Count(), PerSecond: float64(r.finished.Load()) / r.Duration.Seconds(),
		Latency: summarize(&r.latency), Lag: summarize(&r.lag),
		Wrong: r.wrong.Load(), Stray: r.stray.Load(), Unsent: r.unsent.Load(), Errors: r.words,
		CPU: make(map[string]float64),
	}
	if r.Rate == 0 {
		res.Outstanding = r.Lanes * r.Outstanding
	}
	for _, l := range r.lanes {
		res.Missing += int64(len(l.open))
	}
	r.cpuResult(res)
	return res
}

func (r *run) cpuResult(res *Result) {
	var watched time.Duration
	for name, pid := range r.Watch {
		spent := r.cpu[pid]
		watched += spent
		res.CPU[name] = float64(spent.Microseconds()) / float64(max(r.finished.Load(), 1))
	}
	if all, known := r.cpu[machine]; known {
		res.Others = max(all-watched, 0).Seconds() / r.Duration.Seconds()
	}
}

// Failed tells whether any request was lost, refused or answered wrongly.
func (r *Result) Failed() bool {
	return r.Wrong+r.Stray+r.Missing+r.Unsent > 0 || len(r.Errors) > 0 || r.Answered < r.Sent || r.Answered == 0
}

// WriteJSON writes the result as one line.
func (r *Result) WriteJSON(w io.Writer) error { return json.NewEncoder(w).Encode(r) }

// WriteText writes the result for people.
func (r *Result) WriteText(w io.Writer) error {
	var b strings.Builder
	loop := fmt.Sprintf("open loop, %g requests/s", r.Rate)
	if r.Rate == 0 {
		loop = fmt.Sprintf("closed loop, %d outstanding", r.Outstanding)
	}
	fmt.Fprintf(&b, "%s, %d sockets, %d bytes, %g s\n", loop, r.Lanes, r.Payload, r.Seconds)
	fmt.Fprintf(&b, "answered  %d of %d, %.1f/s\n", r.Answered, r.Sent, r.PerSecond)
	fmt.Fprintf(&b, "latency   %v\n", r.Latency)
	fmt.Fprintf(&b, "sent late %v (latency includes it)\n", r.Lag)
	for _, name := range slices.Sorted(maps.Keys(r.CPU)) {
		fmt.Fprintf(&b, "cpu       %s %.1f µs a request\n", name, r.CPU[name])
	}
	if len(r.CPU) > 0 {
		fmt.Fprintf(&b, "cpu       %.2f processors busy with other things\n", r.Others)
	}
	if r.Failed() {
		fmt.Fprintf(&b, "FAILED    wrong %d, stray %d, missing %d, unsent %d\n", r.Wrong, r.Stray, r.Missing, r.Unsent)
	}
	for _, word := range slices.Sorted(maps.Keys(r.Errors)) {
		fmt.Fprintf(&b, "error     %s: %d\n", word, r.Errors[word])
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (s Summary) String() string {
	return fmt.Sprintf("p50 %.3f  p90 %.3f  p99 %.3f  p99.9 %.3f  max %.3f ms", s.P50, s.P90, s.P99, s.P999, s.Max)
}
