package kafka

import (
	"bytes"
	"context"
	"net"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"parley/routing"
)

// bench is a producer with a router in front of it, and one client's session.
type bench struct {
	*Producer
	router  *routing.Router
	session *routing.Session
	*caller
	n int
}

func (k *testKafka) bench(t *testing.T, topic string, o ProducerOptions) *bench {
	t.Helper()
	o.ReplyTopic = "parley.replies"
	p, err := NewProducer(k.Config, o)
	if err != nil {
		t.Fatal(err)
	}
	service := orders()
	service.Topic = topic
	b := &bench{Producer: p, caller: newCaller(), router: routing.New(routing.Options{
		Node: "a", Services: []*routing.Service{service}, Producer: p, Table: alone{}, Log: k.Log,
		Limits: routing.Limits{OpenRequests: 100_000},
	})}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { b.router.Run(ctx) })
	t.Cleanup(func() {
		over, stop := context.WithTimeout(context.Background(), 100*time.Millisecond)
		defer stop()
		p.Close(over)
		cancel()
		running.Wait()
	})
	session, e := b.router.Open(ctx, routing.OpenSession{Sink: b.caller})
	if e != nil {
		t.Fatal(e)
	}
	b.session = session
	return b
}

func (b *bench) call(t *testing.T, call routing.Call) routing.RequestID {
	t.Helper()
	b.n++
	call.Door, call.Service, call.ClientID, call.Digest = routing.DoorWS, "orders", strconv.Itoa(b.n), uint64(b.n)
	call.WantSafe = true
	id, err := b.session.Submit(&call, nil)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// fails submits a call and wants this outcome.
func (b *bench) fails(t *testing.T, call routing.Call, word routing.Word, outcome routing.Certainty) {
	t.Helper()
	b.call(t, call)
	b.failed(t, word, outcome)
}

func (b *bench) failed(t *testing.T, word routing.Word, outcome routing.Certainty) {
	t.Helper()
	if e := receive(t, "the outcome", b.got).Err; e == nil || e.Word != word || e.Outcome != outcome {
		t.Errorf("got %+v, want %s and %s", e, word, outcome)
	}
}

// A request becomes one record, accepted when Kafka has it.
func TestProduce(t *testing.T) {
	k := newKafka(t)
	topic := k.topic(t, "orders", 3)
	b := k.bench(t, topic, ProducerOptions{})
	if err := b.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	consumer := k.kgo(t, kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	for _, body := range []string{"", "one", "\x00\xff"} {
		id := b.call(t, routing.Call{Body: []byte(body), Key: []byte("k")})
		if got := receive(t, "acceptance", b.accepted); got != id {
			t.Errorf("accepted %s, want %s", got, id)
		}
		r := read(t, consumer)
		if string(r.Value) != body || string(r.Key) != "k" || r.Headers[0].Key != RequestIDHeader || string(r.Headers[0].Value) != string(id) {
			t.Errorf("got %q %q %v", r.Key, r.Value, r.Headers)
		}
		if want := routing.Murmur2.Partition([]byte("k"), 3); r.Partition != want {
			t.Errorf("partition %d, want %d, where the Java client sends it", r.Partition, want)
		}
	}
}

// A megabyte passes; what the topic does not accept is told as such.
func TestProduceLarge(t *testing.T) {
	k := newKafka(t)
	name := "large-" + k.name
	limits, err := EnsureTopics(t.Context(), k.Config, true, []Topic{{Name: name, Partitions: 1, RecordBytes: 2 << 20}})
	if err != nil {
		t.Fatal(err)
	}
	b := k.bench(t, name, ProducerOptions{})
	b.SetLimits(limits)
	for _, size := range []int{1_000_000, 1 << 20} {
		b.call(t, routing.Call{Body: bytes.Repeat([]byte("x"), size)})
		receive(t, "acceptance", b.accepted)
	}
	b.fails(t, routing.Call{Body: make([]byte, 5_000_000)}, routing.TooLarge, routing.NotSent)

	// A topic with Kafka's defaults, of which the producer knows nothing.
	plain := "plain-" + k.name
	if _, err := EnsureTopics(t.Context(), k.Config, true, []Topic{{Name: plain, Partitions: 1, RecordBytes: 1}}); err != nil {
		t.Fatal(err)
	}
	b = k.bench(t, plain, ProducerOptions{})
	b.call(t, routing.Call{Body: make([]byte, 1_000_000)})
	receive(t, "acceptance", b.accepted)
	b.fails(t, routing.Call{Body: make([]byte, 1<<20)}, routing.TooLarge, routing.NotSent)
	b.call(t, routing.Call{Body: []byte("small")})
	receive(t, "acceptance after a refusal", b.accepted)

	// A producer that knows better than the topic does: the broker refuses.
	b = k.bench(t, plain, ProducerOptions{})
	b.SetLimits(Limits{plain: 8 << 20})
	b.fails(t, routing.Call{Body: make([]byte, 2<<20)}, routing.TooLarge, routing.NotSent)
}

// A service whose topic is not there is unavailable, and nothing was sent.
func TestProduceUnknownTopic(t *testing.T) {
	k := newKafka(t)
	b := k.bench(t, "nowhere-"+k.name, ProducerOptions{})
	b.fails(t, routing.Call{}, routing.Unavailable, routing.NotSent)
}

// A cluster that was never there costs the delivery timeout, and nothing was
// sent.
func TestProduceNoKafka(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	k := &testKafka{Config: Config{Brokers: []string{l.Addr().String()}, Log: testLog(t)}}
	b := k.bench(t, "orders", ProducerOptions{DeliveryTimeout: time.Second})
	begin := time.Now()
	b.fails(t, routing.Call{}, routing.Unavailable, routing.NotSent)
	if took := time.Since(begin); took > 3*time.Second {
		t.Errorf("took %v", took)
	}
}

// hold makes a cluster keep produce requests to itself. It answers how to tell
// that one came, and how to let them go.
func hold(c *kfake.Cluster) (came <-chan struct{}, release func()) {
	arrived, gone := make(chan struct{}, 100), make(chan struct{})
	c.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		arrived <- struct{}{}
		c.SleepControl(func() { <-gone })
		return nil, nil, false
	})
	return arrived, sync.OnceFunc(func() { close(gone) })
}

