package worker

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"parley/kafka/service"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// forwarding is a handler that forwards to an HTTP service below /base.
func forwarding(t *testing.T, serve http.HandlerFunc, with func(*Options)) service.Handler {
	t.Helper()
	server := httptest.NewServer(serve)
	transport := NewTransport()
	t.Cleanup(func() { transport.CloseIdleConnections(); server.Close() })
	at, err := url.Parse(server.URL + "/base")
	if err != nil {
		t.Fatal(err)
	}
	o := Options{URL: at, Transport: transport}
	if with != nil {
		with(&o)
	}
	return Forward(o)
}

// A call that came over HTTP is made again as it was, and its response is the
// answer, whatever its status.
func TestForward(t *testing.T) {
	h := forwarding(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "text/x-seen")
		w.Header().Set("ETag", `"7"`)
		w.Header().Set("Set-Cookie", "a=b")
		w.WriteHeader(http.StatusTeapot)
		fmt.Fprintf(w, "%s %s %s", r.Method, r.RequestURI, body)
		for _, name := range []string{"Content-Type", "Accept", "X-Many", "Traceparent", "Parley-Request-Id", "Parley-Subject", "Parley-Deadline", "Idempotency-Key", "Connection", "X-Bad"} {
			if v := r.Header.Values(name); len(v) > 0 {
				fmt.Fprintf(w, "\n%s: %s", name, strings.Join(v, ","))
			}
		}
	}, nil)
	header := func(name, value string) service.Header { return service.Header{Key: name, Value: []byte(value)} }
	got := service.Try(t.Context(), h, &service.Request{
		ID: "s.1", Subject: "c-1", IdempotencyKey: "k", Deadline: time.UnixMilli(5), Method: "PUT", Path: "/shelf/a%2Fb", Query: "q=1&r=%20", ContentType: "text/plain", Body: []byte("hello"),
		Headers: []service.Header{header("accept", "text/x-seen"), header("x-many", "1"), header("x-many", "2"), header("traceparent", "00-1"), header("connection", "close"), header("x-bad", "a\r\nb"), header("parley-subject", "somebody")},
	})
	if len(got) != 1 {
		t.Fatalf("got %+v", got)
	}
	want := `PUT /base/shelf/a%2Fb?q=1&r=%20 hello
Content-Type: text/plain
Accept: text/x-seen
X-Many: 1,2
Traceparent: 00-1
Parley-Request-Id: s.1
Parley-Subject: c-1
Parley-Deadline: 5
Idempotency-Key: k`
	a := got[0]
	if string(a.Body) != want || a.Status != http.StatusTeapot || a.ContentType != "text/x-seen" || a.Failure != nil {
		t.Errorf("got %+v\n%s", a, a.Body)
	}
	if !slices.ContainsFunc(a.Headers, func(h service.Header) bool { return h.Key == "etag" && string(h.Value) == `"7"` }) ||
		slices.ContainsFunc(a.Headers, func(h service.Header) bool { return h.Key == "set-cookie" }) {
		t.Errorf("got headers %s", a.Headers)
	}
}

// A socket has neither method nor status: its payload is posted, and a status that
// says no is an error.
func TestForwardSocket(t *testing.T) {
	h := forwarding(t, func(w http.ResponseWriter, r *http.Request) {
		if body, _ := io.ReadAll(r.Body); r.Method != "POST" || r.URL.Path != "/base" || string(body) != "{}" {
			t.Errorf("got %s %s %s", r.Method, r.URL, body)
		}
		http.Error(w, "no such order", http.StatusNotFound)
	}, nil)
	got := service.Try(t.Context(), h, &service.Request{Body: []byte("{}")})
	if f := got[0].Failure; f == nil || f.Code != "http_404" || f.Message != "Not Found" || string(got[0].Body) != "no such order\n" {
		t.Errorf("got %+v", got)
	}
}

// A path that climbs out of the URL's is refused and reaches nobody.
func TestForwardPath(t *testing.T) {
	h := forwarding(t, func(http.ResponseWriter, *http.Request) { t.Error("the service was asked") }, nil)
	for _, path := range []string{"/..", "/a/../b", "/%2e%2e/x", "@elsewhere/", "//../x", "/%zz", "x"} {
		got := service.Try(t.Context(), h, &service.Request{Method: "GET", Path: path})
		if f := got[0].Failure; f == nil || f.Code != "invalid_request" {
			t.Errorf("%s: got %+v", path, got[0])
		}
	}
}

