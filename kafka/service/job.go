package service

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"parley/kafka"
	"parley/routing"
)

// job is a request on its way through this process.
type job struct {
	*Request
	at     place
	line   *kafka.Line
	token  routing.Token
	taken  time.Time
	cancel context.CancelCauseFunc
}

// lane is what jobs must share to be kept in order.
func (j *job) lane() string { return j.at.topic + "\x00" + string(j.Key) }

// handle runs a job to its end. It is done when its final answer is in Kafka, or
// when there is none to come.
func (s *Service) handle(j *job) {
	defer j.cancel(nil)
	if j.Wanted() {
		j.write = func(a Answer) { s.write(j, &a) }
		if !j.Deadline.IsZero() { // what nobody waits for has all the time
			var free context.CancelFunc
			j.ctx, free = context.WithDeadline(j.ctx, j.Deadline)
			defer free()
		}
	}
	outcome, err := s.answer(j)
	s.observe(j, outcome, err)
	ended, _ := j.state()
	switch {
	case outcome == Stopped || outcome == Moved:
		s.forget(j) // it is not committed: another process reads it again
	case !j.Wanted() || !ended:
		s.done(j)
	}
}

// answer has a job answered, by the memory or by its handler, unless nobody waits
// for it.
func (s *Service) answer(j *job) (Outcome, error) {
	switch {
	case !s.owns(j):
		return Moved, nil
	case j.ctx.Err() != nil:
		return j.conclude(j.ctx.Err()), nil
	case s.memory == nil || j.IdempotencyKey == "":
		err := s.call(j)
		return j.conclude(err), err
	}
	entry, known, err := s.memory.enter(j.ctx, j.Request)
	if err != nil {
		return j.conclude(err), err
	}
	if known {
		for _, a := range entry.answers {
			_ = j.answer(a, a.final)
		}
		return Repeated, nil
	}
	j.keeps = s.memory.most
	err = s.call(j)
	outcome := j.conclude(err)
	if outcome == Answered || outcome == Failed {
		entry.answers = j.kept
	}
	s.memory.leave(entry)
	return outcome, err
}

// call calls the handler; a panic is an error of it.
func (s *Service) call(j *job) (err error) {
	defer func() {
		if why := recover(); why != nil {
			err = fmt.Errorf("panic: %v\n%s", why, debug.Stack())
		}
	}()
	return s.options.Handlers[j.at.topic](j.ctx, j.Request)
}

// observe tells how a request ended, in a line where it did not end well.
func (s *Service) observe(j *job, outcome Outcome, err error) {
	if s.options.Observer != nil {
		s.options.Observer.Finished(j.at.topic, outcome, time.Since(j.taken))
	}
	switch outcome {
	case Broken:
		s.log.Error("a handler has failed", "request", j.ID, "topic", j.at.topic, "err", err)
	case Expired, Cancelled, Stopped:
		s.log.Info("request not answered", "request", j.ID, "topic", j.at.topic, "why", string(outcome))
	}
}

// write queues an answer for Kafka. It blocks while the producer is full. Its
// context is not the handler's: an answer that was given is written, even if the
// deadline passes meanwhile.
func (s *Service) write(j *job, a *Answer) {
	s.client.Produce(s.work, s.record(j, a), func(_ *kgo.Record, err error) { s.wrote(j, a, err) })
}

func (s *Service) record(j *job, a *Answer) *kgo.Record {
	record := s.options.Dialect.Write(j.Request, a)
	record.Topic, record.Partition = j.ReplyTopic, j.ReplyPartition
	return record
}

// wrote takes Kafka's word on an answer. It is called from a goroutine of the
// client's, and does not block.
func (s *Service) wrote(j *job, a *Answer, err error) {
	switch {
	case err == nil && a.final:
		s.done(j)
	case err == nil:
	case s.work.Err() != nil, errors.Is(err, kgo.ErrClientClosed):
		if a.final {
			s.forget(j) // not answered: it is read again
		}
	default:
		s.unanswered(j, a, err)
	}
}

// unanswered deals with an answer that Kafka refused for good. One that is too large
// becomes an error; any other is lost, and whoever asked runs into the timeout.
func (s *Service) unanswered(j *job, a *Answer, err error) {
	s.log.Warn("an answer could not be written", "request", j.ID, "topic", j.ReplyTopic, "bytes", len(a.Body), "err", err)
	if s.options.Observer != nil {
		s.options.Observer.Finished(j.at.topic, Unanswered, time.Since(j.taken))
	}
	switch {
	case !a.final:
		j.cancel(fmt.Errorf("service: a part could not be written: %w", err))
	case errors.Is(err, kerr.MessageTooLarge) && a.Failure == nil:
		f := &Failure{Code: "too_large", Status: 500, Message: fmt.Sprintf("the answer has %d bytes, which is too many", len(a.Body))}
		instead := &Answer{Failure: f, n: a.n, final: true}
		s.client.TryProduce(s.work, s.record(j, instead), func(_ *kgo.Record, err error) { s.wrote(j, instead, err) })
	default:
		s.done(j)
	}
}
