package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// Whatever a caller sends over HTTP, it is told what is wrong with it, by status
// and word; what is the service's business is passed on as it is.
func TestBadCalls(t *testing.T) {
	c, hand := badNode(t)
	p := c.nodes[0]
	large := strings.Repeat("x", fiveMB)
	refused := []struct {
		name, method, path, body string
		header                   http.Header
		status                   int
		word                     string
	}{
		{"unknown service", "POST", "/services/nobody", "{}", nil, 404, "unknown_service"},
		{"no service", "POST", "/services/", "{}", nil, 404, "unknown_service"},
		{"5 MB", "POST", "/services/same", large, nil, 413, "too_large"},
		{"one byte too many", "POST", "/services/same", large[:1<<20+1], nil, 413, "too_large"},
		{"a path that leads up", "POST", "/services/same/a/../../hand", "{}", nil, 400, "invalid_params"},
		{"a path that leads up, escaped", "POST", "/services/same/%2e%2e/hand", "{}", nil, 400, "invalid_params"},
		{"a content type that is no UTF-8", "POST", "/services/same", "{}", http.Header{"Content-Type": {"text/\xff"}}, 400, "invalid_params"},
		{"a coding that the service would not learn of", "POST", "/services/same", "{}", http.Header{"Content-Encoding": {"gzip"}}, 400, "invalid_params"},
		{"a key that is no UTF-8", "POST", "/services/same", "{}", http.Header{"Parley-Key": {"\xff"}}, 400, "invalid_params"},
		{"too many headers", "POST", "/services/same", "{}", manyHeaders(33), 400, "invalid_params"},
		{"a header too large", "POST", "/services/same", "{}", http.Header{"X-A": {large[:9<<10]}}, 400, "invalid_params"},
		{"Parley's request id, where all is passed on", "POST", "/services/hand", "{}", http.Header{"Parley-Request-Id": {"x"}}, 400, "invalid_params"},
		{"another dialect's name, where all is passed on", "POST", "/services/hand", "{}", http.Header{"Kafka_replytopic": {"x"}}, 400, "invalid_params"},
	}
	passed := []struct{ name, body string }{
		{"not JSON", `{"jsonrpc":`}, {"hi", "hi"}, {"null", "null"}, {"an empty array", "[]"}, {"nested deep", deep},
		{"duplicate keys", `{"a":1,"a":2}`}, {"no UTF-8", "\xff\xfe\x00"},
	}
	waits := []struct{ prefer, applied string }{
		{"wait=-1", ""}, {"wait=0", ""}, {"wait=soon", ""}, {"wait=99999999999999999999", "wait=300"},
	}
	broken := []struct {
		name, text string
		status     int
	}{
		{"hi", "hi\r\n\r\n", 400},
		{"a negative length", "POST /services/same HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400},
		{"two lengths", "POST /services/same HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}", 400},
		{"a body that ends early", "POST /services/same HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{}", 400},
		{"a chunk that is none", "POST /services/same HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400},
		{"headers without end", "GET /services/same HTTP/1.1\r\nHost: x\r\nX-A: " + large[:100<<10] + "\r\n\r\n", 431},
	}
	c.watched(func() {
		for _, r := range refused {
			t.Run(r.name, func(t *testing.T) {
				status, _, body := p.do(t, r.method, r.path, r.header, r.body)
				wantProblem(t, status, body, r.status, r.word, "not_sent")
			})
		}
		for _, ok := range passed {
			t.Run("passed on/"+ok.name, func(t *testing.T) {
				status, _, body := p.do(t, "POST", "/services/same", nil, ok.body)
				if status != 200 || body != ok.body {
					t.Errorf("status %d with %q, want the body as it was sent", status, tail(body, 200))
				}
			})
		}
		for _, w := range waits {
			t.Run("Prefer/"+w.prefer, func(t *testing.T) {
				status, header, _ := p.do(t, "POST", "/services/same", http.Header{"Prefer": {w.prefer}}, "1")
				if got := header.Get("Preference-Applied"); status != 200 || got != w.applied {
					t.Errorf("status %d, applied %q, want %q", status, got, w.applied)
				}
			})
		}
		for _, b := range broken {
			t.Run("broken/"+b.name, func(t *testing.T) {
				if got := p.sendRaw(t, b.text); got != b.status {
					t.Errorf("status %d, want %d", got, b.status)
				}
			})
		}
		t.Run("Parley's names that are not passed on", func(t *testing.T) { notPassedOn(t, c) })
	})
	hand.none()
}

// notPassedOn wants a service to see the gateway's own headers alone, whatever
// the caller sent under their names.
func notPassedOn(t *testing.T, c *cluster) {
	const body = `"mine"`
	status, _, got := c.nodes[0].do(t, "POST", "/services/same", http.Header{
		"Parley-Request-Id": {"forged"}, "Parley-Reply-Topic": {"forged"}, "Kafka_correlationid": {"forged"}, "Authorization": {"forged"},
	}, body)
	if status != 200 || got != body {
		t.Errorf("status %d with %s", status, got)
	}
	for _, r := range c.records(c.topic("same")) {
		for _, h := range r.Headers {
			if string(h.Value) == "forged" {
				t.Errorf("the service sees %s: forged", h.Key)
			}
		}
	}
}

func manyHeaders(n int) http.Header {
	h := http.Header{}
	for i := range n {
		h.Set(fmt.Sprintf("X-%d", i), "1")
	}
	return h
}

// do makes an HTTP request on a connection of its own.
func (p *process) do(t *testing.T, method, path string, header http.Header, body string) (int, http.Header, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, p.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if header != nil {
		request.Header = header
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 30 * time.Second}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	got, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, response.Header, string(got)
}

func wantProblem(t *testing.T, status int, body string, wantStatus int, word, outcome string) {
	t.Helper()
	var problem struct {
		Status        int
		Code, Outcome string
	}
	if err := json.Unmarshal([]byte(body), &problem); err != nil {
		t.Fatalf("status %d with %s: %v", status, tail(body, 200), err)
	}
	if status != wantStatus || problem.Status != wantStatus || problem.Code != word || problem.Outcome != outcome {
		t.Errorf("status %d with %s; want %d, %s, %s", status, body, wantStatus, word, outcome)
	}
}

// sendRaw sends bytes, ends its side of the connection, and answers the status
// of the response.
func (p *process) sendRaw(t *testing.T, text string) int {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(p.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(30 * time.Second))
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	conn.(*net.TCPConn).CloseWrite()
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	return response.StatusCode
}
