// Command chaos kills things, and proves that Parley loses nothing.
//
//	load ──▶ client ──▶ proxy ──▶ node a, b, c ──▶ proxy ──▶ Kafka ──▶ service
//	  │                                │
//	  │                                └──▶ proxy ──▶ Redis
//	  ▼
//	history ◀── what clients and services saw ──▶ judge ──▶ verdict ──▶ table
//
// A [cluster] is real: three gateway processes, one Kafka broker and one Redis; in the
// full run three brokers that replicate everything, and a Redis with a replica and three
// Sentinels. Every connection of a node, and every client's, goes through a [proxy] of
// this process, which can cut it, slow it down, reset it or let it hang: a node's
// [network] has one before each server, and Kafka and the Sentinels tell it of no others
// (brokers.go and redises.go say how). The services live in this process, and so do the
// clients.
//
// A [fault] is done to the cluster under load. Everything that clients and
// services see meanwhile is written into a [history], which is judged when the
// load has ended and each request had the time to get its outcome (judge.go has
// the rules). Then the next fault comes, with new clients and a new history. One request
// in eight is answered in parts, half of these over up to 2 s, so that a fault finds some
// that are half answered, and half without numbers, as other frameworks' services do it. One in sixteen goes to a service that writes events, the first of which
// that satisfies a condition is the answer.
//
// Beside the sessions there are callers over HTTP, whose requests are kept: they ask under an
// idempotency key, some of them two nodes at once, and collect the outcome at other nodes or
// over a socket (loadkept.go). And some sessions, and readers of server-sent events, subscribe
// to numbered events (loadfeeds.go), which go by for those who wait for events, too.
//
// # Randomness
//
// What is random (delays, partitions, the order and the moments of mixed faults)
// comes from one seed, which is printed. A seed repeats what is done to the
// cluster, not how the machine schedules it.
//
// # Nodes built for it
//
// Three things no fault from outside can do, so nodes built with the tag defects do
// them to themselves, when told to: they die between two steps of their code (point.go;
// routing.Pass marks the places), they have a clock that is minutes off (clock.go), and
// they make mistakes. Faults that want such nodes have all of them restarted with that
// build before. Elsewhere the same source compiles to nothing.
//
// # Planted defects
//
// A judge that has never failed proves nothing. Its tests plant faults in
// histories; --defect NAME plants one in the nodes (defect.go has the list, the tag
// defects the code), does the faults that show it, and fails unless the judge
// convicts. --defects tries all of them, and the same faults with none.
package main
