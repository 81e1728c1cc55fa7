package table_test

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"parley/routing"
	"parley/routing/table"
)

func benchServer(b *testing.B) string {
	addr := os.Getenv("PARLEY_TEST_REDIS")
	if addr == "" {
		b.Skip("needs PARLEY_TEST_REDIS=host:port")
	}
	return addr
}

// benchTable runs a table until the benchmark ends.
func benchTable(b *testing.B, addr string, o table.Options) *table.Redis {
	client := single(addr, testDB)
	n := table.NewRedis(client, o)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- n.Run(ctx, &router{}) }()
	b.Cleanup(func() {
		cancel()
		<-ended
		client.Close()
	})
	for !n.Leased() {
		time.Sleep(time.Millisecond)
	}
	return n
}

// BenchmarkClaimRelease claims and releases rows of 500 sessions at 30,000
// requests a second, each released so much later, and tells the CPU time that a
// request costs here and in Redis.
func BenchmarkClaimRelease(b *testing.B) {
	for _, later := range []time.Duration{0, 2 * time.Millisecond, 10 * time.Millisecond} {
		b.Run(fmt.Sprintf("after=%v", later), func(b *testing.B) { claimRelease(b, later) })
	}
}

func claimRelease(b *testing.B, later time.Duration) {
	const rate = 30_000
	addr := benchServer(b)
	client := single(addr, testDB)
	defer client.Close()
	n := benchTable(b, addr, table.Options{Node: "bench"})
	sessions := make([]routing.SessionID, 500)
	for i := range sessions {
		sessions[i] = routing.SessionID(fmt.Sprintf("bench-session-%08d", i))
		n.Announce(routing.SessionRow{ID: sessions[i], Epoch: 1})
	}
	lag := int(later.Seconds() * rate)
	deadline := time.Now().Add(time.Minute)
	here, there, before := cpu(), redisCPU(client), n.Stats()
	b.ReportAllocs()
	b.ResetTimer()
	started := time.Now()
	for i := range b.N + lag {
		if i < b.N {
			n.Claim(routing.Row{Session: sessions[i%500], N: uint64(i + 1), Service: "orders", ClientID: "12345", Deadline: deadline}, nil)
		}
		if i >= lag {
			n.Release(sessions[(i-lag)%500], uint64(i-lag+1))
		}
		if i%30 == 0 {
			time.Sleep(time.Until(started.Add(time.Duration(i) * time.Second / rate)))
		}
	}
	for n.Stats().Pending > 0 {
		time.Sleep(time.Millisecond)
	}
	b.StopTimer()
	after := n.Stats()
	b.ReportMetric(float64((cpu()-here).Microseconds())/float64(b.N), "us-cpu/op")
	b.ReportMetric((redisCPU(client)-there)*1e6/float64(b.N), "us-redis-cpu/op")
	b.ReportMetric(float64(after.Written-before.Written)/float64(b.N), "cmds/op")
	if after.Dropped > 0 {
		b.Errorf("%d writes dropped", after.Dropped)
	}
}

// BenchmarkRoute routes strangers of as many sessions to the inbox of another
// node, and waits until that has settled them.
func BenchmarkRoute(b *testing.B) {
	for _, strangers := range []int{1, 64, 512} {
		b.Run(strconv.Itoa(strangers), func(b *testing.B) {
			addr := benchServer(b)
			owner, consumer := benchTable(b, addr, table.Options{Node: "bench-a"}), benchTable(b, addr, table.Options{Node: "bench-b"})
			replies := make([]*routing.Reply, strangers)
			for i := range replies {
				s := routing.SessionID(fmt.Sprintf("bench-session-%08d", i))
				if err := owner.Open(b.Context(), routing.SessionRow{ID: s, Epoch: uint64(time.Now().UnixNano())}); err != nil {
					b.Fatal(err)
				}
				replies[i] = &routing.Reply{ID: routing.RequestID(s) + ".1", Final: true, Body: make([]byte, 100)}
			}
			b.ReportAllocs()
			here := cpu()
			for b.Loop() {
				for _, v := range consumer.Route(b.Context(), replies) {
					for v.Fate == routing.Failed { // the inbox is full: the owner is slower
						time.Sleep(time.Millisecond)
						v = consumer.Route(b.Context(), replies[:1])[0]
					}
					if v.Fate != routing.Relayed {
						b.Fatalf("fate %d: %v", v.Fate, v.Err)
					}
				}
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*strangers), "us/reply")
			b.ReportMetric(float64((cpu()-here).Microseconds())/float64(b.N*strangers), "us-cpu/reply")
		})
	}
}