// A broker dies with a request in its hands: whether it was written is not
// known, and that is what the client is told. What comes later is known not to
// have been sent. When the broker returns, so does the service.
func TestProduceOutage(t *testing.T) {
	alongside(t)
	dir, port := t.TempDir(), freePort(t)
	k := newFake(t, kfake.DataDir(dir), kfake.Ports(port))
	topic := k.topic(t, "orders", 1)
	watched, seen := k.seen()
	b := watched.bench(t, topic, ProducerOptions{DeliveryTimeout: 2 * time.Second})
	b.call(t, routing.Call{})
	receive(t, "acceptance", b.accepted)

	came, release := hold(k.fake)
	b.call(t, routing.Call{})
	receive(t, "the request", came)
	t.Cleanup(release)
	k.fake.Close()
	receive(t, "the end of a connection", seen.lost) // so an answer would not be heard any longer
	release()
	begin := time.Now()
	b.failed(t, routing.Unavailable, routing.Unknown)
	t.Logf("failed after %v", time.Since(begin))
	b.fails(t, routing.Call{}, routing.Unavailable, routing.NotSent)
	t.Logf("failed again after %v", time.Since(begin))
	if took := time.Since(begin); took > 10*time.Second {
		t.Errorf("took %v", took)
	}

	newFake(t, kfake.DataDir(dir), kfake.Ports(port))
	begin = time.Now()
	b.call(t, routing.Call{})
	receive(t, "acceptance after the return", b.accepted)
	t.Logf("accepted %v after the broker's return", time.Since(begin))
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// A broker that takes requests and never answers is noticed too.
func TestProduceFrozenBroker(t *testing.T) {
	k := newFake(t)
	topic := k.topic(t, "orders", 1)
	b := k.bench(t, topic, ProducerOptions{DeliveryTimeout: time.Second})
	b.call(t, routing.Call{})
	receive(t, "acceptance", b.accepted)
	_, release := hold(k.fake)
	t.Cleanup(release)
	begin := time.Now()
	b.fails(t, routing.Call{}, routing.Unavailable, routing.Unknown)
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("took %v", took)
	}
}

// What does not fit the buffer is refused at once; what is left at the end is
// told how it ended.
func TestProduceOverload(t *testing.T) {
	k := newFake(t)
	topic := k.topic(t, "orders", 1)
	b := k.bench(t, topic, ProducerOptions{Buffered: 10})
	came, release := hold(k.fake)
	t.Cleanup(release)
	b.call(t, routing.Call{})
	receive(t, "the request", came)
	for range 9 {
		b.call(t, routing.Call{})
	}
	if n := b.InFlight(); n != 10 {
		t.Errorf("%d in flight", n)
	}
	b.fails(t, routing.Call{}, routing.Overloaded, routing.NotSent)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	closed := make(chan struct{})
	go func() { b.Close(ctx); close(closed) }()
	b.failed(t, routing.Unavailable, routing.Unknown) // the broker has it
	for range 9 {
		b.failed(t, routing.Unavailable, routing.NotSent) // nobody ever had it
	}
	receive(t, "the end of Close", closed)
	b.fails(t, routing.Call{}, routing.Unavailable, routing.NotSent)
}

// Closing writes what is queued first.
func TestProducerCloseFlushes(t *testing.T) {
	k := newKafka(t)
	b := k.bench(t, k.topic(t, "orders", 3), ProducerOptions{})
	for range 500 {
		b.call(t, routing.Call{Body: []byte("x")})
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	b.Close(ctx)
	if n := len(b.accepted); n != 500 {
		t.Errorf("%d accepted", n)
	}
}
