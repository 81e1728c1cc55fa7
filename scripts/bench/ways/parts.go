package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"parley/kafka/service"
)

const (
	partsTopic  = "bench.parts"
	manyStreams = 1000
	allParts    = 20_000 // of a request where there is one stream; of 1,000 each has 200 a request
)

var part = service.Answer{ContentType: "application/json", Body: fmt.Appendf(nil, `{"text":%q}`, strings.Repeat("x", 89))}

// parts answers a number n with n parts of 100 bytes, the last of them final.
func parts(_ context.Context, r *service.Request) error {
	var n int
	if err := json.Unmarshal(r.Body, &n); err != nil {
		return &service.Failure{Code: "no_number", Message: err.Error()}
	}
	for range n - 1 {
		if err := r.Part(part); err != nil {
			return err
		}
	}
	return r.Reply(part)
}

// streams reads n streams at a time, each request allParts in some of them, and counts
// parts. A stream with a part too few is an error.
func (g *gateway) streams(d time.Duration, n int, accept string) func(context.Context) (*measured, error) {
	each := max(allParts/n, 200)
	line := "{"
	if accept == "text/event-stream" {
		line = "data:"
	}
	return func(ctx context.Context) (*measured, error) {
		return g.loop(ctx, n, d, func(ctx context.Context) (int, error) {
			r, err := http.NewRequestWithContext(ctx, http.MethodPost, g.url+"/services/parts", strings.NewReader(strconv.Itoa(each)))
			if err != nil {
				return 0, err
			}
			r.Header.Set("Accept", accept)
			got := 0
			err = g.call(r, func(body io.Reader) error {
				lines := bufio.NewScanner(body)
				for lines.Scan() {
					if strings.HasPrefix(lines.Text(), line) {
						got++
					}
				}
				return lines.Err()
			})
			if err == nil && got != each {
				err = fmt.Errorf("%d parts of %d", got, each)
			}
			return got, err
		})
	}
}
