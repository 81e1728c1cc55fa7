package service

import (
	"context"
	"crypto/rand"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"

	"parley/kafka"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a Kafka with a request topic and a reply topic for one test, and a client
// that asks as a gateway does. Kafka is the real one that PARLEY_TEST_KAFKA names,
// else one in this process.
type world struct {
	t        *testing.T
	config   kafka.Config
	requests string
	replies  string
	group    string
	client   *kgo.Client

	mu  sync.Mutex
	got []reply
}

// reply is a record of the reply topic.
type reply struct {
	id, part, code, message, status, contentType, body string
	final                                              bool
	partition                                          int32
}

const partitions = 4

func newWorld(t *testing.T) *world {
	t.Helper()
	brokers := []string{os.Getenv("PARLEY_TEST_KAFKA")}
	if brokers[0] == "" {
		fake, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.GroupMinSessionTimeout(time.Second))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(fake.Close)
		brokers = fake.ListenAddrs()
	}
	name := strings.ToLower(rand.Text()[:10])
	w := &world{t: t, config: kafka.Config{Brokers: brokers, Log: testLog(t)}, requests: "requests-" + name, replies: "replies-" + name, group: "service-" + name}
	_, err := kafka.EnsureTopics(t.Context(), w.config, true, []kafka.Topic{{Name: w.requests, Partitions: partitions}, {Name: w.replies, Partitions: partitions}})
	if err != nil {
		t.Fatal(err)
	}
	if w.client, err = kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.ConsumeTopics(w.replies), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchMaxWait(100*time.Millisecond), kgo.ProducerLinger(0)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { w.read(ctx) })
	t.Cleanup(func() { cancel(); running.Wait(); w.client.Close() })
	return w
}

func testLog(t *testing.T) *slog.Logger {
	if testing.Verbose() {
		return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelInfo}))
	}
	return slog.New(slog.DiscardHandler)
}

func (w *world) read(ctx context.Context) {
	for ctx.Err() == nil {
		w.client.PollFetches(ctx).EachRecord(func(r *kgo.Record) {
			got := reply{id: header(r, "parley-request-id"), part: header(r, "parley-part"), code: header(r, "parley-error-code"),
				message: header(r, "parley-error-message"), status: header(r, "parley-status"), contentType: header(r, "content-type"),
				body: string(r.Value), final: header(r, "parley-final") != "false", partition: r.Partition}
			w.mu.Lock()
			w.got = append(w.got, got)
			w.mu.Unlock()
		})
	}
}

func header(r *kgo.Record, name string) string {
	for _, h := range r.Headers {
		if h.Key == name {
			return string(h.Value)
		}
	}
	return ""
}

// serve runs a service until the test ends, or stop is called.
func (w *world) serve(h Handler, with func(*Options)) (stop func()) {
	w.t.Helper()
	return w.run(w.service(h, with))
}

// service makes a service that does not run yet.
func (w *world) service(h Handler, with func(*Options)) *Service {
	w.t.Helper()
	o := Options{Kafka: w.config, Group: w.group, Handlers: map[string]Handler{w.requests: h}}
	if with != nil {
		with(&o)
	}
	s, err := New(o)
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

// run runs a service until the test ends, or stop is called, which waits for its end.
func (w *world) run(s *Service) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := s.Run(ctx); err != nil {
			w.t.Errorf("the service ends: %v", err)
		}
	})
	stop = sync.OnceFunc(func() { cancel(); running.Wait() })
	w.t.Cleanup(stop)
	return stop
}

// ask writes a request; headers are pairs of a name and a value beside the usual
// ones.
func (w *world) ask(id, key, body string, headers ...string) {
	w.t.Helper()
	usual := []string{"parley-request-id", id, "parley-reply-topic", w.replies, "parley-service", "shop",
		"parley-idempotency-key", id, "parley-deadline", strconv.FormatInt(time.Now().Add(time.Minute).UnixMilli(), 10)}
	w.write(key, body, append(usual, headers...)...)
}

// write writes a record; of headers with one name the last counts.
func (w *world) write(key, body string, headers ...string) {
	w.t.Helper()
	record := &kgo.Record{Topic: w.requests, Value: []byte(body), Key: []byte(key)}
	for i := len(headers) - 2; i >= 0; i -= 2 {
		if header(record, headers[i]) == "" {
			record.Headers = append(record.Headers, kgo.RecordHeader{Key: headers[i], Value: []byte(headers[i+1])})
		}
	}
	if err := w.client.ProduceSync(w.t.Context(), record).FirstErr(); err != nil {
		w.t.Fatal(err)
	}
}

// await waits for the final answer to a request, and answers all to it.
func (w *world) await(id string) (all []reply) {
	w.t.Helper()
	w.until("an answer to "+id, func() bool {
		all = w.repliesTo(id)
		return len(all) > 0 && all[len(all)-1].final
	})
	return all
}

func (w *world) repliesTo(id string) (all []reply) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range w.got {
		if r.id == id {
			all = append(all, r)
		}
	}
	return all
}

// until waits for real servers, for which there is no other clock.
func (w *world) until(what string, is func() bool) {
	w.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			w.t.Fatalf("waited too long for %s", what)
		}
	}
}

// committed sums up how many records the group has done with.
func (w *world) committed() (n int64) {
	offsets, err := kadm.NewClient(w.client).FetchOffsets(w.t.Context(), w.group)
	if err != nil {
		return 0
	}
	offsets.Each(func(o kadm.OffsetResponse) { n += max(0, o.At) })
	return n
}
