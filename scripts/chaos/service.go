package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"log"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"parley/routing"
)

// question is the payload of a request. Its client decides how it is answered.
type question struct {
	Client int    `json:"client"`
	N      int    `json:"n"`
	Delay  int    `json:"delay,omitempty"` // ms until the answer, over which its parts are spread
	Mute   bool   `json:"mute,omitempty"`  // there is none, at most parts
	Parts  int    `json:"parts,omitempty"` // of the answer, the last of which is final; 0 where it does not come in parts
	Large  int    `json:"large,omitempty"` // how often the answer repeats Pad
	Key    string `json:"key,omitempty"`   // what the event is to be about that answers, where one does
	Pad    string `json:"pad,omitempty"`
}

// answer is the payload of a reply: whose it is, and what was asked.
type answer struct {
	Owner   call   `json:"owner"`
	Request string `json:"request"`
	Part    int    `json:"part,omitempty"`
	State   string `json:"state,omitempty"` // of an event
	Pad     string `json:"pad,omitempty"`
}

func hashOf(body []byte) uint32 { return crc32.ChecksumIEEE(body) }

// services answer the requests of all topics, and tell the history. They talk to
// Kafka directly: what is done to the gateway's network is not done to them. They
// read every record that is ever in the topics, once.
type services struct {
	client  *kgo.Client
	history atomic.Pointer[history]
	pending sync.WaitGroup // answers that are not acknowledged

	mu   sync.Mutex
	read map[string]map[int32]int64 // the next offset of each partition
}

func newServices(brokers []string) (*services, error) {
	s := &services{read: map[string]map[int32]int64{homeTopic: {}, anyTopic: {}, waitTopic: {}}}
	from := make(map[string]map[int32]kgo.Offset)
	for topic := range s.read {
		from[topic] = make(map[int32]kgo.Offset)
		for p := range int32(topicPartitions) {
			from[topic][p] = kgo.NewOffset().AtStart()
		}
	}
	var err error
	s.client, err = kgo.NewClient(
		kgo.SeedBrokers(brokers...),
		kgo.ClientID("service"),
		kgo.ConsumePartitions(from),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerLinger(10*time.Millisecond),
		kgo.RetryBackoffFn(func(int) time.Duration { return 100 * time.Millisecond }),
		kgo.MetadataMinAge(200*time.Millisecond),
	)
	return s, err
}

// run answers until ctx ends.
func (s *services) run(ctx context.Context) {
	defer s.client.Close()
	for {
		fetches := s.client.PollFetches(ctx)
		if ctx.Err() != nil {
			return
		}
		fetches.EachError(func(topic string, p int32, err error) {
			if !errors.Is(err, context.Canceled) {
				log.Printf("service: read %s/%d: %v", topic, p, err)
			}
		})
		fetches.EachRecord(func(r *kgo.Record) { s.take(ctx, r) })
	}
}

// take answers one request, now or when its client wants it.
func (s *services) take(ctx context.Context, r *kgo.Record) {
	defer s.progress(r)
	var q question
	request, to := header(r, "parley-request-id"), header(r, "parley-reply-topic")
	if err := json.Unmarshal(r.Value, &q); err != nil || request == "" {
		log.Printf("service: %s/%d@%d is no request of ours: %q (%v)", r.Topic, r.Partition, r.Offset, r.Value, err)
		return
	}
	var records []*kgo.Record
	var last int // which of them is the outcome
	if r.Topic == waitTopic {
		records, last = q.events(request)
	} else {
		records = q.answer(r, request, to)
		last = len(records) - 1
	}
	reply := records[last]
	seen := event{Kind: consumed, Client: q.Client, N: q.N, Request: request, Hash: hashOf(reply.Value)}
	for _, p := range records[:max(0, q.Parts-1)] {
		seen.Parts = append(seen.Parts, hashOf(p.Value))
	}
	h := s.history.Load()
	seen.Deadline = h.told(header(r, "parley-deadline"))
	h.add(seen)
	seen.Kind, seen.Deadline, seen.Parts = replied, 0, nil
	pause := time.Duration(q.Delay) * time.Millisecond / time.Duration(len(records))
	if q.Mute {
		records = records[:last]
	}
	s.pending.Add(len(records))
	s.write(ctx, records, pause, func(written *kgo.Record) {
		if written == reply {
			h.add(seen)
		}
	})
}

