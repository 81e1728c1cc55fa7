package web

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Gauges are read at each scrape, from any goroutine. One that is nil shows 0.
type Gauges struct {
	OpenRequests       func() int
	Sessions           func() int
	Sockets            func() int
	OwnedPartitions    func() int
	HeldReplies        func() int
	Waiters            func() int           // who wait for requests whose answers are collected
	EventWaits         func() int           // open requests that events are to answer
	Subscriptions      func() int           // of sessions of this node
	UncommittedReplies func() int           // replies that wait for their commit
	UncommittedAge     func() time.Duration // of the oldest of them
}

// watch registers the gauges.
func (m *Metrics) watch(g Gauges) {
	for _, gauge := range []struct {
		name, help string
		read       func() int
	}{
		{"parley_open_requests", "Requests without an outcome yet.", g.OpenRequests},
		{"parley_sessions", "Sessions that this node holds.", g.Sessions},
		{"parley_sockets", "Sockets that are connected.", g.Sockets},
		{"parley_owned_partitions", "Partitions of the reply topic that this node consumes.", g.OwnedPartitions},
		{"parley_held_replies", "Replies that are kept for sessions without a node.", g.HeldReplies},
		{"parley_waiters", "Callers and sessions that wait for requests whose answers are collected.", g.Waiters},
		{"parley_event_waits", "Open requests that events are to answer.", g.EventWaits},
		{"parley_subscriptions", "Subscriptions that the sessions of this node have.", g.Subscriptions},
		{"parley_uncommitted_replies", "Replies that wait for their commit.", g.UncommittedReplies},
	} {
		m.gauge(gauge.name, gauge.help, func() float64 {
			if gauge.read == nil {
				return 0
			}
			return float64(gauge.read())
		})
	}
	m.gauge("parley_uncommitted_age_seconds", "How long the oldest of them has waited.", func() float64 {
		if g.UncommittedAge == nil {
			return 0
		}
		return g.UncommittedAge().Seconds()
	})
	m.gauge("parley_relay_share", "Of the replies that were delivered on this node, those that needed a relay.", m.RelayShare)
}

func (m *Metrics) gauge(name, help string, read func() float64) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, read))
}
