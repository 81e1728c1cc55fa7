package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// running is a `parley dev` in a process of its own.
type running struct {
	t       *testing.T
	cmd     *exec.Cmd
	output  *lockedBuffer
	exited  chan struct{}
	pages   []string // of its nodes
	control string
}

// startDev starts `parley dev` with two nodes, and more flags, and waits for its greeting.
func startDev(t *testing.T, flags ...string) *running {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	d := &running{t: t, output: &lockedBuffer{}, exited: make(chan struct{})}
	var listen []string
	for range 2 {
		address := fmt.Sprintf("127.0.0.1:%d", freePort(t))
		listen = append(listen, address)
		d.pages = append(d.pages, "http://"+address)
	}
	d.cmd = exec.Command(path, append([]string{"dev", "--listen", strings.Join(listen, ",")}, flags...)...)
	d.cmd.Stdout, d.cmd.Stderr = d.output, d.output
	d.cmd.WaitDelay = time.Second // nodes that outlive it hold its output
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { d.cmd.Wait(); close(d.exited) }()
	t.Cleanup(func() { d.stop(syscall.SIGTERM) })
	d.until("ready", func() bool { return strings.Contains(d.output.String(), "Ctrl-C") })
	var about struct{ Control string }
	if err := json.Unmarshal([]byte(d.get(d.pages[0]+"/page.json")), &about); err != nil || about.Control == "" {
		t.Fatalf("the page is not told where the control is: %v", err)
	}
	d.control = about.Control
	return d
}

// stop ends it and looks for what must not be in its output.
func (d *running) stop(signal syscall.Signal) {
	_ = d.cmd.Process.Signal(signal)
	select {
	case <-d.exited:
	case <-time.After(30 * time.Second):
		d.t.Error("parley dev does not end")
		d.cmd.Process.Kill()
		<-d.exited
	}
	if out := d.output.String(); d.t.Failed() || strings.Contains(out, "DATA RACE") || strings.Contains(out, "panic:") {
		d.t.Errorf("it said:\n%s", tail(out, 8000))
	}
}

// until polls a condition for a minute at most.
func (d *running) until(what string, ok func() bool) {
	d.t.Helper()
	for limit := time.Now().Add(time.Minute); !ok(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(limit) {
			d.t.Fatalf("not %s after a minute:\n%s", what, tail(d.output.String(), 8000))
		}
	}
}

func (d *running) get(url string) string {
	response, err := http.Get(url)
	if err != nil {
		return ""
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(response.Body)
	return string(body)
}

// press is a button of the page; header is an extra one of the request, name: value.
func (d *running) press(path string, headers ...string) int {
	d.t.Helper()
	request, _ := http.NewRequest("POST", d.control+path, nil)
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		request.Header.Set(name, value)
		if name == "Host" {
			request.Host = value
		}
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		d.t.Fatal(err)
	}
	response.Body.Close()
	return response.StatusCode
}

func reachable(page string) bool {
	c, err := net.Dial("tcp", strings.TrimPrefix(page, "http://"))
	if err == nil {
		c.Close()
	}
	return err == nil
}

// A person kills a node of `parley dev` from its page, which ends a process and
// leaves the other to serve, and starts it again. Whom the buttons are not for is
// refused. In the end everything ends.
func TestDevNodesAreKilledAndStarted(t *testing.T) {
	d := startDev(t)
	const asJSON = "Content-Type: application/json"
	for what, refused := range map[string]struct {
		headers []string
		status  int
	}{
		"another site":       {[]string{asJSON, "Origin: http://elsewhere.example"}, 403},
		"a sandboxed page":   {[]string{asJSON, "Origin: null"}, 403},
		"a name of another":  {[]string{asJSON, "Host: elsewhere.example"}, 403},
		"a form":             {[]string{"Content-Type: text/plain", "Origin: " + d.pages[0]}, 415},
		"without a type":     {nil, 415},
		"a page of the node": {[]string{asJSON, "Origin: " + d.pages[0]}, 200},
	} {
		path := "/nodes/a/start" // of a node that runs: 409 where it is heard
		if got := d.press(path, refused.headers...); got != refused.status && (refused.status != 200 || got != 409) {
			t.Errorf("%s: %d, want %d", what, got, refused.status)
		}
	}
	if got := d.press("/nodes/a/kill", asJSON, "Origin: "+d.pages[1]); got != 200 {
		t.Fatalf("kill: %d", got)
	}
	d.until("dead", func() bool {
		return strings.Contains(d.get(d.control+"/nodes"), `{"id":"a","state":"down","why":"signal: killed"}`)
	})
	if reachable(d.pages[0]) || !reachable(d.pages[1]) {
		t.Error("node a can be reached, or node b cannot")
	}
	if got := d.press("/nodes/a/start", asJSON); got != 200 {
		t.Fatalf("start: %d", got)
	}
	d.until("started", func() bool { return reachable(d.pages[0]) })
	d.press("/nodes/b/term", asJSON)
	d.until("drained", func() bool {
		return strings.Contains(d.get(d.control+"/nodes"), `{"id":"b","state":"down","why":"ended"}`)
	})
	d.stop(syscall.SIGINT)
	if reachable(d.pages[0]) {
		t.Error("node a outlived parley dev")
	}
}

