package bench

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// Histogram counts durations in log-linear buckets: each power of two of
// nanoseconds is split into 128 equal parts, so that a value is known to better
// than 0.8 %, from a nanosecond to an hour, in 40 KB. Its methods may be called
// from any goroutine; the zero value is empty and ready.
type Histogram struct {
	count, sum, max atomic.Int64
	buckets         [numBuckets]atomic.Int64
}

const (
	subBits    = 7
	subBuckets = 1 << subBits
	numBuckets = (42 - subBits + 1) * subBuckets // 2^42 ns are 73 minutes
)

// Record counts one duration. A negative one counts as none, one of more than
// an hour into the last bucket.
func (h *Histogram) Record(d time.Duration) {
	v := max(int64(d), 0)
	h.buckets[bucketOf(v)].Add(1)
	h.count.Add(1)
	h.sum.Add(v)
	for {
		seen := h.max.Load()
		if v <= seen || h.max.CompareAndSwap(seen, v) {
			return
		}
	}
}

// bucketOf is the bucket of a value. Values below 128 have a bucket each;
// from there on a value keeps its highest bit and the seven after it.
func bucketOf(v int64) int {
	shift := max(bits.Len64(uint64(v))-subBits-1, 0)
	return min(shift<<subBits+int(v>>shift), numBuckets-1)
}

// middleOf is the value in the middle of a bucket.
func middleOf(bucket int) int64 {
	if bucket < 2*subBuckets {
		return int64(bucket)
	}
	shift := bucket>>subBits - 1
	low := int64(bucket-shift<<subBits) << shift
	return low + 1<<shift/2
}

// Quantile is the duration below which the share q, from 0 to 1, of all
// recorded ones lies; 0 when there are none.
func (h *Histogram) Quantile(q float64) time.Duration {
	count := h.count.Load()
	rank := int64(q * float64(count))
	for bucket := range h.buckets {
		if rank -= h.buckets[bucket].Load(); rank < 0 {
			return min(time.Duration(middleOf(bucket)), h.Max())
		}
	}
	return h.Max()
}

// Max is the longest duration that was recorded, exactly.
func (h *Histogram) Max() time.Duration { return time.Duration(h.max.Load()) }

// Mean is the arithmetic mean; 0 when nothing was recorded.
func (h *Histogram) Mean() time.Duration {
	return time.Duration(h.sum.Load() / max(h.count.Load(), 1))
}

// Count is how many durations were recorded.
func (h *Histogram) Count() int64 { return h.count.Load() }
