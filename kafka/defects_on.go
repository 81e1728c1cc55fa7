//go:build defects

package kafka

import "os"

// PARLEY_TEST_DEFECT names the one that this process has.
var (
	// A reply counts as done when it is handed to the router.
	defectCommitEarly = os.Getenv("PARLEY_TEST_DEFECT") == "commit-early"
	// Every event answers whoever waits for one about its key.
	defectAnswerAnyEvent = os.Getenv("PARLEY_TEST_DEFECT") == "answer-any-event"
)
