package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"parley/kafka"
)

// realServers answers the addresses of the real Kafka and Redis that the
// guarantees are proven on. Without them the test is skipped, unless
// PARLEY_TEST_REAL says that they must be there.
func realServers(t *testing.T) (kafka, redis string) {
	t.Helper()
	kafka, redis = os.Getenv("PARLEY_TEST_KAFKA"), os.Getenv("PARLEY_TEST_REDIS")
	if kafka == "" || redis == "" {
		if os.Getenv("PARLEY_TEST_REAL") != "" {
			t.Fatal("PARLEY_TEST_REAL is set, but PARLEY_TEST_KAFKA or PARLEY_TEST_REDIS is not")
		}
		t.Skip("needs real Kafka and Redis: scripts/test --real")
	}
	return kafka, redis
}

// binary answers the path of parley: of one that was built before (PARLEY_TEST_BINARY),
// or that it builds once, with the race detector where there can be one.
var binary = sync.OnceValues(func() (string, error) {
	if path := os.Getenv("PARLEY_TEST_BINARY"); path != "" {
		return path, nil
	}
	dir, err := os.MkdirTemp("", "parley-test-")
	if err != nil {
		return "", err
	}
	built = dir
	path := filepath.Join(dir, "parley")
	args := []string{"build", "-o", path}
	// The detector needs a C compiler, which a machine with Go alone has not; on real
	// servers it is not left out.
	if cgo, _ := exec.Command("go", "env", "CGO_ENABLED").Output(); os.Getenv("PARLEY_TEST_REAL") != "" || strings.TrimSpace(string(cgo)) == "1" {
		args = append(args, "-race")
	}
	out, err := exec.Command("go", append(args, ".")...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build: %w\n%s", err, out)
	}
	return path, nil
})

// built is the directory that binary has built in; "" where it has not.
var built string

func TestMain(m *testing.M) {
	code := m.Run()
	if built != "" {
		os.RemoveAll(built)
	}
	os.Exit(code)
}

// cluster is a gateway of several processes on real servers, with topics, a
// group and services of its own.
type cluster struct {
	t            *testing.T
	kafka, redis string
	prefix       string // of all topics and of the group
	services     map[string]string
	extra        string   // more lines of configuration
	flags        []string // and flags of `parley serve`, which go before the file
	client       *kgo.Client
	nodes        []*process
}

// process is one `parley serve`.
type process struct {
	name   string
	url    string // http://127.0.0.1:port
	admin  string
	cmd    *exec.Cmd
	output *lockedBuffer
	exited chan struct{}
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// newCluster prepares a cluster whose services have these partitioners; no node
// runs yet.
func newCluster(t *testing.T, partitioners map[string]string) *cluster {
	t.Helper()
	kafka, redis := realServers(t)
	c := clusterOn(t, kafka, redis, partitioners)
	admin := kadm.NewClient(c.client)
	topics := []string{}
	for name := range partitioners {
		topics = append(topics, c.topic(name))
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for _, made := range must(admin.CreateTopics(ctx, 4, 1, nil, topics...)) {
		if made.Err != nil {
			t.Fatalf("create %s: %v", made.Topic, made.Err)
		}
	}
	return c
}

// clusterOn prepares a cluster on servers that need not be there yet: its nodes
// make the topics.
func clusterOn(t *testing.T, kafka, redis string, partitioners map[string]string) *cluster {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(kafka))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return &cluster{
		t: t, kafka: kafka, redis: redis, client: client,
		prefix: fmt.Sprintf("t%d", time.Now().UnixNano()), services: partitioners,
	}
}

func (c *cluster) topic(service string) string { return c.prefix + "." + service }

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// config is the file that a node of the cluster is started with.
func (c *cluster) config(name string, port, adminPort int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "node: %s\nlisten: 127.0.0.1:%d\nadmin: 127.0.0.1:%d\n", name, port, adminPort)
	fmt.Fprintf(&b, "kafka: {brokers: [%q], group: %s, reply_topic: %s.replies, reply_partitions: 12}\n", c.kafka, c.prefix, c.prefix)
	// The load takes all processors, and nobody is to be taken for dead by that.
	fmt.Fprintf(&b, "redis: {url: redis://%s/0, lease: 6s}\n", c.redis)
	fmt.Fprintf(&b, "sessions: {frame: 4MiB, send_queue: 8MiB}\nlog: {format: json}\nservices:\n")
	for service, partitioner := range c.services {
		fmt.Fprintf(&b, "  %s: {topic: %s, timeout: 60s, partitioner: %s}\n", service, c.topic(service), partitioner)
	}
	return b.String() + c.extra
}

// start starts a node and waits until it is ready.
func (c *cluster) start(name string) *process {
	c.t.Helper()
	p := c.launch(name)
	p.await(c.t, "ready", func() bool { return p.status("/readyz") == http.StatusOK })
	return p
}

