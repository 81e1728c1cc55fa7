//go:build !linux

package bench

import "time"

// sleeper answers how the pacer sleeps: see the Linux version.
func sleeper() func(time.Duration) { return time.Sleep }
