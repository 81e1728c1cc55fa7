package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"path/filepath"
	"sync"
	"time"
)

// What the cluster's parts are called.
const (
	replyTopic      = "chaos.replies"
	replyPartitions = 12
	homeTopic       = "chaos.home" // its service answers to the home partition
	anyTopic        = "chaos.any"  // its service answers to any partition
	waitTopic       = "chaos.wait" // its service tells what happens, and an event answers
	topicPartitions = 3
	eventTopic      = "chaos.events"
	eventPartitions = 6
)

// cluster is what is tormented: Kafka, Redis, and the nodes between proxies.
type cluster struct {
	dir   string // of logs, configuration and data
	kafka *brokers
	redis *redises
	nodes []*node
}

// newCluster starts everything and waits until every node is ready. After an
// error, close what there is of it.
func newCluster(ctx context.Context, o *options, dir string) (*cluster, error) {
	c := &cluster{dir: dir}
	for i := range o.nodes {
		n, err := newNode(o, dir, i)
		if err != nil {
			return c, err
		}
		c.nodes = append(c.nodes, n)
	}
	var err error
	if c.kafka, err = newBrokers(o, dir, c.nodes); err != nil {
		return c, err
	}
	if c.redis, err = newRedises(o, dir, c.nodes); err != nil {
		return c, err
	}
	if err := errors.Join(c.kafka.start(ctx), c.redis.start(ctx)); err != nil {
		return c, err
	}
	for _, n := range c.nodes {
		if err := errors.Join(n.configure(), n.start()); err != nil {
			return c, err
		}
	}
	return c, errors.Join(c.awaitReady(ctx, time.Minute), c.kafka.settle(ctx))
}

// awaitReady waits until every node says that it is ready.
func (c *cluster) awaitReady(ctx context.Context, patience time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for _, n := range c.nodes {
		if err := n.awaitReady(ctx); err != nil {
			return fmt.Errorf("node %s is not ready (its log is %s): %w", n.name, n.logFile, err)
		}
	}
	return nil
}

// urls are where clients connect: a proxy before each node.
func (c *cluster) urls() (all []string) {
	for _, n := range c.nodes {
		all = append(all, n.url)
	}
	return all
}

// heal ends every fault that may still be going on, and waits until the cluster
// is well again.
func (c *cluster) heal(ctx context.Context) error {
	for _, n := range c.nodes {
		for _, side := range n.networks() {
			side.restore()
		}
	}
	if err := errors.Join(c.kafka.heal(ctx), c.redis.heal(ctx)); err != nil {
		return err
	}
	for _, n := range c.nodes {
		if !n.process.lives() {
			log.Printf("node %s has ended by itself; starting it again", n.name)
			if err := n.start(); err != nil {
				return err
			}
		}
	}
	return c.awaitReady(ctx, time.Minute)
}

// use has all nodes run a binary. Those that run another are restarted, one after
// the other; it is called while there is no load.
func (c *cluster) use(ctx context.Context, binary string) error {
	for _, n := range c.nodes {
		if n.binary == binary {
			continue
		}
		n.process.stop(n.grace)
		n.binary = binary
		if err := n.start(); err != nil {
			return err
		}
		if err := n.awaitReady(ctx); err != nil {
			return err
		}
	}
	return nil
}

// close stops everything, nodes first.
func (c *cluster) close() {
	var nodes sync.WaitGroup
	for _, n := range c.nodes {
		nodes.Go(n.close)
	}
	nodes.Wait()
	if c.redis != nil {
		c.redis.close()
	}
	if c.kafka != nil {
		c.kafka.close()
	}
}

func configFile(dir, name string) string { return filepath.Join(dir, "node-"+name+".yaml") }
