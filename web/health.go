package web

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"
	"time"
)

// Check is one thing that must hold before a node should get traffic. Err
// answers what is wrong, or nil; it may block until its context ends, and is
// not called twice at a time. Its text is shown to whoever asks.
type Check struct {
	Name string
	Err  func(ctx context.Context) error
}

const (
	readyTime  = 2 * time.Second        // for all checks together
	readyFresh = 250 * time.Millisecond // a result is used again for so long
)

// healthz tells that the process lives, and nothing else: a restart would not
// help a node whose Kafka is away.
func healthz(w http.ResponseWriter, _ *http.Request) {
	writeStatus(w, http.StatusOK, []byte(`{"status":"ok"}`))
}

// readiness serves /readyz. Askers share results, so that a flood of them is
// none for Kafka.
type readiness struct {
	checks   []Check
	draining func() bool

	mu    sync.Mutex
	asked time.Time
	last  readyJSON
}

type readyJSON struct {
	Ready  bool        `json:"ready"`
	Checks []checkJSON `json:"checks"`
}

type checkJSON struct {
	Name  string `json:"name"`
	OK    bool   `json:"ok"`
	Error string `json:"error,omitempty"`
}

func (c *readiness) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	result := c.ask()
	status := http.StatusOK
	if !result.Ready {
		status = http.StatusServiceUnavailable
	}
	body, _ := json.Marshal(result)
	writeStatus(w, status, body)
}

// ask answers what the checks say, now or a moment ago.
func (c *readiness) ask() readyJSON {
	c.mu.Lock()
	if c.asked.IsZero() || time.Since(c.asked) > readyFresh {
		c.last = c.run()
		c.asked = time.Now()
	}
	result := c.last
	c.mu.Unlock()
	if c.draining() {
		result.Ready = false
		result.Checks = append(result.Checks[:len(result.Checks):len(result.Checks)],
			checkJSON{Name: "draining", Error: "this node is going away"})
	}
	return result
}

// run makes all checks at a time, so that one that hangs hides no other.
func (c *readiness) run() readyJSON {
	ctx, cancel := context.WithTimeout(context.Background(), readyTime)
	defer cancel()
	result := readyJSON{Ready: true, Checks: make([]checkJSON, len(c.checks))}
	var running sync.WaitGroup
	for i, check := range c.checks {
		running.Go(func() {
			result.Checks[i] = checkJSON{Name: check.Name, OK: true}
			if err := check.Err(ctx); err != nil {
				result.Checks[i] = checkJSON{Name: check.Name, Error: err.Error()}
			}
		})
	}
	running.Wait()
	for _, check := range result.Checks {
		result.Ready = result.Ready && check.OK
	}
	return result
}

func writeStatus(w http.ResponseWriter, status int, body []byte) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	_ = send(w, status, append(body, '\n'))
}