// Who writes can read it at another node: the checkout's last word is there, however
// late that node is with its topic.
func TestDevReadsItsOwnWrite(t *testing.T) {
	d := startDev(t)
	body := strings.NewReader(`{"order":"o-1","customer":"c-1","items":[{"sku":"tea","quantity":2}]}`)
	r, err := http.Post(d.pages[0]+"/services/"+checkoutService, "application/json", body)
	if err != nil {
		t.Fatal(err)
	}
	wrote, err := io.ReadAll(r.Body)
	_ = r.Body.Close()
	if err != nil || !strings.Contains(string(wrote), "VALIDATED") {
		t.Fatalf("checkout: %s, %v", wrote, err)
	}
	d.until("there", func() bool { return d.get(d.pages[1]+"/services/"+statusService+"/o-1") == string(wrote) })
	d.stop(syscall.SIGINT)
}

// An ordinary HTTP service stands behind a topic: its answers, its status and its words
// come back through the gateway.
func TestDevHasAWorker(t *testing.T) {
	d := startDev(t)
	d.until("there", func() bool {
		return d.get(d.pages[1]+"/services/"+pricesService+"/tea") == `{"currency":"EUR","price":"6.20","sku":"tea"}`
	})
	r, err := http.Post(d.pages[0]+"/services/"+pricesService, "application/json", strings.NewReader(`{"sku":"rum"}`))
	if err != nil {
		t.Fatal(err)
	}
	said, err := io.ReadAll(r.Body)
	_ = r.Body.Close()
	if err != nil || r.StatusCode != 404 || !strings.Contains(string(said), `there is no \"rum\"`) {
		t.Errorf("%s %s, %v", r.Status, said, err)
	}
	d.stop(syscall.SIGINT)
}

// `parley dev` is killed: its nodes notice, and do not live on.
func TestDevKilledTakesItsNodesAlong(t *testing.T) {
	d := startDev(t)
	d.stop(syscall.SIGKILL)
	d.until("gone", func() bool { return !reachable(d.pages[0]) && !reachable(d.pages[1]) })
}

// An address that is taken is named, and nothing is started.
func TestDevAddressTaken(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var out lockedBuffer
	code := runDev(t.Context(), []string{"--listen", "127.0.0.1:0," + l.Addr().String()}, &out, &out)
	if want := l.Addr().String() + " cannot be used for a node"; code != exitError || !strings.Contains(out.String(), want) {
		t.Errorf("%d: %s", code, out.String())
	}
}

// A person kills the node that took their request, loses the socket, reloads the
// page and duplicates the tab: in a real browser, every answer arrives once.
func TestDemoOutlivesItsNode(t *testing.T) {
	dir := others(t)
	d := startDev(t)
	t.Log(runOther(t, dir, "node", copyInto(t, dir, "resume.mjs"), d.pages[0], artefacts(t)))
}

// A page asks in every way that there is: parts, kept requests, idempotency keys, events,
// subscriptions and views, by the bundled client and by fetch and EventSource.
func TestBrowserAsksInEveryWay(t *testing.T) {
	dir := others(t)
	d := startDev(t, "--kafka", os.Getenv("PARLEY_TEST_KAFKA"), "--redis", "redis://"+os.Getenv("PARLEY_TEST_REDIS"))
	t.Log(runOther(t, dir, "node", copyInto(t, dir, "ways.mjs"), d.pages[0], artefacts(t)))
}
