package auth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"
)

// source is where keys come from: a file or a URL.
type source struct {
	name  string
	load  func(context.Context) ([]key, error)
	every time.Duration // between two looks
	pause time.Duration // between two that tokens ask for
	log   *slog.Logger
	wake  chan struct{} // one token: somebody asks

	mu     sync.Mutex
	keys   []key // of the last look that succeeded
	loaded bool  // there was one
	failed bool  // the last look did, which has been logged
	begun  time.Time
	going  chan struct{} // closed when the look that goes on, or was asked for, has ended; nil for none
}

// fileEvery is the time between two looks at a file.
const fileEvery = 10 * time.Second

// newFile makes a source of a file, which must be good now.
func newFile(path string, o Options) (*source, error) {
	s := &source{name: path, every: fileEvery, pause: o.Pause, log: o.Log, wake: make(chan struct{}, 1)}
	s.load = func(context.Context) ([]key, error) { return readKeys(path, o.Algorithms) }
	keys, err := readKeys(path, o.Algorithms)
	s.keys, s.loaded = keys, true
	return s, err
}

// CheckFile answers what is wrong with a file of keys, nil where it has one for the
// algorithms.
func CheckFile(path string, algorithms []string) error {
	_, err := readKeys(path, algorithms)
	return err
}

// readKeys reads a file of keys. One without any for the algorithms is an error.
func readKeys(path string, algorithms []string) ([]key, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	keys, err := parseFile(text)
	if err == nil && len(algorithms) > 0 {
		if keys = fitting(keys, algorithms); len(keys) == 0 {
			err = errors.New("it has no key for " + strings.Join(algorithms, ", ") + " (a secret must be as long as its hash)")
		}
	}
	return keys, err
}

// newRemote makes a source of a URL, which is read for the first time by run.
func newRemote(url string, o Options) *source {
	s := &source{name: url, every: o.Refresh, pause: o.Pause, log: o.Log, wake: make(chan struct{}, 1), going: make(chan struct{})}
	s.load = func(ctx context.Context) ([]key, error) {
		text, err := get(ctx, o.Client, url)
		if err != nil {
			return nil, err
		}
		keys, err := parseSet(text)
		return fitting(keys, o.Algorithms), err
	}
	return s
}

// run looks until ctx ends.
func (s *source) run(ctx context.Context) {
	defer s.ended()
	if !s.known() {
		s.look(ctx)
	}
	for {
		next := time.NewTimer(s.rest())
		select {
		case <-next.C:
		case <-s.wake:
			next.Stop()
		case <-ctx.Done():
			next.Stop()
			return
		}
		s.look(ctx)
	}
}

// afterFailure is the longest time from a look that failed to the next.
const afterFailure = 10 * time.Second

// rest is the time until the next look, give or take a tenth.
func (s *source) rest() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.every
	if s.failed {
		d = min(d, afterFailure)
	}
	return d - d/10 + rand.N(d/5+1)
}

// look reads the keys, and keeps those that there were where that fails.
func (s *source) look(ctx context.Context) {
	s.mu.Lock()
	s.begun = time.Now()
	if s.going == nil {
		s.going = make(chan struct{})
	}
	s.mu.Unlock()
	keys, err := s.load(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case err == nil:
		if s.failed {
			s.log.Info("keys can be read again", "from", s.name, "keys", len(keys))
		}
		s.keys, s.loaded, s.failed = keys, true, false
	case ctx.Err() == nil && !s.failed:
		s.failed = true
		s.log.Warn("keys cannot be read: those that were known go on", "from", s.name, "keys", len(s.keys), "err", err)
	}
	s.endLocked()
}

// ended lets go who waits for a look that will not be.
func (s *source) ended() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endLocked()
}

func (s *source) endLocked() {
	if s.going != nil {
		close(s.going)
		s.going = nil
	}
}

// ask has the source read, and answers what is closed then; nil where it was read a
// moment ago.
func (s *source) ask() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.going == nil {
		if time.Since(s.begun) < s.pause {
			return nil
		}
		s.going = make(chan struct{})
		select {
		case s.wake <- struct{}{}:
		default:
		}
	}
	return s.going
}

// all answers the keys. They are not changed.
func (s *source) all() []key {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.keys
}

// known tells whether the source was ever read.
func (s *source) known() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.loaded
}

const (
	getTime = 10 * time.Second
	maxSet  = 1 << 20 // bytes
)

// newClient makes a client that goes where it is told to, and nowhere else: a set of keys
// is not looked for over a connection that anybody could have answered.
func newClient() *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	return &http.Client{Timeout: getTime, Transport: transport, CheckRedirect: func(r *http.Request, via []*http.Request) error {
		if len(via) > 3 || r.URL.Scheme != via[0].URL.Scheme {
			return errors.New("it leads elsewhere")
		}
		return nil
	}}
}

// get reads what is at a URL.
func get(ctx context.Context, client *http.Client, url string) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Accept", "application/jwk-set+json, application/json")
	answer, err := client.Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the answer is %s", answer.Status)
	}
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxSet+1))
	if err == nil && len(text) > maxSet {
		err = fmt.Errorf("the answer has more than %d bytes", maxSet)
	}
	return text, err
}
