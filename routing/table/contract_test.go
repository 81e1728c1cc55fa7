package table_test

import (
	"os"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"parley/routing/table"
	"parley/routing/tabletest"
)

func TestMemory(t *testing.T) {
	tabletest.Run(t, func(*testing.T) tabletest.Harness {
		return tabletest.Harness{New: func(table.Options, *tabletest.Wire) tabletest.Node { return table.NewMemory() }}
	})
}

// The contract on a Redis in this process.
func TestMiniredis(t *testing.T) {
	if os.Getenv("PARLEY_TEST_REDIS") != "" {
		t.Skip("TestRedis does the same on a real one")
	}
	t.Parallel() // with the contract on other servers: all of it mostly waits
	tabletest.Run(t, func(t *testing.T) tabletest.Harness {
		server := miniredis.RunT(t)
		h := through(t, server.Addr(), 0, wired)
		h.Pass = server.FastForward
		return h
	})
}

// The contract on a real server that was given.
func TestRedis(t *testing.T) {
	addr := os.Getenv("PARLEY_TEST_REDIS")
	if addr == "" {
		t.Skip("needs PARLEY_TEST_REDIS=host:port")
	}
	t.Parallel()
	tabletest.Run(t, func(t *testing.T) tabletest.Harness { return through(t, addr, testDB, wired) })
}

// testDB keeps these tests out of everybody else's keys on a server that was given.
const testDB = 9

// through makes a harness of a server, which all tables reach through a proxy.
func through(t *testing.T, addr string, db int, connect func(addr string, db int, wire *tabletest.Wire) redis.UniversalClient) tabletest.Harness {
	t.Helper()
	direct := redis.NewClient(&redis.Options{Addr: addr, DB: db})
	t.Cleanup(func() { direct.Close() })
	if err := direct.FlushDB(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	proxy := tabletest.NewProxy(t, addr)
	return tabletest.Harness{
		Client: direct, Cut: proxy.Cut, Heal: proxy.Heal, Sleep: fallAsleep, Age: age,
		New: func(o table.Options, w *tabletest.Wire) tabletest.Node {
			return newTable(t, connect(proxy.Addr(), db, w), o)
		},
	}
}

func fallAsleep(n tabletest.Node) { n.(*table.Redis).FallAsleep() }

func age(n tabletest.Node) { n.(*table.Redis).Age() }

func newTable(t *testing.T, client redis.UniversalClient, o table.Options) *table.Redis {
	t.Cleanup(func() { client.Close() })
	return table.NewRedis(client, o)
}

func single(addr string, db int) redis.UniversalClient { return wired(addr, db, tabletest.NewWire()) }

// wired makes a client that leaves it to table.Options how long a trip may take.
func wired(addr string, db int, wire *tabletest.Wire) redis.UniversalClient {
	return redis.NewClient(&redis.Options{
		Dialer: wire.Dial, Addr: addr, DB: db, ContextTimeoutEnabled: true, DialTimeout: time.Second, DialerRetries: 1, ReadTimeout: time.Minute,
		MaxRetries: 1, MinRetryBackoff: time.Millisecond, MaxRetryBackoff: 10 * time.Millisecond,
	})
}