// cpu is the CPU time that this process has used.
func cpu() time.Duration {
	var use syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &use)
	return time.Duration(use.Utime.Nano() + use.Stime.Nano())
}

// redisCPU is the CPU time that the server has used, in seconds.
func redisCPU(client redis.UniversalClient) (seconds float64) {
	info := client.Info(context.Background(), "cpu").Val()
	for line := range strings.Lines(info) {
		for _, name := range []string{"used_cpu_user:", "used_cpu_sys:"} {
			if text, ok := strings.CutPrefix(line, name); ok {
				one, _ := strconv.ParseFloat(strings.TrimSpace(text), 64)
				seconds += one
			}
		}
	}
	return seconds
}

// BenchmarkAnnounce writes sessions, as after Redis was emptied.
func BenchmarkAnnounce(b *testing.B) {
	addr := benchServer(b)
	client := single(addr, testDB)
	defer client.Close()
	n := benchTable(b, addr, table.Options{Node: "bench"})
	there := redisCPU(client)
	for i := range b.N {
		n.Announce(routing.SessionRow{ID: routing.SessionID(fmt.Sprintf("bench-session-%08d", i)), Epoch: 1})
		for n.Stats().Pending > 4096 {
			time.Sleep(time.Millisecond)
		}
	}
	for n.Stats().Pending > 0 {
		time.Sleep(time.Millisecond)
	}
	b.ReportMetric((redisCPU(client)-there)*1e6/float64(b.N), "us-redis-cpu/op")
	b.StopTimer()
	client.FlushDB(context.Background())
}

// BenchmarkKept keeps requests, so many at a time, with and without a key, has their
// replies held, and collects them: what a request costs that is asked for later.
func BenchmarkKept(b *testing.B) {
	for _, size := range []int{1, 64} {
		for _, key := range []string{"", "k"} {
			b.Run(fmt.Sprintf("batch=%d/key=%v", size, key != ""), func(b *testing.B) { keepAndCollect(b, size, key) })
		}
	}
}

func keepAndCollect(b *testing.B, size int, key string) {
	addr := benchServer(b)
	client := single(addr, testDB)
	defer client.Close()
	n := benchTable(b, addr, table.Options{Node: "bench"})
	body := []byte(strings.Repeat("x", 100))
	for round := 0; b.Loop(); round++ {
		kept, replies, asked := make([]*routing.Kept, size), make([]*routing.Reply, size), make([]routing.Collection, size)
		for i := range kept {
			session := routing.SessionID(fmt.Sprintf("bench%017d", round*size+i))
			id := routing.RequestID(session + ".1abc")
			kept[i] = &routing.Kept{ID: id, Life: time.Second, Row: routing.Row{Session: session, N: 1, Service: "echo", Deadline: time.Now()}}
			if key != "" {
				kept[i].Claim, kept[i].Digest = key+string(session), "digest"
			}
			replies[i] = &routing.Reply{ID: id, Final: true, Body: body, From: routing.RecordAt{Topic: "replies", Offset: int64(i)}, Consumed: time.Now()}
			asked[i].ID = id
		}
		for _, answer := range n.Keep(b.Context(), kept, 1_000_000) {
			if answer.Err != nil {
				b.Fatal(answer.Err)
			}
		}
		n.Route(b.Context(), replies)
		for _, c := range n.Collect(b.Context(), asked) {
			if c.State != routing.Over {
				b.Fatal("not answered")
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*size), "µs/request")
}
