package web

import (
	"maps"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"parley/routing"
)

// Metrics counts what happens on one node, under the names that dashboards rely
// on. It is a routing.Observer; its methods may be called from any goroutine and
// do not block.
type Metrics struct {
	registry *prometheus.Registry

	requests *prometheus.CounterVec   // service, door, outcome
	seconds  *prometheus.HistogramVec // service, door
	stages   *prometheus.HistogramVec // stage
	replies  *prometheus.CounterVec   // path
	drops    *prometheus.CounterVec   // reason
	refused  *prometheus.CounterVec   // reason
	recalls  *prometheus.CounterVec   // result
	kept     *prometheus.CounterVec   // event
	events   *prometheus.CounterVec   // fate
	replays  *prometheus.CounterVec   // result

	// What the hot path needs is resolved before: looking labels up hashes them.
	produce, service, relay, push, ack prometheus.Observer
	home, relayed                      tally
	unrelated                          prometheus.Counter
	series                             atomic.Pointer[map[string]*series] // by service; replaced as a whole
	growing                            sync.Mutex                         // guards the replacement of series
}

// series are one service's, by door: WebSocket, HTTP.
type series [2]struct {
	ok      prometheus.Counter
	seconds prometheus.Observer
}

var doors = [2]routing.Door{routing.DoorWS, routing.DoorHTTP}

// buckets span what a request can take: 100 µs to a minute.
var buckets = []float64{
	.0001, .00025, .0005, .001, .0015, .0025, .005, .0075, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60,
}

// NewMetrics makes a node's metrics, in a registry of their own.
func NewMetrics(g Gauges) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "parley_requests_total", Help: "Requests that have their outcome.",
		}, []string{"service", "door", "outcome"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "parley_request_seconds", Help: "Time from a request's submission to its outcome.", Buckets: buckets,
		}, []string{"service", "door"}),
		stages: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "parley_stage_seconds", Help: "Time that one leg of a request's way took.", Buckets: buckets,
		}, []string{"stage"}),
		replies: counters("parley_replies_total", "Replies, by the path that they took.", "path"),
		drops:   counters("parley_drops_total", "Replies that were not delivered, and why.", "reason"),
		kept:    counters("parley_kept_requests_total", "What happened to requests whose answers are collected.", "event"),
		refused: counters("parley_refused_total", "Requests and connections that were refused, and why.", "reason"),
		recalls: counters("parley_cancels_total", "Services that were to be told that nobody waits any longer.", "result"),
		events:  counters("parley_events_total", "Events that were consumed for services that are answered by them, and what became of them.", "fate"),
		replays: counters("parley_replays_total", "Subscribers that came back and wanted what they had missed, and whether it was read for them.", "result"),
	}
	m.series.Store(new(map[string]*series))
	m.registry.MustRegister(m.requests, m.seconds, m.stages, m.replies, m.drops, m.refused, m.recalls, m.kept, m.events, m.replays,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.resolve()
	m.watch(g)
	return m
}

func counters(name, help, label string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{label})
}

// resolve looks up the labels that are known, which also shows them as 0 before
// anything happens.
func (m *Metrics) resolve() {
	m.produce = m.stages.WithLabelValues(string(routing.StageProduce))
	m.service = m.stages.WithLabelValues(string(routing.StageService))
	m.relay = m.stages.WithLabelValues(string(routing.StageRelay))
	m.push = m.stages.WithLabelValues(string(routing.StagePush))
	m.ack = m.stages.WithLabelValues(string(routing.StageAck))
	m.home.counter = m.replies.WithLabelValues(string(routing.PathHome))
	m.relayed.counter = m.replies.WithLabelValues(string(routing.PathRelay))
	m.replies.WithLabelValues(string(routing.PathHeld))
	m.replies.WithLabelValues(string(routing.PathDropped))
	for _, reason := range []routing.Drop{
		routing.DropLate, routing.DropDuplicate, routing.DropUnknownRequest, routing.DropNoCorrelation,
		routing.DropTooLarge, routing.DropSessionGone, routing.DropAfterFinal, routing.DropGap, routing.DropNoCredit,
		routing.DropUnsubscribed, routing.DropUnread, routing.DropLost, routing.DropHeldFull,
	} {
		m.drops.WithLabelValues(string(reason))
	}
	m.refused.WithLabelValues(string(routing.Overloaded))
	for _, event := range []string{routing.KeptMade, routing.KeptJoined, routing.KeptAnswered, routing.KeptCancelled, routing.KeptExpired} {
		m.kept.WithLabelValues(event)
	}
	for _, fate := range []routing.EventFate{
		routing.EventUnawaited, routing.EventAnswered, routing.EventPushed, routing.EventNotJSON, routing.EventStrange,
	} {
		m.events.WithLabelValues(string(fate))
	}
	for _, how := range []routing.Replay{routing.ReplayWhole, routing.ReplayBeyond, routing.ReplayLost, routing.ReplayBusy, routing.ReplayAway} {
		m.replays.WithLabelValues(string(how))
	}
	m.unrelated = m.events.WithLabelValues(string(routing.EventUnrelated))
}

