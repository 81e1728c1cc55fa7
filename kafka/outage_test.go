package kafka

import (
	"os"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// A real broker freezes, shortly or for longer than sessions last, and goes on:
// every reply comes, and all are committed. It runs where
// PARLEY_TEST_KAFKA_CONTROL is the process id of the broker that
// PARLEY_TEST_KAFKA names, which nothing else should use meanwhile.
func TestFrozenBroker(t *testing.T) {
	pid, err := strconv.Atoi(os.Getenv("PARLEY_TEST_KAFKA_CONTROL"))
	if err != nil || pid <= 1 {
		t.Skip("PARLEY_TEST_KAFKA_CONTROL is no process id")
	}
	for _, frozen := range []time.Duration{2 * time.Second, 8 * time.Second} {
		t.Run(frozen.String(), func(t *testing.T) {
			eachProtocol(t, func(t *testing.T, k *testKafka, o RepliesOptions) {
				o.Topic, o.Commit = k.topic(t, "replies", 2), 100*time.Millisecond
				_, got := k.member(t, o, "a")
				k.write(t, numbered(o.Topic, 0, 0, 10)...)
				until(t, "ten replies", got.news, func() bool { return len(got.all()) == 10 })
				signal := func(s syscall.Signal) {
					if err := syscall.Kill(pid, s); err != nil {
						t.Fatal(err)
					}
				}
				signal(syscall.SIGSTOP)
				defer signal(syscall.SIGCONT)
				settle(got.all()...)
				time.Sleep(frozen) // the time for which a real broker does nothing is what is tested
				signal(syscall.SIGCONT)
				begin := time.Now()
				k.write(t, numbered(o.Topic, 0, 10, 20)...)
				until(t, "the rest, and the commit", got.news, func() bool {
					settle(got.all()...)
					return k.committed(t, o.Group, o.Topic, 0) == 20
				})
				t.Logf("%s, frozen for %v: committed %v after it went on", o.Protocol, frozen, time.Since(begin).Round(time.Millisecond))
			})
		})
	}
}
