package bench

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strconv"
	"time"
)

// watch measures the CPU time that the watched processes spend in the measured
// time.
func (r *run) watch(ctx context.Context) {
	r.sleep(ctx, r.Warmup)
	before := readCPU(r.Watch)
	r.sleep(ctx, r.Warmup+r.Duration)
	after := readCPU(r.Watch)
	r.cpu = make(map[string]time.Duration)
	for name, then := range before {
		if now, alive := after[name]; alive {
			r.cpu[name] = now - then
		}
	}
}

func readCPU(watch map[string]int) map[string]time.Duration {
	spent := make(map[string]time.Duration)
	for name, pid := range watch {
		if d, err := cpuTime(pid); err == nil {
			spent[name] = d
		}
	}
	return spent
}

// cpuTime is the CPU time, user and system, that a process has spent. It knows
// Linux only, and hundredths of a second.
func cpuTime(pid int) (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// The second field is the command in parentheses, and may contain anything.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 13 {
		return 0, fmt.Errorf("%d fields in the stat file of process %d", len(fields), pid)
	}
	user, err1 := strconv.ParseInt(string(fields[11]), 10, 64)
	system, err2 := strconv.ParseInt(string(fields[12]), 10, 64)
	if err1 != nil || err2 != nil {
		return 0, fmt.Errorf("stat file of process %d has no times", pid)
	}
	const tick = 10 * time.Millisecond // USER_HZ is 100 on every Linux that Go runs on
	return time.Duration(user+system) * tick, nil
}