// Registry is where others, such as the hooks of Kafka's client, add theirs.
func (m *Metrics) Registry() *prometheus.Registry { return m.registry }

// Handler serves the metrics in Prometheus's format.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{Registry: m.registry, MaxRequestsInFlight: 4})
}

// RelayShare is how many of the replies that were delivered on this node came
// from another: 0 to 1, and 0 where there were none.
func (m *Metrics) RelayShare() float64 {
	home, relayed := m.home.n.Load(), m.relayed.n.Load()
	if relayed == 0 {
		return 0
	}
	return float64(relayed) / float64(home+relayed)
}

// Finished implements routing.Observer. A call that was refused at once has no
// time that would tell anything.
func (m *Metrics) Finished(service string, door routing.Door, outcome routing.Word, took time.Duration) {
	of := &m.of(service)[0]
	if door == routing.DoorHTTP {
		of = &m.of(service)[1]
	}
	if took > 0 {
		of.seconds.Observe(took.Seconds())
	}
	if outcome == routing.OK {
		of.ok.Inc()
		return
	}
	m.requests.WithLabelValues(service, string(door), string(outcome)).Inc()
}

// Stage implements routing.Observer.
func (m *Metrics) Stage(stage routing.Stage, took time.Duration) {
	to := m.produce
	switch stage {
	case routing.StageProduce:
	case routing.StageService:
		to = m.service
	case routing.StageRelay:
		to = m.relay
	case routing.StagePush:
		to = m.push
	case routing.StageAck:
		to = m.ack
	default:
		to = m.stages.WithLabelValues(string(stage))
	}
	to.Observe(took.Seconds())
}

// Count implements routing.Observer.
func (m *Metrics) Count(counter routing.Counter, label string) {
	switch counter {
	case routing.Replies:
		switch label {
		case string(routing.PathHome):
			m.home.inc()
		case string(routing.PathRelay):
			m.relayed.inc()
		default:
			m.replies.WithLabelValues(label).Inc()
		}
	case routing.Drops:
		m.drops.WithLabelValues(label).Inc()
	case routing.Keeps:
		m.kept.WithLabelValues(label).Inc()
	case routing.Refusals:
		m.refused.WithLabelValues(label).Inc()
	case routing.Replays:
		m.replays.WithLabelValues(label).Inc()
	case routing.Recalls:
		m.recalls.WithLabelValues(label).Inc()
	case routing.Events:
		if label == string(routing.EventUnrelated) {
			m.unrelated.Inc() // of which there may be very many
		} else {
			m.events.WithLabelValues(label).Inc()
		}
	}
}

// of answers a service's series. There are as many as services, since callers
// name none that does not exist.
func (m *Metrics) of(service string) *series {
	if s := (*m.series.Load())[service]; s != nil {
		return s
	}
	m.growing.Lock()
	defer m.growing.Unlock()
	old := *m.series.Load()
	if s := old[service]; s != nil {
		return s
	}
	s := new(series)
	for i, door := range doors {
		s[i].ok = m.requests.WithLabelValues(service, string(door), string(routing.OK))
		s[i].seconds = m.seconds.WithLabelValues(service, string(door))
	}
	grown := maps.Clone(old)
	if grown == nil {
		grown = make(map[string]*series)
	}
	grown[service] = s
	m.series.Store(&grown)
	return s
}

// tally is a counter that can be read as well.
type tally struct {
	n       atomic.Uint64
	counter prometheus.Counter
}

func (t *tally) inc() {
	t.n.Add(1)
	t.counter.Inc()
}
