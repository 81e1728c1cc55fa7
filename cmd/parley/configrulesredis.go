package main

import (
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

func (k *checker) redis() {
	c := k.config.Redis
	k.redisPlace(c)
	k.redisURL(c.URL)
	for _, address := range c.Cluster {
		k.address("redis.cluster", address, false)
	}
	k.sentinel(c.Sentinel)
	k.oneSecret("redis.password", c.Password, c.PasswordFile, false)
	k.clientTLS("redis.tls", c.TLS)
	between(k, "redis.lease", c.Lease, Duration(200*time.Millisecond), minutes(1))
}

// redisURL wants what redis.ParseURL reads, with no parameters but those that
// client heeds. Its error is not told, since it may show a password.
func (k *checker) redisURL(text SecretURL) {
	if text == "" {
		return
	}
	u, err := url.Parse(string(text))
	if err == nil {
		_, err = redis.ParseURL(string(text))
	}
	if err != nil {
		k.bad("redis.url", text, "is not a Redis URL: want redis://host:port/db or, with TLS, rediss://host:port/db")
		return
	}
	for _, name := range slices.Sorted(maps.Keys(u.Query())) {
		if !slices.Contains(redisParameters, name) {
			k.bad("redis.url", text, "has the parameter %q: want %s, or none", name, either(redisParameters))
		}
	}
}

// redisPlace wants one place, or none and nothing that needs one.
func (k *checker) redisPlace(c RedisConfig) {
	var places []string
	if c.URL != "" {
		places = append(places, "redis.url")
	}
	if len(c.Cluster) > 0 {
		places = append(places, "redis.cluster")
	}
	if c.Sentinel.Master != "" || len(c.Sentinel.Addresses) > 0 {
		places = append(places, "redis.sentinel.master")
	}
	switch {
	case len(places) > 1:
		last := places[len(places)-1]
		k.problems.add(k.from[last], last, "is set beside %s: want one of them", strings.Join(places[:len(places)-1], " and "))
	case len(places) == 0 && (c.Username != "" || c.Password != "" || c.PasswordFile != "" || c.TLS != ClientTLS{}):
		k.missing("redis.url", "want it, redis.cluster or redis.sentinel.master, since other keys of redis are set")
	}
}

func (k *checker) sentinel(c SentinelConfig) {
	if c.Master == "" && (len(c.Addresses) > 0 || c.Username != "" || c.Password != "" || c.PasswordFile != "") {
		k.missing("redis.sentinel.master", "want the name of the primary that the sentinels watch")
	}
	if c.Master != "" && len(c.Addresses) == 0 {
		k.missing("redis.sentinel.addresses", "want the address of one sentinel or more")
	}
	for _, address := range c.Addresses {
		k.address("redis.sentinel.addresses", address, false)
	}
	k.oneSecret("redis.sentinel.password", c.Password, c.PasswordFile, false)
}
