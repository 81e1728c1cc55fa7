package main

import (
	"fmt"

	"github.com/alicebob/miniredis/v2"
	"github.com/twmb/franz-go/pkg/kfake"
)

// servers are the Kafka and the Redis that `parley dev` works on.
type servers struct {
	brokers []string
	redis   string // URL
	kfake   *kfake.Cluster
	mini    *miniredis.Miniredis
}

func startServers(o devOptions) (s *servers, err error) {
	s = &servers{brokers: splitList(o.kafka), redis: o.redis}
	if o.kafka == "" {
		opts := []kfake.Opt{kfake.NumBrokers(1), kfake.BrokerConfigs(map[string]string{"message.max.bytes": "8388608"})}
		if o.dataDir != "" {
			opts = append(opts, kfake.DataDir(o.dataDir))
		}
		if s.kfake, err = kfake.NewCluster(opts...); err != nil {
			return nil, fmt.Errorf("start the embedded Kafka: %w", err)
		}
		s.brokers = s.kfake.ListenAddrs()
	}
	if o.redis == "" {
		if s.mini, err = miniredis.Run(); err != nil {
			s.close()
			return nil, fmt.Errorf("start the embedded Redis: %w", err)
		}
		s.mini.ClockTTL(true)
		s.redis = "redis://" + s.mini.Addr() + "/0"
	}
	return s, nil
}

func (s *servers) close() {
	if s.kfake != nil {
		s.kfake.Close()
	}
	if s.mini != nil {
		s.mini.Close()
	}
}

// kind says whether a server is embedded.
func kind(embedded bool) string {
	if embedded {
		return "embedded"
	}
	return "given"
}
