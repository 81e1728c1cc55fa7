package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"path/filepath"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// What the cluster's parts are called.
const (
	replyTopic      = "chaos.replies"
	replyPartitions = 24
	homeTopic       = "chaos.home" // its service answers to the home partition
	anyTopic        = "chaos.any"  // its service answers to any partition
	topicPartitions = 4
)

// cluster is what is tormented: Kafka, Redis, and the nodes between proxies.
type cluster struct {
	dir   string // of logs, configuration and data
	kafka *server
	redis *server
	nodes []*node
}

// newCluster starts everything and waits until every node is ready. After an
// error, close what there is of it.
func newCluster(ctx context.Context, o *options, dir string) (*cluster, error) {
	c := &cluster{dir: dir}
	var kafkas []*proxy
	for i := range o.nodes {
		n, err := newNode(o, dir, i)
		if err != nil {
			return c, err
		}
		c.nodes = append(c.nodes, n)
		kafkas = append(kafkas, n.kafka)
	}
	var err error
	if c.kafka, err = newKafka(o.scripts, dir, kafkas); err != nil {
		return c, err
	}
	if c.redis, err = newRedis(o.scripts, dir); err != nil {
		return c, err
	}
	if err := errors.Join(c.kafka.start(), c.redis.start()); err != nil {
		return c, err
	}
	if err := c.createTopics(ctx); err != nil {
		return c, err
	}
	for _, n := range c.nodes {
		n.redis.target = c.redis.address
		if err := n.start(); err != nil {
			return c, err
		}
	}
	return c, c.awaitReady(ctx, time.Minute)
}

// createTopics makes the topics before the services look for them.
func (c *cluster) createTopics(ctx context.Context) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(c.kafka.address))
	if err != nil {
		return err
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	for topic, partitions := range map[string]int32{homeTopic: topicPartitions, anyTopic: topicPartitions, replyTopic: replyPartitions} {
		if _, err := admin.CreateTopic(ctx, partitions, 1, nil, topic); err != nil {
			return fmt.Errorf("create topic %s: %w", topic, err)
		}
	}
	return nil
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
		all = append(all, "ws://"+n.clients.address()+"/ws")
	}
	return all
}

// heal ends every fault that may still be going on, and waits until the cluster
// is well again.
func (c *cluster) heal(ctx context.Context) error {
	for _, n := range c.nodes {
		for _, p := range n.proxies() {
			p.restore()
		}
		if !n.process.lives() {
			log.Printf("node %s has ended by itself; starting it again", n.name)
			if err := n.start(); err != nil {
				return err
			}
		}
	}
	return c.awaitReady(ctx, time.Minute)
}

// close stops everything, nodes first.
func (c *cluster) close() {
	var nodes sync.WaitGroup
	for _, n := range c.nodes {
		nodes.Go(n.close)
	}
	nodes.Wait()
	c.redis.stop()
	c.kafka.stop()
}

func configFile(dir, name string) string { return filepath.Join(dir, "node-"+name+".yaml") }
