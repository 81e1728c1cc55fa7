package worker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"parley/kafka/service"
)

// Options are what Forward needs to know. The zero value of each, URL apart, stands
// for its default.
type Options struct {
	URL       *url.URL          // http or https; what is below the service's name is below its path
	Transport http.RoundTripper // a transport of its own
	Retry     time.Duration     // how long a service that cannot be connected to is tried: 5 s
	Body      int               // bytes of the largest answer, or part of one: 1 MiB
}

const (
	retryFirst = 100 * time.Millisecond // pause after the first try, doubled each time
	retryMost  = time.Second
)

// forwarder forwards the requests of one service.
type forwarder struct {
	Options
	client *http.Client
}

// Forward makes a handler that asks an HTTP service.
func Forward(o Options) service.Handler {
	f := forwarder{Options: o}
	f.Retry, f.Body = cmp.Or(o.Retry, 5*time.Second), cmp.Or(o.Body, 1<<20)
	if f.Transport == nil {
		f.Transport = NewTransport()
	}
	f.client = &http.Client{
		Transport:     f.Transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // the caller's business
	}
	return f.serve
}

// NewTransport makes a transport that suits many requests of one server.
func NewTransport() *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.Proxy, t.MaxIdleConnsPerHost = nil, 256
	// Node and others close a connection that was idle for 5 s. A request that meets
	// this cannot be made again, since nobody knows what became of it.
	t.IdleConnTimeout = 1500 * time.Millisecond
	t.DialContext = (&net.Dialer{Timeout: 2 * time.Second, KeepAlive: 30 * time.Second}).DialContext
	return t
}

// serve forwards one request and answers it.
func (f *forwarder) serve(ctx context.Context, r *service.Request) error {
	response, err := f.ask(ctx, r)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if split := splitterOf(response, f.Body); split != nil {
		return f.stream(r, response, split)
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, int64(f.Body)+1))
	switch {
	case err != nil:
		return broken(ctx, err)
	case len(body) > f.Body:
		return &service.Failure{Code: "too_large", Status: http.StatusBadGateway, Message: fmt.Sprintf("the service's answer has more than %d bytes", f.Body)}
	case response.StatusCode >= 400 && r.Method == "":
		return &service.Failure{
			Code: fmt.Sprintf("http_%d", response.StatusCode), Status: response.StatusCode, Message: http.StatusText(response.StatusCode),
			Body: body, ContentType: response.Header.Get("Content-Type"),
		}
	}
	return r.Reply(answerOf(response, body))
}

// ask makes the request until there is a connection for it.
func (f *forwarder) ask(ctx context.Context, r *service.Request) (*http.Response, error) {
	until := time.Now().Add(f.Retry)
	for pause := retryFirst; ; pause = min(2*pause, retryMost) {
		q, err := f.request(ctx, r)
		if err != nil {
			return nil, err
		}
		response, err := f.client.Do(q)
		switch {
		case err == nil:
			return response, nil
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case !unsent(err):
			return nil, broken(ctx, err)
		case time.Now().Add(pause).After(until):
			return nil, &service.Failure{Code: "unavailable", Status: http.StatusServiceUnavailable, Message: "the service cannot be reached"}
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// unsent tells whether a request surely did not leave: there was no connection.
func unsent(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

// broken is what a client is told of a service that was asked and did not answer
// properly.
func broken(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	f := &service.Failure{Code: "bad_gateway", Status: http.StatusBadGateway, Message: "the service broke off its answer"}
	return fmt.Errorf("%w (%w)", f, err)
}
