package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"
)

// machine stands, among the watched processes, for all processes together.
const machine = 0

// watch measures the CPU time that the watched processes spend in the measured
// time.
func (r *run) watch(ctx context.Context) {
	r.sleep(ctx, r.Warmup)
	before := readCPU(r.Watch)
	r.sleep(ctx, r.Warmup+r.Duration)
	after := readCPU(r.Watch)
	r.cpu = make(map[int]time.Duration)
	for pid, then := range before {
		if now, alive := after[pid]; alive {
			r.cpu[pid] = now - then
		}
	}
}

func readCPU(watch map[string]int) map[int]time.Duration {
	spent := make(map[int]time.Duration)
	for _, pid := range watch {
		if d, err := CPUTime(pid); err == nil {
			spent[pid] = d
		}
	}
	if d, err := machineTime(); err == nil && len(spent) > 0 {
		spent[machine] = d
	}
	return spent
}

// tick is the unit of the kernel's times: USER_HZ is 100 on every Linux that Go
// runs on.
const tick = 10 * time.Millisecond

// CPUTime is the CPU time, user and system, that a process has spent. It knows
// Linux only.
func CPUTime(pid int) (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// The second field is the command in parentheses, and may contain anything.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 13 {
		return 0, fmt.Errorf("%d fields in the stat file of process %d", len(fields), pid)
	}
	return ticks(fields[11:13])
}

// machineTime is the CPU time that all processes and the kernel have spent.
func machineTime() (time.Duration, error) {
	stat, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, err
	}
	line, _, _ := bytes.Cut(stat, []byte("\n"))
	fields := bytes.Fields(line) // cpu user nice system idle iowait irq softirq steal …
	if len(fields) < 9 {
		return 0, errors.New("the stat file has no times")
	}
	return ticks([][]byte{fields[1], fields[2], fields[3], fields[6], fields[7], fields[8]})
}

func ticks(fields [][]byte) (sum time.Duration, err error) {
	for _, f := range fields {
		n, err := strconv.ParseInt(string(f), 10, 64)
		if err != nil {
			return 0, err
		}
		sum += time.Duration(n) * tick
	}
	return sum, nil
}