// launch starts a node and waits for nothing.
func (c *cluster) launch(name string) *process {
	c.t.Helper()
	path, err := binary()
	if err != nil {
		c.t.Fatal(err)
	}
	port, adminPort := freePort(c.t), freePort(c.t)
	file := filepath.Join(c.t.TempDir(), name+".yaml")
	if err := os.WriteFile(file, []byte(c.config(c.prefix+"-"+name, port, adminPort)), 0o600); err != nil {
		c.t.Fatal(err)
	}
	p := &process{
		name: name, url: "http://127.0.0.1:" + strconv.Itoa(port), admin: "http://127.0.0.1:" + strconv.Itoa(adminPort),
		cmd:    exec.Command(path, append([]string{"serve", "--config", file}, c.flags...)...),
		output: &lockedBuffer{}, exited: make(chan struct{}),
	}
	p.cmd.Stdout, p.cmd.Stderr = p.output, p.output
	if err := p.cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	go func() { p.cmd.Wait(); close(p.exited) }()
	c.t.Cleanup(func() { c.finish(p) })
	c.nodes = append(c.nodes, p)
	return p
}

// finish ends a node that still runs and looks for what must not be in its log.
func (c *cluster) finish(p *process) {
	p.signal(syscall.SIGTERM)
	select {
	case <-p.exited:
	case <-time.After(30 * time.Second):
		c.t.Errorf("node %s did not stop within 30 s of SIGTERM", p.name)
		p.cmd.Process.Kill()
		<-p.exited
	}
	out := p.output.String()
	if strings.Contains(out, "DATA RACE") || strings.Contains(out, "panic:") || c.t.Failed() {
		c.t.Logf("node %s said:\n%s", p.name, tail(out, 12000))
	}
	if strings.Contains(out, "DATA RACE") || strings.Contains(out, "panic:") {
		c.t.Errorf("node %s raced or panicked", p.name)
	}
}

func (p *process) signal(s syscall.Signal) {
	select {
	case <-p.exited:
	default:
		p.cmd.Process.Signal(s)
	}
}

func (p *process) status(path string) int {
	client := http.Client{Timeout: time.Second}
	response, err := client.Get(p.url + path)
	if err != nil {
		return 0
	}
	defer response.Body.Close()
	io.Copy(io.Discard, response.Body)
	return response.StatusCode
}

// await polls a condition of a node, for a minute at most.
func (p *process) await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	poll := time.NewTicker(50 * time.Millisecond)
	defer poll.Stop()
	limit := time.After(time.Minute)
	for !ok() {
		select {
		case <-poll.C:
		case <-p.exited:
			t.Fatalf("node %s ended while it was awaited to be %s:\n%s", p.name, what, tail(p.output.String(), 8000))
		case <-limit:
			t.Fatalf("node %s is not %s after a minute:\n%s", p.name, what, tail(p.output.String(), 8000))
		}
	}
}

// metric adds up a metric's values over all nodes: name is what stands before
// the value, such as parley_replies_total{path="home"}.
func (c *cluster) metric(name string) (sum float64) {
	for _, p := range c.nodes {
		sum += p.metric(c.t, name)
	}
	return sum
}

func (p *process) metric(t *testing.T, name string) float64 {
	return metricIn(t, p.metrics(t), name)
}

// metrics is all that /metrics says; nothing where the node has left.
func (p *process) metrics(t *testing.T) string {
	response, err := http.Get(p.admin + "/metrics")
	if err != nil {
		return "" // a node that has left counts no more
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func metricIn(t *testing.T, text, name string) float64 {
	for line := range strings.Lines(text) {
		if rest, found := strings.CutPrefix(line, name+" "); found {
			value, err := strconv.ParseFloat(strings.TrimSpace(rest), 64)
			if err != nil {
				t.Fatal(err)
			}
			return value
		}
	}
	return 0
}

// givenPorts are those that freePort has answered. Who was given one takes it later, and
// until then the kernel may answer with it again.
var givenPorts sync.Map

func freePort(t *testing.T) int {
	t.Helper()
	for {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		port := l.Addr().(*net.TCPAddr).Port
		l.Close()
		if _, before := givenPorts.LoadOrStore(port, true); !before {
			return port
		}
	}
}

func tail(s string, n int) string {
	if len(s) > n {
		return "…" + s[len(s)-n:]
	}
	return s
}

// demo runs the demo services on the cluster's topics until the test ends.
func (c *cluster) demo(topics map[string]string) {
	c.t.Helper()
	c.t.Cleanup(c.demoUntil(topics))
}

// demoUntil runs the demo services until they are stopped.
func (c *cluster) demoUntil(topics map[string]string) (stop func()) {
	c.t.Helper()
	shop, err := newDemo(topics, kafka.Config{Brokers: []string{c.kafka}}, c.prefix+".demo")
	if err != nil {
		c.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := shop.Run(ctx); err != nil {
			c.t.Errorf("the demo services end: %v", err)
		}
	}()
	return func() { cancel(); <-ended }
}

// startGroup starts a program that may start others, and answers how to end them
// all.
func startGroup(t *testing.T, cmd *exec.Cmd) (stop func()) {
	t.Helper()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return func() {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		cmd.Wait()
	}
}
