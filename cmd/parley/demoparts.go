package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// report answers a request in so many parts, before its answer, with a delay before
// each: {"part":1,"of":5}. It tells whether ctx goes on.
func (d *demo) report(ctx context.Context, r *kgo.Record, parts int, delay time.Duration) bool {
	if headerOf(r, "parley-reply-topic") == "" {
		return true
	}
	for n := range parts {
		if delay > 0 {
			select {
			case <-time.After(delay):
			case <-ctx.Done():
				return false
			}
		}
		part := replyTo(r, fmt.Appendf(nil, `{"part":%d,"of":%d}`, n+1, parts))
		part.Headers = append(part.Headers,
			kgo.RecordHeader{Key: "parley-final", Value: []byte("false")},
			kgo.RecordHeader{Key: "parley-part", Value: strconv.AppendInt(nil, int64(n), 10)},
			kgo.RecordHeader{Key: "content-type", Value: []byte("application/json")},
		)
		d.client.Produce(ctx, part, func(_ *kgo.Record, err error) {
			if err != nil && ctx.Err() == nil {
				d.log.Warn("demo service cannot answer in parts", "request", headerOf(r, "parley-request-id"), "err", err)
			}
		})
	}
	return true
}
