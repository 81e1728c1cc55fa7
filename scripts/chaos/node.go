package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// node is one gateway process, and the proxies through which it talks.
type node struct {
	name     string
	binary   string
	config   string
	logFile  string
	killFile string // says at which point it is to die
	env      []string
	grace    time.Duration // to end when it is asked to
	listen   string
	admin    string

	url      string // of the proxy before it
	clients  network
	kafka    network // a proxy before each broker
	redis    network // a proxy before each server, and each Sentinel
	settings string  // of redis in its configuration
	process  *process
	busy     sync.Mutex // held while something is done to it
}

// newNode opens the proxy before the i-th node and picks its addresses. What it is to
// talk to comes later.
func newNode(o *options, dir string, i int) (*node, error) {
	first := o.chosen()
	n := &node{name: nodeName(i), binary: o.binary(first[:min(1, len(first))]...), grace: 25 * time.Second}
	n.config, n.logFile = configFile(dir, n.name), filepath.Join(dir, "node-"+n.name+".log")
	n.killFile = killFile(dir, n.name)
	n.env = []string{"PARLEY_TEST_KILL=" + n.killFile}
	if o.defect != "" {
		n.grace = 2 * time.Second // what it has lost it would wait for
		n.env = append(n.env, "PARLEY_TEST_DEFECT="+o.defect)
	}
	for _, address := range []*string{&n.listen, &n.admin} {
		port, err := freePort()
		if err != nil {
			return nil, err
		}
		*address = fmt.Sprintf("127.0.0.1:%d", port)
	}
	before, err := n.clients.open(n.listen)
	n.url = "ws://" + before + "/ws"
	return n, err
}

// nodeName is what the i-th node is called.
func nodeName(i int) string { return string(rune('a' + i)) }

// configure writes the node's configuration: defaults, but for addresses, names
// and a quicker ping.
func (n *node) configure() error {
	brokers, _ := json.Marshal(n.kafka.addresses())
	return os.WriteFile(n.config, fmt.Appendf(nil, `node: %s
listen: %s
admin: %s
kafka: {brokers: %s, group: %s, reply_topic: %s, reply_partitions: %d}
redis: %s
services:
  home: {topic: %s, partitioner: murmur2}
  any: {topic: %s, partitioner: any}
  wait: {topic: %s, answer: {events: {topic: %s, key: request.key, until: 'event.state in ["VALIDATED", "FAILED"]'}}}
subscriptions: {topics: [%s]}
sessions: {ping: 5s}
page: false
log: {level: info, format: json}
`, n.name, n.listen, n.admin, brokers, group, replyTopic, replyPartitions, n.settings,
		homeTopic, anyTopic, waitTopic, eventTopic, eventTopic), 0o644)
}

func (n *node) networks() []network { return []network{n.clients, n.kafka, n.redis} }

// start runs the node's process; it may not be ready yet.
func (n *node) start() (err error) {
	n.process, _, err = startProcess(n.logFile, 0, n.env, n.binary, "serve", "--config", n.config)
	if err != nil {
		return fmt.Errorf("start node %s: %w", n.name, err)
	}
	return nil
}

// awaitReady asks /readyz until it says yes.
func (n *node) awaitReady(ctx context.Context) error {
	for {
		err := n.ready(ctx)
		if err == nil {
			return nil
		}
		if !n.process.lives() {
			return fmt.Errorf("the process has ended: %v", n.process.cmd.ProcessState)
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (n *node) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+n.admin+"/readyz", nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("/readyz says %s", response.Status)
	}
	return nil
}

// freeze stops the process in its tracks for a while.
func (n *node) freeze(d time.Duration) {
	n.process.signal(syscall.SIGSTOP)
	time.Sleep(d)
	n.process.signal(syscall.SIGCONT)
}

func (n *node) close() {
	if n.process != nil {
		n.process.stop(n.grace)
	}
	for _, side := range n.networks() {
		side.each((*proxy).close)
	}
}
