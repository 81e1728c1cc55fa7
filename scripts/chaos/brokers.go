package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// brokers are Kafka: one, or several that replicate everything.
type brokers struct {
	all    []*server
	direct *kgo.Client // of this program: no proxy is between
	busy   sync.Mutex  // held while something is done to them
}

// newBrokers lays out as many brokers as are wanted, each behind a proxy of every
// node's. They are started later.
func newBrokers(o *options, dir string, nodes []*node) (*brokers, error) {
	b := &brokers{}
	var ports, controllers []int
	var voters, seeds []string
	for id := range o.brokers {
		port, err := freePort()
		if err != nil {
			return nil, err
		}
		controller, err := freePort()
		if err != nil {
			return nil, err
		}
		ports, controllers = append(ports, port), append(controllers, controller)
		voters = append(voters, fmt.Sprintf("%d@127.0.0.1:%d", id+1, controller))
		seeds = append(seeds, fmt.Sprintf("127.0.0.1:%d", port))
	}
	for i := range o.brokers {
		name := fmt.Sprintf("kafka-%d", i+1)
		s := &server{
			name: name, logFile: filepath.Join(dir, name+".log"), address: seeds[i], env: machine(o.brokers),
			command: []string{
				filepath.Join(o.scripts, "kafka"), "--port", strconv.Itoa(ports[i]), "--controller-port", strconv.Itoa(controllers[i]),
				"--data", filepath.Join(dir, name),
			},
		}
		listeners, err := listenersOf(seeds[i], controllers[i], nodes)
		if err != nil {
			return nil, err
		}
		settings := append(listeners, replicated(o.brokers)...)
		settings = append(settings, fmt.Sprintf("node.id=%d", i+1), "controller.quorum.voters="+strings.Join(voters, ","))
		for _, setting := range settings {
			s.command = append(s.command, "--set", setting)
		}
		b.all = append(b.all, s)
	}
	return b, b.connect(seeds)
}

func (b *brokers) connect(seeds []string) (err error) {
	b.direct, err = kgo.NewClient(kgo.SeedBrokers(seeds...), kgo.MetadataMinAge(100*time.Millisecond))
	return err
}

// listenersOf are the listeners of one broker. Kafka tells its clients where to
// connect. Each node has a listener of its own, which tells it to come by way of a
// proxy of its own.
func listenersOf(address string, controller int, nodes []*node) (settings []string, err error) {
	listeners := fmt.Sprintf("PLAINTEXT://%s,CONTROLLER://127.0.0.1:%d", address, controller)
	advertised, protocols := "PLAINTEXT://"+address, "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT"
	for i, n := range nodes {
		port, err := freePort()
		if err != nil {
			return nil, err
		}
		own := fmt.Sprintf("127.0.0.1:%d", port)
		proxied, err := n.kafka.open(own)
		if err != nil {
			return nil, err
		}
		name := fmt.Sprintf("NODE%d", i)
		listeners += "," + name + "://" + own
		advertised += "," + name + "://" + proxied
		protocols += "," + name + ":PLAINTEXT"
	}
	return []string{
		"listeners=" + listeners, "advertised.listeners=" + advertised, "listener.security.protocol.map=" + protocols,
		"inter.broker.listener.name=PLAINTEXT",
	}, nil
}

// machine is what the Java machine of one of so many brokers is told. On two processors,
// which it shares with all else, the compiler's second stage costs more than it brings
// in the time of a run, and so does a collector that works beside the program.
func machine(brokers int) (environment []string) {
	environment = []string{"KAFKA_JVM_PERFORMANCE_OPTS=-XX:+UseSerialGC -XX:TieredStopAtLevel=1"}
	if brokers > 1 {
		environment = append(environment, "KAFKA_HEAP_OPTS=-Xms256m -Xmx256m")
	}
	return environment
}

// brokerSession is how long a broker may be silent before the others take over. It is
// what the loss of a broker costs; Kafka's default is 9 s.
const brokerSession = "4000"

// replicated are the settings of a broker that is one of several: everything is on
// three of them, and what is acknowledged is on two. Followers fetch every 10 ms, and not
// each record as it comes: that was a third of all work, and answers took seconds.
func replicated(brokers int) (settings []string) {
	if brokers == 1 {
		return nil
	}
	copies := strconv.Itoa(copiesOf(brokers))
	for _, key := range []string{
		"default.replication.factor", "offsets.topic.replication.factor",
		"transaction.state.log.replication.factor", "share.coordinator.state.topic.replication.factor",
	} {
		settings = append(settings, key+"="+copies)
	}
	return append(settings, "min.insync.replicas=2", "broker.session.timeout.ms="+brokerSession, "broker.heartbeat.interval.ms=500",
		"replica.fetch.min.bytes=65536", "replica.fetch.wait.max.ms=10",
		"num.network.threads=1", "num.io.threads=2", "background.threads=2") // each listener has its own network threads
}

func copiesOf(brokers int) int { return min(brokers, 3) }

// start starts all brokers, and makes the topics before anybody looks for them.
func (b *brokers) start(ctx context.Context) error {
	if err := together(b.all); err != nil {
		return err
	}
	admin := kadm.NewClient(b.direct)
	for topic, partitions := range map[string]int32{
		homeTopic: topicPartitions, anyTopic: topicPartitions, waitTopic: topicPartitions, replyTopic: replyPartitions, eventTopic: eventPartitions,
	} {
		if _, err := admin.CreateTopic(ctx, partitions, int16(copiesOf(len(b.all))), nil, topic); err != nil && !errors.Is(err, kerr.TopicAlreadyExists) { // the first answer was too late
			return fmt.Errorf("create topic %s: %w", topic, err)
		}
	}
	return nil
}

// heal starts what is not running, and waits until everything is where it belongs.
func (b *brokers) heal(ctx context.Context) error {
	var dead []*server
	for _, s := range b.all {
		if !s.lives() {
			log.Printf("%s is not running; starting it again", s.name)
			dead = append(dead, s)
		}
	}
	return errors.Join(together(dead), b.settle(ctx))
}

func (b *brokers) close() {
	stopAll(b.all)
	if b.direct != nil {
		b.direct.Close()
	}
}

// seeds are the addresses of all brokers, without any proxy.
func (b *brokers) seeds() (all []string) {
	for _, s := range b.all {
		all = append(all, s.address)
	}
	return all
}
