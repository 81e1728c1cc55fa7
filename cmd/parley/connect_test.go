package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/alicebob/miniredis/v2/server"
	"github.com/redis/go-redis/v9"
)

// A Redis with a user and a password file is reached, with the database of the
// url, by none but commands that old servers know; a password that is changed is
// read at the next connection.
func TestRedisClient(t *testing.T) {
	file := filepath.Join(t.TempDir(), "password")
	write := func(password string) {
		if err := os.WriteFile(file, []byte(password+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("first")
	m := miniredis.RunT(t)
	m.RequireUserAuth("parley", "first")
	var said []string
	m.Server().SetPreHook(func(_ *server.Peer, command string, args ...string) bool {
		if len(args) > 0 && command == "CLIENT" {
			command += " " + strings.ToUpper(args[0])
		}
		said = append(said, command)
		return false
	})
	client, err := RedisConfig{URL: SecretURL("redis://" + m.Addr() + "/3"), Username: "parley", PasswordFile: file}.client()
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if err := client.Set(t.Context(), "k", "v", 0).Err(); err != nil {
		t.Fatal(err)
	}
	if v, err := m.DB(3).Get("k"); v != "v" {
		t.Errorf("got %q, %v in database 3", v, err)
	}
	for _, command := range said {
		if command != "HELLO" && command != "CLIENT SETNAME" && command != "SELECT" && command != "SET" {
			t.Errorf("%s was sent", command)
		}
	}
	write("second")
	m.RequireUserAuth("parley", "second")
	m.Server().SetPreHook(nil)
	again, err := RedisConfig{URL: SecretURL("redis://" + m.Addr() + "/3"), Username: "parley", PasswordFile: file}.client()
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if err := again.Ping(t.Context()).Err(); err != nil {
		t.Error(err)
	}
}

// Kafka is told who this node is by the secret that is in the file now.
func TestKafkaLogin(t *testing.T) {
	if c, err := defaultConfig().Kafka.connection(nil); err != nil || c.TLS != nil || c.SASL != nil || c.Brokers[0] != "127.0.0.1:9092" || c.ClientID != "parley" {
		t.Errorf("got %+v, %v", c, err)
	}
	file := filepath.Join(t.TempDir(), "secret")
	k := KafkaConfig{TLS: ClientTLS{Enabled: true}, SASL: SASLConfig{Mechanism: "OAUTHBEARER", TokenFile: file}}
	c, err := k.connection(nil)
	if err != nil || c.TLS == nil {
		t.Fatalf("got %+v, %v", c, err)
	}
	if secret, err := c.SASL.Secret(t.Context()); err == nil {
		t.Errorf("got %q before there was a file", secret)
	}
	for _, text := range []string{"first", "second\n", "third\r\n"} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if secret, err := c.SASL.Secret(t.Context()); err != nil || secret != strings.TrimSpace(text) {
			t.Errorf("got %q, %v, want %q", secret, err, text)
		}
	}
	k.SASL = SASLConfig{Mechanism: "SCRAM-SHA-256", User: "u", Password: "p"}
	if c, err = k.connection(nil); err != nil || c.SASL.User != "u" || c.SASL.Mechanism != "SCRAM-SHA-256" {
		t.Errorf("got %+v, %v", c.SASL, err)
	}
	if secret, err := c.SASL.Secret(t.Context()); err != nil || secret != "p" {
		t.Errorf("got %q, %v", secret, err)
	}
}

// Each place makes its kind of client, and no place makes none.
func TestKindsOfRedis(t *testing.T) {
	if c, err := (RedisConfig{}).client(); c != nil || err != nil {
		t.Errorf("none: got %v, %v", c, err)
	}
	c, err := RedisConfig{Cluster: []string{"127.0.0.1:1"}, Username: "u", Password: "p"}.client()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	cluster, ok := c.(*redis.ClusterClient)
	if !ok || !cluster.Options().ContextTimeoutEnabled {
		t.Errorf("a cluster of one: got %T", c)
	}
	c, err = RedisConfig{Sentinel: SentinelConfig{Master: "m", Addresses: []string{"127.0.0.1:1"}}, TLS: ClientTLS{Enabled: true}}.client()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if failover, ok := c.(*redis.Client); !ok || failover.Options().TLSConfig == nil {
		t.Errorf("sentinel: got %T", c)
	}
	c, err = RedisConfig{URL: "rediss://u:p@h"}.client()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	o := c.(*redis.Client).Options()
	if user, password, _ := o.CredentialsProviderContext(t.Context()); o.Addr != "h:6379" || o.TLSConfig.ServerName != "h" || user != "u" || password != "p" {
		t.Errorf("rediss: got %s %s %s", o.Addr, user, password)
	}
	if c, err := (RedisConfig{URL: "http://hunter2@h"}).client(); err == nil {
		t.Errorf("another URL: got %T", c)
	}
}

// A Redis that is not there fails within the time of the caller, and soon.
func TestDeadRedis(t *testing.T) {
	c, err := RedisConfig{URL: "redis://127.0.0.1:1"}.client()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := c.Ping(ctx).Err(); err == nil || ctx.Err() != nil {
		t.Errorf("got %v, %v", err, ctx.Err())
	}
}

// A server that was away for so long that the pool has given it up is used at once
// when it is back, by whoever asks next. Until then each gets the true reason.
func TestRedisComesBack(t *testing.T) {
	m := miniredis.RunT(t)
	client, err := RedisConfig{URL: SecretURL("redis://" + m.Addr())}.client()
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	m.Close()
	for range 2 * redisPool {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond) // no time for a retry
		if err := client.Ping(ctx).Err(); err == nil {
			t.Fatal("it is away, and answers")
		}
		cancel()
	}
	if err := client.Ping(t.Context()).Err(); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("away: %v", err)
	}
	if err := m.Restart(); err != nil {
		t.Fatal(err)
	}
	if err := client.Ping(t.Context()).Err(); err != nil {
		t.Errorf("back: %v", err)
	}
}
