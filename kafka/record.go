package kafka

import (
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"parley/routing"
)

// pending is a request on its way into Kafka, with the memory that its record
// is made of. It is its record's Context, which is how the client hands it back
// without a closure for each request.
type pending struct {
	context.Context
	request *routing.Request
	written uint64 // Producer.batches when it was handed to the client
	record  kgo.Record
	headers [20]kgo.RecordHeader
	values  [512]byte
}

// unpartitioned marks a record whose topic's partitions are not known yet.
const unpartitioned = -1

var pendings = sync.Pool{New: func() any { return &pending{Context: context.Background()} }}

// encode makes the record of a request, whose deadline is told by the shared clock. The record shares the call's body, key
// and header values, and p's own memory.
func encode(q *routing.Request, replyTopic string, deadline time.Time) *pending {
	p := pendings.Get().(*pending)
	p.request = q
	call := q.Call
	b := builder{headers: p.headers[:0], values: p.values[:0]}
	if q.Cancels != "" {
		b.text(CancelHeader, string(q.Cancels))
		b.text(ServiceHeader, q.Service.Name)
		return p.fill(&b, nil)
	}
	if q.ID != "" {
		b.text(RequestIDHeader, string(q.ID))
		if q.Entity == "" { // else an event answers, and not a reply
			b.text(ReplyTopicHeader, replyTopic)
		}
		if q.ReplyPartition != routing.NoPartition {
			b.number(ReplyPartitionHeader, int64(q.ReplyPartition))
		}
		if call.IdempotencyKey != "" {
			b.text(IdempotencyKeyHeader, call.IdempotencyKey)
		} else {
			b.text(IdempotencyKeyHeader, string(q.ID))
		}
	}
	b.text(ServiceHeader, q.Service.Name)
	b.number(DeadlineHeader, deadline.UnixMilli())
	b.optional(SubjectHeader, q.Subject)
	b.optional(MethodHeader, call.Method)
	b.optional(PathHeader, call.Path)
	b.optional(QueryHeader, call.Query)
	b.optional(ContentTypeHeader, call.ContentType)
	for _, h := range call.Headers {
		if call.ContentType == "" || h.Key != ContentTypeHeader {
			b.headers = append(b.headers, kgo.RecordHeader{Key: h.Key, Value: h.Value})
		}
	}
	return p.fill(&b, call.Body)
}

// fill makes p's record of headers and a body, under the key of its request.
func (p *pending) fill(b *builder, body []byte) *pending {
	q := p.request
	key := q.Call.Key
	switch {
	case key != nil:
	case q.Entity != "":
		key = b.value(q.Entity)
	default:
		key = b.value(string(q.Session))
	}
	p.record = kgo.Record{
		Topic: q.Service.Topic, Partition: unpartitioned, Context: p,
		Key: key, Value: body, Headers: b.headers,
	}
	return p
}

// free gives p's memory back. The client must be done with its record.
func (p *pending) free() {
	p.request, p.record = nil, kgo.Record{}
	clear(p.headers[:])
	pendings.Put(p)
}

// builder collects headers whose values lie in one slab. A slab that grows
// leaves the values so far where they were.
type builder struct {
	headers []kgo.RecordHeader
	values  []byte
}

func (b *builder) value(text string) []byte {
	from := len(b.values)
	b.values = append(b.values, text...)
	return b.values[from:len(b.values):len(b.values)]
}

func (b *builder) text(key, value string) {
	b.headers = append(b.headers, kgo.RecordHeader{Key: key, Value: b.value(value)})
}

func (b *builder) optional(key, value string) {
	if value != "" {
		b.text(key, value)
	}
}

func (b *builder) number(key string, n int64) {
	from := len(b.values)
	b.values = strconv.AppendInt(b.values, n, 10)
	b.headers = append(b.headers, kgo.RecordHeader{Key: key, Value: b.values[from:len(b.values):len(b.values)]})
}
