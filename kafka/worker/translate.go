package worker

import (
	"bytes"
	"context"
	"net/http"
	"net/textproto"
	"net/url"
	"strconv"
	"strings"

	"parley/kafka/service"
)

// request makes the HTTP request of a record.
func (f *forwarder) request(ctx context.Context, r *service.Request) (*http.Request, error) {
	at, err := f.target(r)
	if err != nil {
		return nil, err
	}
	method := r.Method
	if method == "" {
		method = http.MethodPost
	}
	q, err := http.NewRequestWithContext(ctx, method, "/", bytes.NewReader(r.Body))
	if err != nil {
		return nil, &service.Failure{Code: "invalid_request", Status: http.StatusBadRequest, Message: "the method is none"}
	}
	q.URL, q.Host = at, at.Host
	for _, h := range r.Headers {
		if forwarded(h.Key) && fits(h.Key, string(h.Value)) {
			q.Header.Add(h.Key, string(h.Value))
		}
	}
	own := []string{"Content-Type", r.ContentType, "Parley-Request-Id", r.ID, "Parley-Service", r.Service, "Parley-Subject", r.Subject}
	if !r.Deadline.IsZero() {
		own = append(own, "Parley-Deadline", strconv.FormatInt(r.Deadline.UnixMilli(), 10))
	}
	for i := 0; i < len(own); i += 2 {
		if name, value := own[i], own[i+1]; value != "" && fits(name, value) {
			q.Header.Set(name, value)
		}
	}
	if r.IdempotencyKey != "" && fits("idempotency-key", r.IdempotencyKey) {
		// By its canonical name net/http would take it for leave to send the request
		// again, which the service may not know to look for.
		q.Header["idempotency-key"] = []string{r.IdempotencyKey}
	}
	q.GetBody = nil // likewise
	if q.Header.Get("User-Agent") == "" {
		q.Header.Set("User-Agent", "parley-worker")
	}
	return q, nil
}

// target is where a request goes: below the URL's path, and nowhere else.
func (f *forwarder) target(r *service.Request) (*url.URL, error) {
	bad := &service.Failure{Code: "invalid_request", Status: http.StatusBadRequest, Message: "the path leads elsewhere"}
	if r.Path != "" && !strings.HasPrefix(r.Path, "/") {
		return nil, bad
	}
	below, err := url.ParseRequestURI("/x" + r.Path)
	if err != nil {
		return nil, bad
	}
	for segment := range strings.SplitSeq(below.Path, "/") {
		if segment == "." || segment == ".." {
			return nil, bad
		}
	}
	at, err := url.Parse(strings.TrimSuffix(f.URL.EscapedPath(), "/") + r.Path)
	if err != nil {
		return nil, bad
	}
	at.Scheme, at.Host, at.User = f.URL.Scheme, f.URL.Host, f.URL.User
	at.RawQuery, at.Fragment = r.Query, ""
	if at.Path == "" {
		at.Path = "/"
	}
	return at, nil
}

// hop are headers that are about one connection, or that the HTTP client sets itself,
// and those that must not come from a record.
var hop = map[string]bool{
	"Connection": true, "Keep-Alive": true, "Proxy-Connection": true, "Proxy-Authenticate": true, "Proxy-Authorization": true,
	"Te": true, "Trailer": true, "Transfer-Encoding": true, "Upgrade": true, "Host": true, "Content-Length": true,
	"Accept-Encoding": true, "Expect": true, "Content-Type": true, "Date": true, "Set-Cookie": true,
}

// forwarded tells whether a header is handed on.
func forwarded(name string) bool {
	name = textproto.CanonicalMIMEHeaderKey(name)
	return !hop[name] && !strings.HasPrefix(name, "Parley-")
}

// fits tells whether a header can stand in HTTP.
func fits(name, value string) bool {
	token := func(r rune) bool {
		return r > '~' || r <= ' ' || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, r)
	}
	control := func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }
	return name != "" && !strings.ContainsFunc(name, token) && !strings.ContainsFunc(value, control)
}

// answerOf makes the answer of a response.
func answerOf(response *http.Response, body []byte) service.Answer {
	a := service.Answer{Body: body, ContentType: response.Header.Get("Content-Type"), Status: response.StatusCode}
	for name, values := range response.Header {
		if !forwarded(name) {
			continue
		}
		for _, value := range values {
			a.Headers = append(a.Headers, service.Header{Key: strings.ToLower(name), Value: []byte(value)})
		}
	}
	return a
}
