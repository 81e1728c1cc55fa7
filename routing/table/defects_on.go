//go:build defects

package table

import "os"

// defectOwnClock has a node take its own clock for everybody's, in a process whose
// PARLEY_TEST_DEFECT names it.
var defectOwnClock = os.Getenv("PARLEY_TEST_DEFECT") == "own-clock"
