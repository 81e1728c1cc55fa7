package bench

import (
	"os"
	"runtime"
	"testing"
	"time"
)

// A process that computes for a while is seen to have computed for that while,
// and the machine for no less.
func TestCPUTime(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("knows Linux only")
	}
	watch := map[string]int{"me": os.Getpid(), "nobody": 1 << 30}
	before := readCPU(watch)
	for start := time.Now(); time.Since(start) < 200*time.Millisecond; {
	}
	after := readCPU(watch)
	mine, all := after[os.Getpid()]-before[os.Getpid()], after[machine]-before[machine]
	if mine < 2*tick || all+2*tick < mine { // others may have had the processor meanwhile
		t.Errorf("%v spent here, %v on the machine", mine, all)
	}
	if len(after) != 2 {
		t.Errorf("times of a process that is not: %v", after)
	}
}
