package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// child is one node of `parley dev`: a `parley serve` in a process of its own.
// All methods may be called by any goroutine.
type child struct {
	id, url string
	program string
	args    []string
	env     []string
	stderr  io.Writer
	log     *slog.Logger

	mu      sync.Mutex
	state   childState
	why     string        // it is down: in words
	changed chan struct{} // closed when state changes; nil before anybody waits
	ended   bool          // it must not be started any more
	process *os.Process
	stdin   io.Closer     // its end asks the process to end
	exited  chan struct{} // closed once the process has been waited for
}

// childState is where a node is in its life.
type childState string

const (
	childDown     childState = "" // also before the first start
	childStarting childState = "starting"
	childUp       childState = "up"
	childEnding   childState = "ending"
)

// word is the state's name for the page.
func (s childState) word() string {
	if s == childDown {
		return "down"
	}
	return string(s)
}

// start starts the process, unless it runs.
func (c *child) start() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended || c.state != childDown {
		return fmt.Errorf("node %s is %s", c.id, c.state.word())
	}
	cmd := exec.Command(c.program, c.args...)
	cmd.Env = append(c.env[:len(c.env):len(c.env)], devParentVariable+"=stdin")
	cmd.Stdout, cmd.Stderr = c.stderr, c.stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return fmt.Errorf("start node %s: %w", c.id, err)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start node %s: %w", c.id, err)
	}
	c.process, c.stdin, c.exited, c.why = cmd.Process, stdin, make(chan struct{}), ""
	c.becomeLocked(childStarting)
	go c.watch(cmd, c.exited)
	return nil
}

// watch waits until the process serves, and until it ends.
func (c *child) watch(cmd *exec.Cmd, exited chan struct{}) {
	ctx, cancel := context.WithCancel(context.Background())
	var probing sync.WaitGroup
	probing.Go(func() { c.probe(ctx) })
	err := cmd.Wait()
	cancel()
	probing.Wait()

	c.mu.Lock()
	defer c.mu.Unlock()
	c.why = "ended"
	if err != nil {
		c.why = err.Error() // exit status 1, signal: killed
	}
	if c.state != childEnding {
		c.log.Warn("a node has ended", "node", c.id, "why", c.why)
	}
	c.becomeLocked(childDown)
	close(exited)
}

// probe asks the node whether it is ready until it is.
func (c *child) probe(ctx context.Context) {
	client := http.Client{Timeout: time.Second}
	defer client.CloseIdleConnections()
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	for !readyAt(ctx, &client, c.url+"/readyz") {
		select {
		case <-poll.C:
		case <-ctx.Done():
			return
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state == childStarting {
		c.becomeLocked(childUp)
	}
}

// readyAt asks once.
func readyAt(ctx context.Context, client *http.Client, url string) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	response, err := client.Do(request)
	if err != nil {
		return false
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, response.Body)
	return response.StatusCode == http.StatusOK
}

// becomeLocked changes the state and wakes who waits for that.
func (c *child) becomeLocked(state childState) {
	c.state = state
	if c.changed != nil {
		close(c.changed)
		c.changed = nil
	}
}

// now answers the state, and for a node that is down why.
func (c *child) now() (state childState, why string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state, c.why
}

// await waits until the node is in a state. It answers an error if the node ends
// before, or ctx does.
func (c *child) await(ctx context.Context, want childState) error {
	for {
		c.mu.Lock()
		state, why := c.state, c.why
		if c.changed == nil {
			c.changed = make(chan struct{})
		}
		changed := c.changed
		c.mu.Unlock()
		switch state {
		case want:
			return nil
		case childDown:
			return fmt.Errorf("node %s ended before it was %s: %s", c.id, want.word(), why)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// kill is kill -9: the node has no chance to say anything to anybody.
func (c *child) kill() error { return c.signal(os.Kill) }

// terminate asks the node to drain and to end.
func (c *child) terminate() error { return c.signal(syscall.SIGTERM) }

func (c *child) signal(s os.Signal) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state == childDown {
		return fmt.Errorf("node %s is down", c.id)
	}
	if err := c.process.Signal(s); err != nil {
		return fmt.Errorf("signal node %s: %w", c.id, err)
	}
	c.becomeLocked(childEnding)
	return nil
}

// end ends the process for good, with force if it takes too long. The node is
// asked by the end of its standard input and not by a signal: at a terminal it
// has got Ctrl-C too, and a second signal would cut its orderly end short.
func (c *child) end() {
	c.mu.Lock()
	c.ended = true
	if c.state == childDown {
		c.mu.Unlock()
		return
	}
	exited := c.exited
	c.stdin.Close()
	c.becomeLocked(childEnding)
	c.mu.Unlock()
	select {
	case <-exited:
	case <-time.After(devShutdown + 2*time.Second):
		c.log.Warn("a node does not end: it is killed", "node", c.id)
		_ = c.kill() // it may have ended just now
		<-exited
	}
}
