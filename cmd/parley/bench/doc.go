// Package bench puts load on a gateway and measures what its clients feel.
//
//	Load ──▶ pacer ──▶ lane.send ──▶ Lane.Send ──▶ (what is measured)
//	                                                      │
//	        Result ◀── Histogram ◀── lane.run ◀── Lane.Receive
//
// A [Transport] opens lanes to what is measured: sockets of a gateway
// (socket.go), or anything else that answers requests with the bytes it was
// sent. [Drive] does the rest, the same for all of them, so that two systems
// are measured by one and the same program.
//
// # Open loop and closed loop
//
// In an open loop requests are due at fixed moments, whatever became of the
// earlier ones, and latency counts from the moment a request was due, not from
// the moment it was sent. A system that stalls for a second therefore shows the
// wait of everybody who would have come in that second (leaving that out is
// known as coordinated omission). How late the pacer itself was is reported
// beside it, as lag: what is in there is not the fault of what is measured.
//
// In a closed loop each lane has a number of requests outstanding and sends the
// next one when an answer comes. That shows throughput; its latency is only
// outstanding divided by throughput.
//
// # Answers
//
// Every payload carries a nonce of its own. An answer counts when it has the
// id of an open request of its lane and is that request's payload, byte for
// byte. Everything else is counted by what was wrong with it, and makes the
// run fail.
//
// # Cost
//
// The program usually shares its processors with what it measures. It has one
// goroutine a lane and one that paces, and allocates nothing a request.
package bench
