package web

import (
	"strconv"
	"strings"
	"time"

	"parley/routing"
)

// longestWait is for services that set no longest timeout of their own.
const longestWait = 5 * time.Minute

// preferredWait reads "wait=N" of the Prefer headers (RFC 7240): the timeout to
// use, at most the service's longest, and what Preference-Applied is to say. A
// preference that makes no sense is ignored, as is wait=0: answers take time.
func preferredWait(lines []string, service *routing.Service) (timeout time.Duration, applied string) {
	seconds, ok := waitSeconds(lines)
	if !ok {
		return 0, ""
	}
	longest := service.MaxTimeout
	if longest <= 0 {
		longest = longestWait
	}
	timeout = longest
	if seconds <= int64(longest/time.Second) {
		timeout = time.Duration(seconds) * time.Second
	}
	return timeout, "wait=" + strconv.FormatInt(int64((timeout+time.Second-1)/time.Second), 10)
}

// waitSeconds finds the first wait preference. A number that is too large for
// int64 is the largest one.
func waitSeconds(lines []string) (seconds int64, ok bool) {
	for _, line := range lines {
		for preference := range strings.SplitSeq(line, ",") {
			preference, _, _ = strings.Cut(preference, ";")
			name, value, _ := strings.Cut(preference, "=")
			if !strings.EqualFold(strings.TrimSpace(name), "wait") {
				continue
			}
			value = strings.Trim(strings.TrimSpace(value), `"`)
			if value == "" || strings.Trim(value, "0123456789") != "" {
				return 0, false
			}
			seconds, _ = strconv.ParseInt(value, 10, 64) // what is out of range becomes the largest
			return seconds, seconds > 0
		}
	}
	return 0, false
}
