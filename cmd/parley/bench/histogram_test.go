package bench

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// Quantiles of a million durations, from nanoseconds to minutes, are within 0.8 %
// of the true ones, and the maximum is exact.
func TestQuantiles(t *testing.T) {
	var h Histogram
	all := make([]time.Duration, 200_000)
	for i := range all {
		all[i] = time.Duration(math.Exp(rand.Float64() * 25))
		h.Record(all[i])
	}
	slices.Sort(all)
	for _, q := range []float64{0, 0.001, 0.1, 0.5, 0.9, 0.99, 0.999} {
		want, got := float64(all[int(q*float64(len(all)))]), float64(h.Quantile(q))
		if math.Abs(got-want) > 0.008*want+1 {
			t.Errorf("quantile %v: %v, want %v", q, got, want)
		}
	}
	if h.Max() != all[len(all)-1] || h.Quantile(1) != h.Max() {
		t.Errorf("maximum %v and %v, want %v", h.Max(), h.Quantile(1), all[len(all)-1])
	}
}

// What no one expects is counted all the same: nothing, less than nothing, and
// more than an hour.
func TestHistogramEdges(t *testing.T) {
	var h Histogram
	if h.Quantile(0.5) != 0 || h.Mean() != 0 {
		t.Error("an empty histogram has no quantiles")
	}
	h.Record(-time.Second)
	if h.Quantile(0.5) != 0 {
		t.Errorf("negative: %v", h.Quantile(0.5))
	}
	h.Record(1000 * time.Hour)
	if h.Max() != 1000*time.Hour || h.Count() != 2 {
		t.Errorf("max %v, count %d", h.Max(), h.Count())
	}
}

// Every value falls into a bucket, and buckets follow each other without gaps.
func TestBuckets(t *testing.T) {
	last := 0
	for v := int64(0); v < 1<<20; v++ {
		b := bucketOf(v)
		if b != last && b != last+1 {
			t.Fatalf("value %d is in bucket %d after %d", v, b, last)
		}
		if bucketOf(middleOf(b)) != b {
			t.Fatalf("the middle of bucket %d is %d, in bucket %d", b, middleOf(b), bucketOf(middleOf(b)))
		}
		last = b
	}
}
