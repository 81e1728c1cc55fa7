package main

import (
	"github.com/prometheus/client_golang/prometheus"

	"parley/routing/table"
)

// watchTable adds what the table in Redis tells of itself to the node's metrics.
func (n *node) watchTable() {
	for _, m := range []struct {
		name, help string
		counts     bool // it only grows
		read       func(table.Stats) float64
	}{
		{"parley_table_away", "1 while Redis cannot be reached.", false, func(s table.Stats) float64 { return truth(s.Away) }},
		{"parley_table_pending_writes", "Writes that wait for Redis.", false, func(s table.Stats) float64 { return float64(s.Pending) }},
		{"parley_table_unsettled_replies", "Relayed replies that this node has not settled yet.", false, func(s table.Stats) float64 { return float64(s.Unsettled) }},
		{"parley_table_writes_total", "Commands that were written behind.", true, func(s table.Stats) float64 { return float64(s.Written) }},
		{"parley_table_dropped_writes_total", "Writes that did not fit the queue; all sessions are then written anew.", true, func(s table.Stats) float64 { return float64(s.Dropped) }},
		{"parley_table_refused_total", "Commands that Redis refused, and entries that could not be read.", true, func(s table.Stats) float64 { return float64(s.Refused) }},
		{"parley_table_relayed_total", "Replies that this node put into others' inboxes.", true, func(s table.Stats) float64 { return float64(s.Relayed) }},
		{"parley_table_rerouted_total", "Inbox entries of processes that are gone, routed again.", true, func(s table.Stats) float64 { return float64(s.Rerouted) }},
		{"parley_table_removed_nodes_total", "Dead processes that this node has cleaned up after.", true, func(s table.Stats) float64 { return float64(s.Removed) }},
	} {
		read := func() float64 { return m.read(n.table.Stats()) }
		if m.counts {
			n.metrics.Registry().MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: m.name, Help: m.help}, read))
		} else {
			n.metrics.Registry().MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: m.name, Help: m.help}, read))
		}
	}
}

// truth is a bool as a metric has it.
func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
