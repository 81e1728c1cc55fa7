package main

import (
	"context"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"parley/kafka"
	"parley/routing"
)

// views are the topics that a node answers from, by name. Services may share one.
type views map[string]*kafka.View

// addView answers the view of a topic, which is read when the node runs.
func (n *node) addView(topic string) (*kafka.View, error) {
	if v := n.views[topic]; v != nil {
		return v, nil
	}
	v, err := kafka.NewView(n.broker, kafka.ViewOptions{Topic: topic, Keys: n.cfg.Limits.ViewKeys, Bytes: int(n.cfg.Limits.ViewBytes)})
	if err != nil {
		return nil, err
	}
	if n.views == nil {
		n.views = make(views)
	}
	n.views[topic] = v
	n.watchView(topic, v)
	return v, nil
}

// untils are a view's conditions as callers wait for them.
func (n *node) untils(service string, c Conditions) map[string]routing.Condition {
	conditions, _ := c.compile() // the configuration's check has done it before
	all := make(map[string]routing.Condition, len(conditions))
	for name, condition := range conditions {
		all[name] = routing.Condition{Text: condition.String(), Holds: kafka.NewUntil(condition, service, name, n.metrics, n.log).Holds}
	}
	return all
}

// watchView adds what a view tells of itself to the node's metrics.
func (n *node) watchView(topic string, v *kafka.View) {
	for _, m := range []struct {
		name, help string
		read       func() float64
	}{
		{"parley_view_keys", "Keys that a view holds.", func() float64 { return float64(v.Stats().Keys) }},
		{"parley_view_bytes", "Bytes that a view holds.", func() float64 { return float64(v.Stats().Bytes) }},
		{"parley_view_full", "1 when a view had no room for a key.", func() float64 { return truth(v.Stats().Full) }},
		{"parley_view_watchers", "Who wait for an event of a view now.", func() float64 { return float64(v.Stats().Watchers) }},
		{"parley_view_loaded", "1 when a view has read its topic to the end.", func() float64 { return truth(v.Loaded()) }},
	} {
		n.metrics.Registry().MustRegister(prometheus.NewGaugeFunc(
			prometheus.GaugeOpts{Name: m.name, Help: m.help, ConstLabels: prometheus.Labels{"topic": topic}}, m.read))
	}
}

// loaded is the readiness check of all views.
func (v views) loaded(context.Context) error {
	for topic, view := range v {
		if !view.Loaded() {
			return fmt.Errorf("the topic %s has not been read to its end", topic)
		}
	}
	return nil
}

// readViews makes sure that the topics are there, and reads them until ctx ends.
func (n *node) readViews(ctx context.Context) error {
	if len(n.views) == 0 {
		return nil
	}
	if err := untilKafka(ctx, n.log, n.ensureTopics); err != nil {
		return err
	}
	running, ctx := errgroup.WithContext(ctx)
	for _, v := range n.views {
		running.Go(func() error { return v.Run(ctx) })
	}
	return running.Wait()
}
