package web

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"parley/routing"
)

// asking is how a call wants to be answered.
type asking struct {
	async   bool   // with where the answer will be, unless it comes in time
	applied string // what Preference-Applied is to say; "" for nothing
}

// readAsking reads the preferences of a call, and its idempotency key.
func readAsking(h http.Header, service *routing.Service, call *routing.Call) (ask asking, e *routing.Error) {
	call.Timeout, ask.applied = preferredWait(h["Prefer"], service)
	if ask.async = prefers(h["Prefer"], "respond-async"); ask.async {
		ask.applied = strings.TrimSuffix("respond-async, "+ask.applied, ", ")
	}
	call.IdempotencyKey, e = idempotencyKey(h)
	return ask, e
}

// prefers tells whether a preference without a value is among the Prefer headers.
func prefers(lines []string, word string) bool {
	for _, line := range lines {
		for preference := range strings.SplitSeq(line, ",") {
			preference, _, _ = strings.Cut(preference, ";")
			if strings.EqualFold(strings.TrimSpace(preference), word) {
				return true
			}
		}
	}
	return false
}

// maxIdempotencyKey is how long an idempotency key may be, in bytes.
const maxIdempotencyKey = 256

// idempotencyKey reads the header Idempotency-Key: a text, which may stand in quotes
// as a structured field does. It answers "" where there is none.
func idempotencyKey(h http.Header) (string, *routing.Error) {
	lines := h["Idempotency-Key"]
	if len(lines) == 0 {
		return "", nil
	}
	key := lines[0]
	if len(key) > 1 && key[0] == '"' && key[len(key)-1] == '"' {
		key = key[1 : len(key)-1]
	}
	hidden := func(r rune) bool { return r < ' ' || r > '~' }
	if len(lines) > 1 || key == "" || len(key) > maxIdempotencyKey || strings.ContainsFunc(key, hidden) {
		return "", invalidParams("idempotency-key must be one text of 1 to %d visible ASCII characters", maxIdempotencyKey)
	}
	return key, nil
}

// longestPoll is how long a caller may wait for a request at a time.
const longestPoll = 5 * time.Minute

// longPoll reads ?wait=: seconds, or a duration such as 1m30s. More than may be is
// as much as may be.
func longPoll(r *http.Request) (time.Duration, *routing.Error) {
	text := r.URL.Query().Get("wait")
	if text == "" {
		return 0, nil
	}
	if n, err := strconv.ParseUint(text, 10, 64); err == nil {
		return time.Duration(min(n, uint64(longestPoll/time.Second))) * time.Second, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return 0, invalidParams("wait must be seconds, or a duration such as 30s, and not %q", clip(text))
	}
	return min(d, longestPoll), nil
}
