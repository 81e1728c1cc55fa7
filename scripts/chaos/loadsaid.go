package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

const (
	keptTrial = 5 * time.Second // for a node to say something
	keptAgain = 200 * time.Millisecond
)

// said is what a node answers.
type said struct {
	status  int
	id      string // of a 202
	body    []byte
	Code    string `json:"code"` // of a problem, as are the rest
	Outcome string `json:"outcome"`
	Request string `json:"request"`
}

// gone is the word for a result that the node does not have.
const gone = "gone"

// isOutcome tells whether it is one, or that there will be none, and not only that the
// node cannot say.
func (s *said) isOutcome(id string) bool {
	switch {
	case s.status == http.StatusGone, s.status == http.StatusNotFound:
		s.Code, s.Outcome = gone, ""
		return true
	case s.status == http.StatusAccepted:
		return false
	}
	return s.status == http.StatusOK || s.Request == id
}

// say makes one HTTP request.
func (k *keptOne) say(ctx context.Context, method, url string) (*said, error) {
	ctx, cancel := context.WithTimeout(ctx, keptTrial)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		return nil, err
	}
	if method == http.MethodPost {
		request.Body, request.ContentLength = io.NopCloser(strings.NewReader(string(k.body))), int64(len(k.body))
		request.Header.Set("Content-Type", "application/json")
		request.Header.Set("Prefer", "respond-async")
		request.Header.Set("Idempotency-Key", fmt.Sprintf("%d-%d-%d", k.load.o.seed, k.Client, k.N))
	}
	response, err := k.http.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	s := &said{status: response.StatusCode, id: strings.TrimPrefix(response.Header.Get("Location"), "/requests/")}
	if s.body, err = io.ReadAll(response.Body); err == nil && s.status >= http.StatusBadRequest {
		json.Unmarshal(s.body, s) // what is no problem has no word
	}
	return s, err
}

// pause waits before another node is asked.
func pause(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-time.After(keptAgain):
	}
}