// write writes the records of an answer one after another, after a pause before each, and
// calls done for those that Kafka has acknowledged.
func (s *services) write(ctx context.Context, records []*kgo.Record, pause time.Duration, done func(*kgo.Record)) {
	if len(records) == 0 {
		return
	}
	time.AfterFunc(pause, func() {
		s.client.Produce(ctx, records[0], func(r *kgo.Record, err error) {
			defer s.pending.Done()
			if err == nil {
				done(r)
			} else if ctx.Err() == nil {
				log.Printf("service: answer %s: %v", r.Key, err)
			}
		})
		s.write(ctx, records[1:], pause, done)
	})
}

// answer makes the records that answer a request, all for one partition: its parts, if it
// wants them, and at last the reply. The parts of every other answer carry no numbers, as
// those of services in other frameworks.
func (q *question) answer(r *kgo.Record, request, to string) (records []*kgo.Record) {
	p := partition(r, request)
	for n := range max(1, q.Parts) {
		body, _ := json.Marshal(answer{Owner: call{q.Client, q.N}, Request: request, Part: n, Pad: strings.Repeat(q.Pad, max(1, q.Large))})
		record := &kgo.Record{
			Topic: to, Partition: p, Key: []byte(request), Value: body,
			Headers: []kgo.RecordHeader{{Key: "parley-request-id", Value: []byte(request)}},
		}
		if q.Parts > 0 {
			record.Headers = append(record.Headers, kgo.RecordHeader{Key: "parley-final", Value: strconv.AppendBool(nil, n == q.Parts-1)})
		}
		if q.Parts > 0 && q.N%2 == 0 {
			record.Headers = append(record.Headers, kgo.RecordHeader{Key: "parley-part", Value: strconv.AppendInt(nil, int64(n), 10)})
		}
		records = append(records, record)
	}
	return records
}

// partition is where a reply goes: to the request's home, or anywhere.
func partition(r *kgo.Record, request string) int32 {
	if r.Topic == anyTopic {
		return rand.Int32N(replyPartitions)
	}
	if p, err := strconv.ParseInt(header(r, "parley-reply-partition"), 10, 32); err == nil {
		return int32(p)
	}
	return routing.Murmur2.Partition([]byte(request), replyPartitions)
}

func (s *services) progress(r *kgo.Record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.read[r.Topic][r.Partition] = r.Offset + 1
}

// settle waits until everything that is in the topics has been read, and
// answered.
func (s *services) settle(ctx context.Context) error {
	admin := kadm.NewClient(s.client)
	for {
		ends, err := admin.ListEndOffsets(ctx, homeTopic, anyTopic, waitTopic)
		if err == nil {
			err = ends.Error()
		}
		if err == nil && s.caughtUp(ends) {
			break
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the services do not come to the topics' ends: %w (%v)", ctx.Err(), err)
		case <-time.After(100 * time.Millisecond):
		}
	}
	answered := make(chan struct{})
	go func() { s.pending.Wait(); close(answered) }()
	select {
	case <-answered:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("the services cannot write their answers: %w", ctx.Err())
	}
}

func (s *services) caughtUp(ends kadm.ListedOffsets) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	caught := true
	ends.Each(func(o kadm.ListedOffset) { caught = caught && s.read[o.Topic][o.Partition] >= o.Offset })
	return caught
}

func header(r *kgo.Record, name string) string {
	for _, h := range r.Headers {
		if h.Key == name {
			return string(h.Value)
		}
	}
	return ""
}
