package bench

import (
	"runtime"
	"syscall"
	"time"
)

// sleeper prepares the calling goroutine, which must end with its work, for
// sleeping to better than a millisecond, and answers how it sleeps.
//
// The runtime's timers wait in epoll, in whole milliseconds: as long as what
// is measured here. So the pacer has a thread of its own that sleeps in the
// kernel, without the 50 µs by which Linux otherwise rounds up.
func sleeper() func(time.Duration) {
	runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
	const setTimerSlack = 29
	syscall.RawSyscall(syscall.SYS_PRCTL, setTimerSlack, 1, 0)
	return func(d time.Duration) {
		t := syscall.NsecToTimespec(int64(d))
		syscall.Nanosleep(&t, nil)
	}
}
