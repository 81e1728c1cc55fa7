//go:build defects

package kafka

import "os"

// defectCommitEarly counts a reply as done when it is handed to the router, in a
// process whose PARLEY_TEST_DEFECT names it.
var defectCommitEarly = os.Getenv("PARLEY_TEST_DEFECT") == "commit-early"
