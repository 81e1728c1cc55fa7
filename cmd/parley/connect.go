package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// How Redis is spoken to. A dead server must fail fast: what needs it has an
// answer without it, and retries are the caller's.
const (
	redisName    = "parley" // in CLIENT LIST
	redisDial    = 2 * time.Second
	redisReply   = time.Second
	redisPool    = 16 // connections a server; the table shares few, with pipelines
	redisRetries = 1
	redisBackoff = 50 * time.Millisecond
)

// client answers a client of the Redis that c names, nil where it names none.
// It connects when it is first used. Who calls closes it.
func (c RedisConfig) client() (redis.UniversalClient, error) {
	encrypted, err := c.TLS.config()
	if err != nil {
		return nil, err
	}
	logging.Disable() // of its own lines on standard error: callers get the errors
	o := &redis.UniversalOptions{
		ClientName: redisName, DisableIdentity: true, // CLIENT SETINFO: an error before Redis 7.2
		DialTimeout: redisDial, DialerRetries: 1, ReadTimeout: redisReply, WriteTimeout: redisReply, ContextTimeoutEnabled: true,
		PoolSize: redisPool, PoolTimeout: redisDial,
		MaxRetries: redisRetries, MinRetryBackoff: redisBackoff, MaxRetryBackoff: redisBackoff,
		TLSConfig:                  encrypted,
		CredentialsProviderContext: c.credentials(c.Username, ""),
		// CLIENT MAINT_NOTIFICATIONS is for hosted Redis; others refuse it, once a connection.
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
	switch {
	case c.URL != "":
		return c.single(o)
	case len(c.Cluster) > 0:
		o.Addrs = c.Cluster
		o.Dialer = dialRedis(o.TLSConfig)
		cluster := o.Cluster()
		cluster.MaxRedirects = 3 // a fail-over or a moved slot needs them
		return redis.NewClusterClient(cluster), nil
	case c.Sentinel.Master != "":
		return c.failover(o)
	}
	return nil, nil
}

// single answers a client of the server at c.URL.
func (c RedisConfig) single(o *redis.UniversalOptions) (redis.UniversalClient, error) {
	at, err := redis.ParseURL(string(c.URL))
	if err != nil {
		return nil, fmt.Errorf("redis.url is not a Redis URL: %s", c.URL) // err may show the password
	}
	simple := o.Simple()
	simple.Network, simple.Addr, simple.DB = at.Network, at.Addr, at.DB
	simple.TLSConfig = cmp.Or(simple.TLSConfig, at.TLSConfig) // redis.tls, or what rediss:// asks for
	simple.Dialer = dialRedis(simple.TLSConfig)
	simple.CredentialsProviderContext = c.credentials(cmp.Or(at.Username, c.Username), at.Password)
	return redis.NewClient(simple), nil
}

// failover answers a client of the primary that the sentinels name.
func (c RedisConfig) failover(o *redis.UniversalOptions) (redis.UniversalClient, error) {
	password, err := reveal(c.Sentinel.Password, c.Sentinel.PasswordFile)
	if err != nil {
		return nil, err
	}
	o.Dialer = dialRedis(o.TLSConfig)
	o.Addrs, o.MasterName = c.Sentinel.Addresses, c.Sentinel.Master
	o.SentinelUsername, o.SentinelPassword = c.Sentinel.Username, password
	return redis.NewFailoverClient(o.Failover()), nil
}

func dialRedis(encrypted *tls.Config) func(context.Context, string, string) (net.Conn, error) {
	return dialer(redis.NewDialer(&redis.Options{DialTimeout: redisDial, TLSConfig: encrypted})).anyway
}

// credentials answers what is asked for user and password at each new
// connection, so that a password file may change. A password given here wins.
func (c RedisConfig) credentials(user, password string) func(context.Context) (string, string, error) {
	return func(context.Context) (string, string, error) {
		if password != "" {
			return user, password, nil
		}
		secret, err := reveal(c.Password, c.PasswordFile)
		return user, secret, err
	}
}
