//go:build !defects

package table

// A defect that scripts/chaos plants in a build of its own, to prove that it
// finds it. Here there is none, and the compiler leaves out what it would do.
const defectOwnClock = false
