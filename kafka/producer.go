package kafka

import (
	"bytes"
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"parley/routing"
)

// ProducerOptions are what a Producer is made of, besides where Kafka is. The
// zero value of each, ReplyTopic apart, stands for its default.
type ProducerOptions struct {
	ReplyTopic      string        // told to services
	Buffered        int           // requests that wait for Kafka: 20,000
	BufferedBytes   int           // what they may hold: 256 MiB
	DeliveryTimeout time.Duration // from Produce to unavailable: 10 s, at least 1 s

	// SharedTime answers a time of this process by the clock that services are to go
	// by. Default: its own.
	SharedTime func(time.Time) time.Time
}

// Producer writes requests to the topics of services: acknowledged by all
// in-sync replicas, never twice, without lingering. It implements
// routing.Producer; its methods may be called from any goroutine.
type Producer struct {
	client  *kgo.Client
	options ProducerOptions
	done    func(*kgo.Record, error) // method value of acknowledged, made once

	limits   atomic.Pointer[Limits] // never nil
	batches  atomic.Uint64          // batches whose bytes were made, for whatever broker
	inFlight atomic.Int64           // requests that were not told how they ended
	closing  atomic.Bool
	idle     chan struct{} // told when closing and nothing is in flight
}

// NewProducer makes a producer. It does not connect: a cluster that is away is
// met by the first request.
func NewProducer(c Config, o ProducerOptions) (*Producer, error) {
	p := &Producer{options: o.withDefaults(), idle: make(chan struct{}, 1)}
	p.done = p.acknowledged
	p.limits.Store(&Limits{})
	timeout := p.options.DeliveryTimeout
	client, err := c.client(
		kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.ProducerLinger(0),
		kgo.MaxBufferedRecords(p.options.Buffered+1), // Produce refuses first
		kgo.MaxBufferedBytes(p.options.BufferedBytes),
		kgo.RecordPartitioner(byKey),
		kgo.ProducerBatchMaxBytesFn(func(topic string) int32 {
			return int32(min(p.limits.Load().Of(topic), maxBatch))
		}),
		// Nothing is compressed, for batches are small and CPU is what a gateway
		// lacks: the compressor only counts.
		kgo.WithCompressor(counter{&p.batches}),
		// A request that is out when its broker dies would otherwise wait for the
		// broker's return, however late, and all of its partition behind it. The
		// price is not to know whether it was written, which failure says.
		kgo.AllowIdempotentProduceCancellation(),
		kgo.RecordDeliveryTimeout(timeout),
		// A broker that accepts connections and never answers is noticed in time.
		kgo.ProduceRequestTimeout(timeout/2),
		kgo.RequestTimeoutOverhead(timeout/2),
		kgo.DialTimeout(timeout/2),
	)
	if err != nil {
		return nil, fmt.Errorf("kafka: make a producer: %w", err)
	}
	p.client = client
	return p, nil
}

// byKey sends a record where the Java client would. Every record has a key.
var byKey = kgo.BasicConsistentPartitioner(func(string) func(*kgo.Record, int) int {
	return func(r *kgo.Record, n int) int { return int(routing.Murmur2.Partition(r.Key, int32(n))) }
})

// maxBatch bounds a batch where its topic allows more.
const maxBatch = 32 << 20

func (o ProducerOptions) withDefaults() ProducerOptions {
	if o.Buffered <= 0 {
		o.Buffered = 20_000
	}
	if o.BufferedBytes <= 0 {
		o.BufferedBytes = 256 << 20
	}
	if o.DeliveryTimeout <= 0 {
		o.DeliveryTimeout = 10 * time.Second
	}
	o.DeliveryTimeout = max(o.DeliveryTimeout, time.Second)
	if o.SharedTime == nil {
		o.SharedTime = func(t time.Time) time.Time { return t }
	}
	return o
}

// counter counts the batches that are made into bytes, under the batch's lock
// and before any of them can reach a broker. See Producer.neverWritten.
type counter struct{ batches *atomic.Uint64 }

func (c counter) Compress(*bytes.Buffer, []byte, ...kgo.CompressFlag) ([]byte, kgo.CompressionCodecType) {
	c.batches.Add(1)
	return nil, kgo.CodecNone
}

// Produce queues a request for its service's topic. It does not block. The
// request is told once how it ended, at once or later: the errors are
// Overloaded (the buffer is full), TooLarge and Unavailable.
func (p *Producer) Produce(q *routing.Request) {
	if n := p.inFlight.Add(1); n > int64(p.options.Buffered) {
		p.finish(q, routing.RecordAt{}, overloaded(nil))
		return
	}
	if p.closing.Load() {
		p.finish(q, routing.RecordAt{}, unavailable(kgo.ErrClientClosed, routing.NotSent))
		return
	}
	r := encode(q, p.options.ReplyTopic, p.options.SharedTime(q.Deadline))
	r.written = p.batches.Load()
	p.client.TryProduce(r, &r.record, p.done)
}

// acknowledged is called by the client, one record at a time.
func (p *Producer) acknowledged(record *kgo.Record, err error) {
	r := record.Context.(*pending)
	q := r.request
	at := routing.RecordAt{Topic: record.Topic, Partition: record.Partition, Offset: record.Offset}
	var failed error // a nil *routing.Error would not be a nil error
	if err != nil {
		failed = failure(err, p.neverWritten(r))
	} else {
		routing.Pass(routing.PointProduced)
	}
	r.free()
	p.finish(q, at, failed)
}

// neverWritten tells whether a failed record certainly never reached a broker:
// it had no partition yet, or no batch at all has been made into bytes since it
// was queued. The client takes a record out of its batch under the lock under
// which it makes that batch into bytes, so the answer holds. While other
// records are written it may be no where yes would be true.
func (p *Producer) neverWritten(r *pending) bool {
	return r.record.Partition == unpartitioned || p.batches.Load() == r.written
}

func (p *Producer) finish(q *routing.Request, at routing.RecordAt, err error) {
	q.Produced(at, err)
	if p.inFlight.Add(-1) == 0 && p.closing.Load() {
		select {
		case p.idle <- struct{}{}:
		default:
		}
	}
}

// SetLimits tells what EnsureTopics found. A topic that was produced to before is
// taken to have Kafka's default for as long as the producer lives.
func (p *Producer) SetLimits(l Limits) { p.limits.Store(&l) }

// InFlight is how many requests wait for Kafka's word.
func (p *Producer) InFlight() int { return int(p.inFlight.Load()) }

// Ping asks any broker for a sign of life. It blocks until one answers or ctx ends.
func (p *Producer) Ping(ctx context.Context) error {
	if err := p.client.Ping(ctx); err != nil {
		return fmt.Errorf("kafka: ping: %w", err)
	}
	return nil
}

// Close refuses new requests, waits until the queued ones are written or ctx
// ends, and fails those that are left. When it returns, every request has been
// told how it ended. Calling it again does nothing more.
func (p *Producer) Close(ctx context.Context) {
	p.closing.Store(true)
	_ = p.client.Flush(ctx) // what it leaves, Close fails
	p.client.Close()
	for p.inFlight.Load() > 0 {
		<-p.idle
	}
}
