//go:build !defects

package routing

import "time"

// What scripts/chaos wants of nodes that it builds for itself, with the tag defects:
// that they make mistakes, to prove that it finds them, that they die at a [Point], and
// that their clock is wrong. Here is nothing of it, and the compiler leaves out what
// there would be.
const (
	defectReleaseEarly   = false
	defectResumeUnfenced = false
	defectDeliverTwice   = false
	defectLosePart       = false
	defectDropPush       = false
)

// ClockOff is how wrong this process's clock is.
const ClockOff time.Duration = 0

// Pass is called at a point. It does nothing.
func Pass(Point) {}
