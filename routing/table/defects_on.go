//go:build defects

package table

import "os"

// PARLEY_TEST_DEFECT names the one that this process has.
var (
	// A node takes its own clock for everybody's.
	defectOwnClock = os.Getenv("PARLEY_TEST_DEFECT") == "own-clock"
	// Replies are not held for a session that never had an owner: a kept request's.
	defectForgetKept = os.Getenv("PARLEY_TEST_DEFECT") == "forget-kept"
)
