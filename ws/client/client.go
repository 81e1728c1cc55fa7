package client

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"sync"
	"sync/atomic"
	"time"
)

// Client is a session with a gateway. Its methods may be called from any
// goroutine.
type Client struct {
	o       Options
	ctx     context.Context // ends when the client is not to be polite any more
	cancel  context.CancelFunc
	closing chan struct{} // closed when Close is called
	done    chan struct{} // closed when the client has ended
	running sync.WaitGroup
	lastID  atomic.Uint64
	telling sync.Mutex // Options.Events is being called
	keeper             // what is the connecting goroutine's alone

	mu      sync.Mutex
	state   State
	closed  bool  // Close has been called
	err     error // why the client has ended
	link    *link // nil while there is none
	session string
	secret  string
	node    string
	frame   int              // bytes that the gateway takes; 0 until it is known
	resume  time.Duration    // for how long the gateway keeps a session without a socket
	open    map[uint64]*call // those without an outcome
	waiting []*call          // those that are to be written, in order; some may be settled
	queued  int              // bytes in waiting
	cancels []uint64         // that could not be said
	subs    map[feed][]*Subscription
	sockets int // that have been welcomed
}

// Dial connects to a gateway. It tries each URL once, in turn, and returns when
// a node has welcomed the client, or with the errors of all of them. A node that refuses
// the token is tried once more, with another one; where that is refused too, the error
// is a *[CloseError] and the other nodes are not asked. ctx is for Dial alone: it does not
// end the client.
func Dial(ctx context.Context, o Options) (*Client, error) {
	if err := check(o.URLs); err != nil {
		return nil, err
	}
	c := &Client{
		o: o.withDefaults(), open: make(map[uint64]*call), subs: make(map[feed][]*Subscription),
		closing: make(chan struct{}), done: make(chan struct{}),
	}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	first := make(chan error, 1)
	c.first = first
	c.running.Go(c.run)
	select {
	case err := <-first:
		if err != nil {
			c.running.Wait()
			return nil, err
		}
		return c, nil
	case <-ctx.Done():
		c.cancel()
		c.running.Wait()
		return nil, fmt.Errorf("connecting to the gateway: %w", ctx.Err())
	}
}

func check(urls []string) error {
	if len(urls) == 0 {
		return errors.New("Options.URLs is empty")
	}
	for _, text := range urls {
		u, err := url.Parse(text)
		if err != nil {
			return fmt.Errorf("Options.URLs: %w", err)
		}
		switch u.Scheme {
		case "ws", "wss", "http", "https":
		default:
			return fmt.Errorf("Options.URLs: %q starts neither with ws://, wss://, http:// nor https://", text)
		}
	}
	return nil
}

// Session is the session's id.
func (c *Client) Session() string { return locked(c, &c.session) }

// Node is the node that welcomed the client last.
func (c *Client) Node() string { return locked(c, &c.node) }

// State is where the client stands.
func (c *Client) State() State { return locked(c, &c.state) }

// Done is closed when the client has ended for good: by Close, or because the
// gateway says that coming back makes no sense. Err tells which.
func (c *Client) Done() <-chan struct{} { return c.done }

// Err is why the client has ended, mostly a *CloseError: nil while it has not,
// and after Close.
func (c *Client) Err() error { return locked(c, &c.err) }

func locked[T any](c *Client, what *T) T {
	c.mu.Lock()
	defer c.mu.Unlock()
	return *what
}

// Drop cuts the present socket off without a goodbye, as a network does that
// breaks. The client comes back as usual. It is for tests.
func (c *Client) Drop() {
	if l := locked(c, &c.link); l != nil {
		l.cut(errors.New("dropped"))
	}
}

// Close ends the session: what is open fails with cancelled. It says goodbye, if
// there is a socket, and waits 2 s for the gateway to answer, or until ctx ends,
// whose error it then returns. All goroutines have ended when it returns. Not to
// be called from Options.Events.
func (c *Client) Close(ctx context.Context) (err error) {
	c.mu.Lock()
	if !c.closed {
		c.closed = true
		close(c.closing)
	}
	polite := c.link != nil && c.link.ready
	c.mu.Unlock()
	if !polite {
		c.cancel()
	}
	select {
	case <-c.done:
	case <-ctx.Done():
		c.cancel()
		err = ctx.Err()
	}
	c.running.Wait()
	return err
}

// become changes the state.
func (c *Client) become(s State, delay time.Duration) {
	c.mu.Lock()
	same := c.state == s
	c.state = s
	c.mu.Unlock()
	if !same {
		c.event(Event{Kind: EventState, State: s, Delay: delay})
	}
}

// event tells Options.Events, one at a time.
func (c *Client) event(e Event) {
	if c.o.Events == nil {
		return
	}
	c.telling.Lock()
	defer c.telling.Unlock()
	e.At = time.Now()
	c.o.Events(e)
}
