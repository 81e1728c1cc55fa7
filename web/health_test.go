package web

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A node is ready when every check passes; what does not is named with its
// error, and a check that hangs hides no other and no longer than its time.
func TestReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var kafka, redis error
		asked, hang := 0, false
		g := newGateway(t, func(o *Options) {
			o.Ready = []Check{
				{"kafka", func(ctx context.Context) error {
					if hang {
						<-ctx.Done()
						return ctx.Err()
					}
					return kafka
				}},
				{"redis", func(context.Context) error { asked++; return redis }},
			}
		})
		ready := func(want int, errors ...string) {
			t.Helper()
			w := g.do("GET", "/readyz", nil)
			var body readyJSON
			if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil || len(body.Checks) != 2 {
				t.Fatalf("%v: %s", err, w.Body)
			}
			if w.Code != want || body.Ready != (want == 200) || body.Checks[0].Name != "kafka" {
				t.Errorf("%d %s, want %d", w.Code, w.Body, want)
			}
			for _, e := range errors {
				if !strings.Contains(w.Body.String(), e) {
					t.Errorf("%q is not in %s", e, w.Body)
				}
			}
		}
		ready(200)
		redis = errors.New("dial: refused")
		ready(200) // a moment ago it was
		if asked != 1 {
			t.Errorf("asked %d times", asked)
		}
		time.Sleep(readyFresh + time.Millisecond)
		ready(503, `"redis","ok":false,"error":"dial: refused"`)
		time.Sleep(readyFresh + time.Millisecond)
		hang = true
		start := time.Now()
		ready(503, "deadline exceeded", "dial: refused")
		if took := time.Since(start); took != readyTime {
			t.Errorf("it took %v", took)
		}
		time.Sleep(readyFresh + time.Millisecond)
		hang, redis = false, nil
		ready(200)
		if w := g.do("HEAD", "/healthz", nil); w.Code != 200 {
			t.Errorf("healthz: %d", w.Code)
		}
	})
}
