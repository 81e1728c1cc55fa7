//go:build !defects

package kafka

// A defect that scripts/chaos plants in a build of its own, to prove that it
// finds it. Here there is none, and the compiler leaves out what it would do.
const defectCommitEarly = false
