//go:build defects

package routing

import (
	"os"
	"time"
)

// PARLEY_TEST_DEFECT names the one that this process has.
var (
	// A row is released when its outcome is delivered, not when it is acknowledged.
	defectReleaseEarly = os.Getenv("PARLEY_TEST_DEFECT") == "release-early"
	// The former owner of a session keeps it, whatever epoch a take-over has.
	defectResumeUnfenced = os.Getenv("PARLEY_TEST_DEFECT") == "resume-unfenced"
	// Every delivery is handed to its sink twice.
	defectDeliverTwice = os.Getenv("PARLEY_TEST_DEFECT") == "deliver-twice"
	// The second part of an answer is handed to no sink.
	defectLosePart = os.Getenv("PARLEY_TEST_DEFECT") == "lose-part"
	// One event in seven is pushed to nobody.
	defectDropPush = os.Getenv("PARLEY_TEST_DEFECT") == "drop-push"
)

// ClockOff is how wrong this process's clock is, wherever its time leaves it:
// PARLEY_TEST_CLOCK, such as 5m or -5m.
var ClockOff, _ = time.ParseDuration(os.Getenv("PARLEY_TEST_CLOCK"))
