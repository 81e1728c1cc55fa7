package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"parley/kafka"
	"parley/routing"
	"parley/web"
)

// entity answers how to tell what the event that answers a call must be about; nil
// where the service replies.
func (e EventsConfig) entity() func(*routing.Call) (string, error) {
	switch {
	case e.Topic == "":
		return nil
	case e.Key == "":
		return func(call *routing.Call) (string, error) {
			if len(call.Key) == 0 {
				return "", errors.New("say it as meta.key, or over HTTP as the header parley-key")
			}
			return string(call.Key), nil
		}
	}
	key, err := kafka.CompileKey(e.Key)
	return func(call *routing.Call) (string, error) {
		if err != nil {
			return "", err // the configuration was checked: it has not come to this
		}
		about, err := key.Of(call.Body)
		if err != nil {
			return "", fmt.Errorf("%s: %w", e.Key, err)
		}
		return about, nil
	}
}

// joinEvents makes the consumer of events, where a service is answered by some or clients
// may subscribe to some.
func (n *node) joinEvents() (err error) {
	var services []kafka.EventService
	for _, name := range n.cfg.serviceNames() {
		e := n.cfg.Services[name].Answer.Events
		if e.Topic == "" {
			continue
		}
		until, err := kafka.CompileCondition(e.Until)
		if err != nil {
			return fmt.Errorf("configure the events of %s: %w", name, err)
		}
		services = append(services, kafka.EventService{Name: name, Topic: e.Topic, Until: until})
	}
	topics := n.cfg.Subscriptions.Topics
	if len(services)+len(topics) == 0 {
		return nil
	}
	k := n.cfg.Kafka
	n.events, err = kafka.NewEvents(n.watched("events"), kafka.EventsOptions{
		RepliesOptions: kafka.RepliesOptions{
			Group: k.Group + ".events", Protocol: k.GroupProtocol, Node: n.router.Node(), Boot: n.boot, Observer: n.metrics, Tell: n.failover.Tell, SharedTime: n.table.SharedTime,
		},
		Services: services, Waits: n.table, Topics: topics, Whole: n.cfg.Subscriptions.Whole, Feeds: n.table, To: n.router,
	})
	if err != nil {
		return fmt.Errorf("configure the event consumer: %w", err)
	}
	return nil
}

// joinHistory makes what reads events again for subscribers that come back.
func (n *node) joinHistory() (err error) {
	s := n.cfg.Subscriptions
	if len(s.Topics) == 0 || s.Replay == 0 {
		return nil
	}
	n.history, err = kafka.NewHistory(n.broker, kafka.HistoryOptions{Bytes: int(s.Replay), Held: 4 * int(s.Replay), Observer: n.metrics})
	return err
}

// past is the history as the HTTP edge wants it; nil for none.
func (n *node) past() web.History {
	if n.history == nil {
		return nil
	}
	return n.history
}

// Wait implements routing.Brake for all that is consumed.
func (n *node) Wait(topic string, partition int32, wait bool) {
	if topic == n.cfg.Kafka.ReplyTopic {
		n.replies.Wait(topic, partition, wait)
	} else if n.events != nil {
		n.events.Wait(topic, partition, wait)
	}
}

// read consumes replies, and events where there are some, until ctx ends or one of
// them cannot go on.
func (n *node) read(ctx context.Context) error {
	if n.events == nil {
		return n.replies.Run(ctx)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var (
		events sync.WaitGroup
		failed error
	)
	events.Go(func() {
		defer cancel()
		failed = n.events.Run(ctx)
	})
	err := n.replies.Run(ctx)
	cancel()
	events.Wait()
	return errors.Join(err, failed)
}

func (n *node) eventsReady(context.Context) error {
	if n.events != nil && !n.events.Assigned() {
		return errors.New("the consumer group has not told yet which partitions of events are this node's")
	}
	return nil
}

// members are what this node has in consumer groups.
func (n *node) members() []member {
	if n.events == nil {
		return []member{n.replies}
	}
	return []member{n.replies, n.events}
}

// member is a member of a consumer group that follows what becomes of the nodes.
type member interface {
	Nudge()
	Rewind(ctx context.Context, by time.Duration) error
	RemoveMembers(ctx context.Context, members []kafka.Member) error
}
