// Package routing is Parley without its technology: what a request is, which
// node waits for its answer, and how the answer gets there.
//
//	client ──▶ door ──▶ Session.Submit ──▶ Producer ──▶ (the service's topic)
//	  ▲                      │ row: RequestID -> node
//	  │                      ▼
//	  │                    Table ◀───────────── Router.strangers (another node's)
//	  │                                             ▲
//	 door ◀── Sink.Deliver ◀── Session ◀── Router.Deliver ◀── (the reply topic)
//
// A door (a WebSocket, an HTTP handler) opens a [Session] at the node's
// [Router] and submits a [Call]. The router mints a [RequestID] that hashes to
// one of the node's home partitions (see affinity.go), remembers the request
// as open, queues its row for the [Table] and hands a [Request] to the
// [Producer]. None of this blocks, so a socket's reader never waits for Kafka
// or Redis.
//
// Replies come in polled batches through [Router.Deliver]. A reply for a
// session of this node goes straight to its [Sink], without any look-up
// elsewhere. The others, the strangers, are handed to the table in batches by
// a goroutine of the router's own: deliver here, else one relay, never a second.
//
// # Non-obvious
//
// Lock order: Session.mu, then wheel.mu; Session.mu, then whatever a Sink
// locks. A sink must therefore never call into its session with its own lock
// held. No lock is held while the table or the producer is called, except that
// Rows.Claim and Rows.Release (which only append to a queue) run under
// Session.mu, so that a row's claim always precedes its release.
//
// A reply can be faster than the acknowledgement of its own request: the
// consumer and the producer are different connections. Request.Produced for a
// request that is no longer open is normal and does nothing.
//
// Every reply carries a [Receipt], told exactly once that the place it came
// from need not keep it any longer. A receipt that is never told holds up that
// partition's commits for ever, so every path out of Deliver ends in one:
// written, acknowledged, relayed, or dropped under a name.
package routing
