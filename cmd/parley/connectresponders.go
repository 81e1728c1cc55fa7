package main

import (
	"math"

	"github.com/prometheus/client_golang/prometheus"

	"parley/kafka"
)

// joinResponders makes what watches who serves, and shows it in the metrics. A
// service whose requests may wait is watched for the metrics alone.
func (n *node) joinResponders() {
	topics := make(map[string]string)
	for name, s := range n.cfg.Services {
		if s.Answer.View.Topic == "" { // a view asks nobody
			topics[name] = s.Topic
		}
	}
	n.present = kafka.NewResponders(n.broker, kafka.RespondersOptions{Services: topics})
	for name := range topics {
		n.metrics.Registry().MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "parley_service_present", Help: "1 where a service's topic is read, 0 where nobody reads it, NaN while that is not known.",
			ConstLabels: prometheus.Labels{"service": name},
		}, func() float64 {
			yes, known := n.present.Present(name)
			if !known {
				return math.NaN()
			}
			return truth(yes)
		}))
	}
}
