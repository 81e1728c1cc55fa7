package main

// manner is how a client behaves.
type manner string

const (
	polite       manner = "polite"
	neverReads   manner = "never reads"   // for a while, on every second socket; what it asks for is large
	neverAcks    manner = "never acks"    // on any socket
	alwaysLeaves manner = "always leaves" // 100 ms after each welcome
)

// manners says how the clients of a load behave: every tenth has that manner, twenty at the
// most. What those ask for that never read is so large that more of them would be a test of
// the machine.
type manners manner

func (m manners) of(i int) manner {
	if m == "" || i%10 != 0 || i >= 200 {
		return polite
	}
	return manner(m)
}
