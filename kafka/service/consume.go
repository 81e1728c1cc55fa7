package service

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"parley/kafka"
)

// pollRecords is how many records are read at a time at most.
const pollRecords = 1024

// poll reads requests until ctx ends or the client fails for good.
func (s *Service) poll(ctx context.Context) error {
	for {
		n := s.awaitRoom(ctx)
		if ctx.Err() != nil {
			return nil
		}
		fetches := s.client.PollRecords(ctx, min(n, pollRecords))
		jobs := s.take(fetches)
		s.client.AllowRebalance()
		if ctx.Err() != nil {
			return nil // what was taken is not marked, and so read again by another
		}
		s.crew.add(jobs)
		if fetches.IsClientClosed() {
			return errors.New("service: the client was closed")
		}
		s.complain(fetches)
	}
}

// awaitRoom waits until the backlog has room, and tells for how many.
func (s *Service) awaitRoom(ctx context.Context) int {
	for {
		s.mu.Lock()
		n := s.options.Backlog - s.backlog
		s.mu.Unlock()
		if n > 0 {
			return n
		}
		select {
		case <-s.room:
		case <-ctx.Done():
			return 0
		}
	}
}

// take files polled records in their lines, and answers the requests among them. No
// rebalance happens meanwhile.
func (s *Service) take(fetches kgo.Fetches) (jobs []*job) {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	fetches.EachRecord(func(record *kgo.Record) {
		at := place{record.Topic, record.Partition}
		line := s.lines[at]
		if line == nil {
			return // not this process's any longer
		}
		token := line.Add(record.Offset, len(record.Value), 0)
		r, cancels := s.options.Dialect.Read(record)
		if cancels != "" {
			s.cancelLocked(cancels)
			line.Done(token)
			s.markLocked(at, line)
			return
		}
		j := &job{Request: r, at: at, line: line, token: token, taken: now}
		j.ctx, j.cancel = context.WithCancelCause(s.work)
		j.keeps = -1
		s.backlog++
		if r.ID != "" {
			s.jobs[r.ID] = j
		}
		jobs = append(jobs, j)
	})
	return jobs
}

// cancelLocked ends a request that a cancel record names, if it is here.
func (s *Service) cancelLocked(id string) {
	j := s.jobs[id]
	if j == nil {
		s.log.Debug("cancel of a request that is not here", "request", id)
		return
	}
	delete(s.jobs, id)
	j.cancel(ErrCancelled)
}

// owns tells whether a job's partition is this process's still.
func (s *Service) owns(j *job) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lines[j.at] == j.line
}

// done ends a job: its record may be committed, for it is answered or needs no
// answer.
func (s *Service) done(j *job) {
	s.mu.Lock()
	defer s.mu.Unlock()
	j.line.Done(j.token)
	s.markLocked(j.at, j.line)
	s.forgetLocked(j)
}

// forget ends a job whose record is to be read again by another process.
func (s *Service) forget(j *job) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forgetLocked(j)
}

func (s *Service) forgetLocked(j *job) {
	if s.jobs[j.ID] == j {
		delete(s.jobs, j.ID)
	}
	s.backlog--
	select {
	case s.room <- struct{}{}:
	default:
	}
}

// markLocked tells the client how far a partition may be committed. A line of a
// former ownership tells nothing.
func (s *Service) markLocked(at place, line *kafka.Line) {
	if upTo := line.Committable(); upTo > 0 && s.lines[at] == line {
		s.client.MarkCommitOffsets(map[string]map[int32]kgo.EpochOffset{at.topic: {at.partition: {Epoch: -1, Offset: upTo}}})
	}
}

// assigned is called by the client before any record of the partitions is polled.
func (s *Service) assigned(_ context.Context, _ *kgo.Client, added map[string][]int32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for topic, partitions := range added {
		for _, p := range partitions {
			s.lines[place{topic, p}] = &kafka.Line{}
		}
		s.log.Info("partitions assigned", "topic", topic, "partitions", partitions)
	}
}

// revoked is called by the client when the group takes partitions away, and at the
// end. Requests that are nearly answered are waited for; the others are the next
// owner's too, and whoever asked takes the first answer.
func (s *Service) revoked(ctx context.Context, client *kgo.Client, taken map[string][]int32) {
	wait, cancel := context.WithTimeout(ctx, revokeWait)
	defer cancel()
	for _, line := range s.linesOf(taken) {
		line.Drain(wait)
	}
	commit, cancel := context.WithTimeout(ctx, commitTimeout)
	defer cancel()
	if err := client.CommitMarkedOffsets(commit); err != nil {
		s.log.Warn("offsets not committed", "group", s.options.Group, "err", err)
	}
	s.lost(ctx, client, taken)
}

func (s *Service) linesOf(taken map[string][]int32) (lines []*kafka.Line) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for at, line := range s.lines {
		if slices.Contains(taken[at.topic], at.partition) {
			lines = append(lines, line)
		}
	}
	return lines
}

// lost is called by the client when partitions are another process's.
func (s *Service) lost(_ context.Context, _ *kgo.Client, taken map[string][]int32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for topic, partitions := range taken {
		for _, p := range partitions {
			delete(s.lines, place{topic, p})
		}
		s.log.Info("partitions taken away", "topic", topic, "partitions", partitions)
	}
}

// complain logs what cannot be read, once for as long as it stays the same.
func (s *Service) complain(fetches kgo.Fetches) {
	err := fetches.Err()
	switch {
	case err == nil && s.lastErr != "" && !fetches.Empty():
		s.lastErr = ""
		s.log.Info("requests are read again", "group", s.options.Group)
	case err != nil && !errors.Is(err, context.Canceled) && err.Error() != s.lastErr:
		s.lastErr = err.Error()
		s.log.Warn("requests cannot be read", "group", s.options.Group, "err", err)
	}
}
