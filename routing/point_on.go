//go:build defects

package routing

import (
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"sync/atomic"
	"syscall"
)

// doom is a point at which this process dies, and how often it still passes there
// before.
type doom struct {
	at   Point
	left atomic.Int64
	lot  string // the file that it must make first; "" for none
}

var doomed atomic.Pointer[doom]

// PARLEY_TEST_KILL names a file that says where this process is to kill itself:
// "relayed 20" is the point of that name, after it was passed 20 times. Of several
// processes that read "relayed 20 lot" only one dies: who makes the file lot, beside
// that file, first. It is read whenever the process gets SIGUSR1; one that is empty
// takes the word back.
func init() {
	file := os.Getenv("PARLEY_TEST_KILL")
	if file == "" {
		return
	}
	told := make(chan os.Signal, 1)
	signal.Notify(told, syscall.SIGUSR1)
	go func() {
		for range told {
			text, _ := os.ReadFile(file)
			doomed.Store(readDoom(string(text), filepath.Dir(file)))
		}
	}()
}

// readDoom answers nil where text names no point.
func readDoom(text, dir string) *doom {
	var d doom
	var left int64
	var lot string
	switch n, _ := fmt.Sscan(text, &d.at, &left, &lot); n {
	case 0:
		return nil
	case 3:
		d.lot = filepath.Join(dir, lot)
	}
	d.left.Store(left)
	return &d
}

// Pass is called at a point, and does not return where the process is to die there.
func Pass(p Point) {
	d := doomed.Load()
	if d == nil || d.at != p || d.left.Add(-1) >= 0 {
		return
	}
	if !d.draw() {
		doomed.CompareAndSwap(d, nil)
		return
	}
	fmt.Fprintf(os.Stderr, "{\"msg\":\"killed at a point\",\"point\":%q}\n", p)
	syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}

// draw tells whether the lot has fallen on this process.
func (d *doom) draw() bool {
	if d.lot == "" {
		return true
	}
	f, err := os.OpenFile(d.lot, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return false
	}
	f.Close()
	return true
}
