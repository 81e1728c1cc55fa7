//go:build !defects

package table

// Defects that scripts/chaos plants in a build of its own, to prove that it
// finds them. Here there are none, and the compiler leaves out what they would do.
const (
	defectOwnClock   = false
	defectForgetKept = false
)
