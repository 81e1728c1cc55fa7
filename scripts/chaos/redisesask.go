package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// ask has a server do something, and answers what it says.
func (s *server) ask(ctx context.Context, words ...any) (answer any, err error) {
	client := redis.NewClient(&redis.Options{Addr: s.address, Protocol: 2, MaxRetries: -1})
	defer client.Close()
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if answer, err = client.Do(ctx, words...).Result(); err != nil {
		return nil, fmt.Errorf("ask %s for %v: %w", s.name, words, err)
	}
	return answer, nil
}

// primary answers the server that most Sentinels take for the primary, or the only one.
func (r *redises) primary(ctx context.Context) (*server, error) {
	if len(r.sentinels) == 0 {
		return r.servers[0], nil
	}
	votes := make(map[string]int)
	var failed []error
	for _, s := range r.sentinels {
		answer, err := s.ask(ctx, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", primaryName)
		failed = append(failed, err)
		if at, ok := answer.([]any); ok && len(at) == 2 {
			votes[net.JoinHostPort(fmt.Sprint(at[0]), fmt.Sprint(at[1]))]++
		}
	}
	for _, s := range r.servers {
		if votes[s.address] > len(r.sentinels)/2 {
			return s, nil
		}
	}
	return nil, fmt.Errorf("the Sentinels name no primary: %v (%w)", votes, errors.Join(failed...))
}

// replica answers a server that is not the primary.
func (r *redises) replica(ctx context.Context) (*server, error) {
	primary, err := r.primary(ctx)
	for _, s := range r.servers {
		if s != primary && err == nil {
			return s, nil
		}
	}
	return nil, errors.Join(err, errors.New("there is no replica"))
}

// otherPrimary waits until the Sentinels name another primary than before.
func (r *redises) otherPrimary(ctx context.Context, before *server) error {
	return awaiting(ctx, "another primary", func(ctx context.Context) error {
		switch now, err := r.primary(ctx); {
		case err != nil:
			return err
		case now == before:
			return fmt.Errorf("it is still %s", now.name)
		}
		return nil
	})
}

// settle waits until the primary has its replicas and every Sentinel its fellows.
func (r *redises) settle(ctx context.Context) error {
	if len(r.sentinels) == 0 {
		return nil
	}
	return awaiting(ctx, "Redis to settle", func(ctx context.Context) error {
		primary, err := r.primary(ctx)
		if err != nil {
			return err
		}
		info, err := primary.ask(ctx, "INFO", "replication")
		if err != nil {
			return err
		}
		if text := fmt.Sprint(info); strings.Count(text, "state=online") != len(r.servers)-1 || !strings.Contains(text, "role:master") {
			return fmt.Errorf("%s has no replica: %s", primary.name, text)
		}
		for _, s := range r.sentinels {
			if answer, err := s.ask(ctx, "SENTINEL", "CKQUORUM", primaryName); err != nil || !strings.Contains(fmt.Sprint(answer), fmt.Sprintf("OK %d ", len(r.sentinels))) {
				return fmt.Errorf("%s: %v (%w)", s.name, answer, err)
			}
		}
		return nil
	})
}

// awaiting tries something until it works, for a minute at most.
func awaiting(ctx context.Context, what string, try func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		err := try(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w", what, err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}
