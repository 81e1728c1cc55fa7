package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"parley/kafka"
	"parley/routing"
)

// Options are what a service is made of. The zero value of each, Kafka's brokers,
// Group and Handlers apart, stands for its default.
type Options struct {
	Kafka    kafka.Config
	Group    string             // consumer group: the same for all processes of the service
	Handlers map[string]Handler // by request topic

	// Concurrency is how many handlers may run at once: 64. Backlog is how many
	// requests may have been read that are not answered yet, those in handlers
	// among them: four times Concurrency, and at least 256. The others wait in
	// Kafka. A cancel is only noticed within the backlog.
	Concurrency int
	Backlog     int

	// Ordered handles the requests of one key one after the other, in the order of
	// their topic. Requests without a key, and those of other keys, do not wait.
	Ordered bool

	// Memory answers repeated requests, those with the idempotency key of another,
	// without calling the handler again. The zero value remembers nothing.
	Memory Memory

	Answer   int           // bytes of the largest answer, headers included: 1 MiB and 64 KiB
	Shutdown time.Duration // for handlers to end before their contexts do: 10 s
	Dialect  Dialect       // Parley
	Observer Observer      // nil for none
}

// Observer is told how requests end. It is called from any goroutine and must not
// block.
type Observer interface {
	Finished(topic string, outcome Outcome, took time.Duration)
}

// Outcome is how a request ended here.
type Outcome string

const (
	Answered   Outcome = "ok"         // the handler has answered
	Failed     Outcome = "failed"     // it has answered with a Failure
	Broken     Outcome = "broken"     // it has returned another error, or panicked
	Repeated   Outcome = "repeated"   // the memory has answered
	Expired    Outcome = "expired"    // its deadline had passed before it was answered
	Cancelled  Outcome = "cancelled"  // its client did not want it any longer
	Moved      Outcome = "moved"      // its partition went to another process before a handler had it
	Stopped    Outcome = "stopped"    // the service stops: another process gets it
	Unanswered Outcome = "unanswered" // told besides another: Kafka refused an answer for good
)

// The causes of the end of a handler's context, besides context.DeadlineExceeded.
var (
	ErrCancelled = errors.New("service: the client has cancelled the request, or is gone")
	ErrStopping  = errors.New("service: the service stops")
)

// Service answers requests. Make one with New, and call Run once.
type Service struct {
	options Options
	log     *slog.Logger
	client  *kgo.Client
	crew    crew
	memory  *memory         // nil for none
	work    context.Context // ends when handlers have to; set by Run
	lastErr string          // belongs to Run

	mu      sync.Mutex
	lines   map[place]*kafka.Line // of the partitions that are this process's
	jobs    map[string]*job       // by the ID of their request
	backlog int
	room    chan struct{} // has room for one: the backlog has shrunk
}

// place is a partition of a topic.
type place struct {
	topic     string
	partition int32
}

// New checks the options. It does not connect.
func New(o Options) (*Service, error) {
	s := &Service{
		options: o.withDefaults(), log: o.Kafka.Log,
		lines: make(map[place]*kafka.Line), jobs: make(map[string]*job), room: make(chan struct{}, 1),
	}
	if o.Group == "" || len(o.Handlers) == 0 {
		return nil, errors.New("service: a service needs a group, and a handler for each of its topics")
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.crew = crew{limit: s.options.Concurrency, ordered: o.Ordered, start: s.handle, busy: make(map[string][]*job)}
	if s.options.Memory.For > 0 {
		s.memory = newMemory(s.options.Memory)
	}
	client, err := o.Kafka.Client(s.clientOptions()...)
	if err != nil {
		return nil, fmt.Errorf("service: %w", err)
	}
	s.client = client
	return s, nil
}

func (o Options) withDefaults() Options {
	if o.Concurrency <= 0 {
		o.Concurrency = 64
	}
	if o.Backlog <= 0 {
		o.Backlog = max(4*o.Concurrency, 256)
	}
	if o.Answer <= 0 {
		o.Answer = 1<<20 + 64<<10
	}
	if o.Shutdown <= 0 {
		o.Shutdown = 10 * time.Second
	}
	if o.Dialect == nil {
		o.Dialect = Parley
	}
	return o
}

func (s *Service) clientOptions() []kgo.Opt {
	return []kgo.Opt{
		kgo.ConsumeTopics(slices.Sorted(maps.Keys(s.options.Handlers))...),
		kgo.ConsumerGroup(s.options.Group),
		kgo.ConsumeStartOffset(kgo.NewOffset().AtStart()),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.FetchMaxWait(time.Second),
		kgo.Balancers(kgo.CooperativeStickyBalancer()),
		kgo.BlockRebalanceOnPoll(),
		kgo.AutoCommitMarks(),
		kgo.AutoCommitInterval(commitEvery),
		kgo.OnPartitionsAssigned(s.assigned),
		kgo.OnPartitionsRevoked(s.revoked),
		kgo.OnPartitionsLost(s.lost),
		kgo.RecordPartitioner(whereAsked),
		kgo.ProducerLinger(0),
		kgo.ProducerBatchMaxBytes(int32(s.options.Answer)),
	}
}

const (
	commitEvery   = time.Second
	commitTimeout = 5 * time.Second
	revokeWait    = 100 * time.Millisecond // for what is nearly answered, when partitions are taken away
	anyPartition  = -1
)

// whereAsked sends an answer to the partition that its request names, else to that
// of its key, as a Java client would.
var whereAsked = kgo.BasicConsistentPartitioner(func(string) func(*kgo.Record, int) int {
	return func(r *kgo.Record, n int) int {
		if r.Partition >= 0 && int(r.Partition) < n {
			return int(r.Partition)
		}
		return int(routing.Murmur2.Partition(r.Key, int32(n)))
	}
})

// Run answers requests until ctx ends. Then it takes no more, gives the handlers
// that run Options.Shutdown to end and after that the end of their contexts, commits
// what is answered and leaves the group; what is not answered is the next process's.
// It returns when everything that it started has ended, handlers included.
func (s *Service) Run(ctx context.Context) error {
	var stop context.CancelCauseFunc
	s.work, stop = context.WithCancelCause(context.WithoutCancel(ctx))
	defer stop(nil)
	err := s.poll(ctx)
	limit := time.AfterFunc(s.options.Shutdown, func() { stop(ErrStopping) })
	defer limit.Stop()
	s.crew.end()
	s.leave()
	return err
}

// leave writes what is to be written, commits and leaves the group.
func (s *Service) leave() {
	ctx, cancel := context.WithTimeout(context.Background(), max(s.options.Shutdown, commitTimeout))
	defer cancel()
	if err := s.client.Flush(ctx); err != nil {
		s.log.Warn("answers were not written before the end", "group", s.options.Group, "err", err)
	}
	if err := s.client.LeaveGroupContext(ctx); err != nil { // it has revoked called, which commits
		s.log.Warn("the group was not left cleanly", "group", s.options.Group, "err", err)
	}
	s.client.CloseAllowingRebalance()
}
