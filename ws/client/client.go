package client

import (
	"context"
	"errors"
)

// Client is a session with a gateway. Its methods may be called from any
// goroutine.
type Client struct {
	o    Options
	done chan struct{}
}

// Dial connects to a gateway. It tries each URL once, in turn, and returns when
// a node has welcomed the client, or with the errors of all of them. ctx is for
// Dial alone: it does not end the client.
func Dial(ctx context.Context, o Options) (*Client, error) {
	return nil, errors.New("not yet written")
}

// Session is the session's id.
func (c *Client) Session() string { return "" }

// Node is the node that welcomed the client last.
func (c *Client) Node() string { return "" }

// State is where the client stands.
func (c *Client) State() State { return Closed }

// Done is closed when the client has ended for good: by Close, or because the
// gateway says that coming back makes no sense. Err tells which.
func (c *Client) Done() <-chan struct{} { return c.done }

// Err is why the client has ended: nil while it has not, and after Close.
func (c *Client) Err() error { return nil }

// Drop cuts the present socket off without a goodbye, as a network does that
// breaks. The client comes back as usual. It is for tests.
func (c *Client) Drop() {}

// Close ends the session: what is open fails with cancelled. It says goodbye, if
// there is a socket, and waits for the gateway to answer until ctx ends, whose
// error it then returns. All goroutines have ended when it returns. Not to be
// called from Options.Events.
func (c *Client) Close(ctx context.Context) error { return nil }