// A service that is not there yet is tried until it is, or for as long as may be;
// one that breaks the connection off is not asked twice.
func TestForwardRetry(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	transport := NewTransport()
	defer transport.CloseIdleConnections()
	h := Forward(Options{URL: &url.URL{Scheme: "http", Host: address}, Transport: transport, Retry: 150 * time.Millisecond})
	if f := service.Try(t.Context(), h, &service.Request{})[0].Failure; f == nil || f.Code != "unavailable" || f.Status != 503 {
		t.Errorf("nobody there: got %+v", f)
	}
	var asked atomic.Int32
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1); r.URL.Path == "/break" {
			panic(http.ErrAbortHandler)
		}
	})}
	var serving sync.WaitGroup
	defer func() { server.Close(); serving.Wait() }()
	dial := transport.DialContext
	open := sync.OnceFunc(func() {
		if l, err := net.Listen("tcp", address); err == nil {
			serving.Go(func() { _ = server.Serve(l) })
		}
	})
	transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			open()
		}
		return conn, err
	}
	h = Forward(Options{URL: &url.URL{Scheme: "http", Host: address}, Transport: transport})
	if got := service.Try(t.Context(), h, &service.Request{})[0]; got.Failure != nil || got.Status != 200 {
		t.Errorf("there at last: got %+v", got)
	}
	asked.Store(0)
	got := service.Try(t.Context(), h, &service.Request{Method: "POST", Path: "/break", Body: []byte("x"), IdempotencyKey: "k"})[0]
	if f := got.Failure; f == nil || f.Code != "bad_gateway" {
		t.Errorf("broken off: got %+v", got)
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("it was asked %d times", n)
	}
}

// The request ends when its client cancels, or its time is up, and no answer is made
// of that.
func TestForwardCancel(t *testing.T) {
	left := make(chan struct{}, 1)
	h := forwarding(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(200)
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
		left <- struct{}{}
	}, nil)
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(50*time.Millisecond, func() { cancel(service.ErrCancelled) })
	if got := service.Try(ctx, h, &service.Request{}); len(got) != 0 {
		t.Errorf("got %+v", got)
	}
	<-left
}

// Events and lines are parts as they come, with the headers of the response on the
// first, and what is too large or broken off is an error behind them.
func TestStream(t *testing.T) {
	for _, c := range []struct{ kind, body, want string }{
		{"text/event-stream", ": hi\n\ndata: 1\n\nevent: tick\nid: 7\ndata: a\ndata:b\r\n\r\ndata: cut", "1 application/json|a\nb text/plain; charset=utf-8 x-event=tick x-event-id=7|end"},
		{"application/x-ndjson", "{\"a\":1}\n\n 2 \r\nx", `{"a":1} application/json|2 application/json|x text/plain; charset=utf-8|end`},
		{"application/x-ndjson", "1\n" + strings.Repeat("2", 200) + "\n", "1 application/json|too_large"},
		{"text/event-stream", "data: 1\n\n" + strings.Repeat("data: 1234567890\n", 20), "1 application/json|too_large"},
		{"application/x-ndjson", "1\nBREAK", "1 application/json|bad_gateway"},
		{"application/x-ndjson", "", "end"},
	} {
		h := forwarding(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", c.kind)
			w.Header().Set("X-First", "yes")
			body, broken := strings.CutSuffix(c.body, "BREAK")
			_, _ = io.WriteString(w, body)
			_ = http.NewResponseController(w).Flush()
			if broken {
				panic(http.ErrAbortHandler)
			}
		}, func(o *Options) { o.Body = 100 })
		var seen []string
		for i, a := range service.Try(t.Context(), h, &service.Request{}) {
			said := string(a.Body) + " " + a.ContentType
			for _, h := range a.Headers {
				if strings.HasPrefix(h.Key, "x-event") {
					said += " " + h.Key + "=" + string(h.Value)
				}
			}
			switch first := slices.ContainsFunc(a.Headers, func(h service.Header) bool { return h.Key == "x-first" }); {
			case a.Failure != nil:
				said = a.Failure.Code
			case a.Final():
				said = "end"
			case first != (i == 0):
				t.Errorf("%q: part %d has headers %s", c.body, i, a.Headers)
			}
			seen = append(seen, said)
		}
		if got := strings.Join(seen, "|"); got != c.want {
			t.Errorf("%s %q:\n got %s\nwant %s", c.kind, c.body, got, c.want)
		}
	}
}

// An answer that is too large is an error, and not read to its end.
func TestForwardTooLarge(t *testing.T) {
	h := forwarding(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write(make([]byte, 101))
	}, func(o *Options) { o.Body = 100 })
	if f := service.Try(t.Context(), h, &service.Request{})[0].Failure; f == nil || f.Code != "too_large" {
		t.Errorf("got %+v", f)
	}
}

// However a body is cut into lines, none is longer than may be, and together they are
// the body.
func FuzzLines(f *testing.F) {
	f.Add([]byte("data: 1\r\n\r\nid: \x00\n\n"))
	f.Add([]byte("1\n2"))
	f.Fuzz(func(t *testing.T, body []byte) {
		var all [][]byte
		const most = 20
		split := &events{most: most}
		err := eachLine(bufio.NewReaderSize(bytes.NewReader(body), 16), most, func(line []byte) error {
			all = append(all, line)
			if p, ok := split.line(line); ok && len(p.body) > most+len(line) {
				t.Errorf("an event of %d bytes", len(p.body))
			}
			return nil
		})
		if err != nil && !errors.Is(err, bufio.ErrTooLong) {
			t.Fatal(err)
		}
		if err != nil {
			return
		}
		got := bytes.Join(all, []byte("\n"))
		want := bytes.TrimSuffix(bytes.ReplaceAll(body, []byte("\r\n"), []byte("\n")), []byte("\n"))
		if got, want := bytes.ReplaceAll(got, []byte("\r"), nil), bytes.ReplaceAll(want, []byte("\r"), nil); !bytes.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}
