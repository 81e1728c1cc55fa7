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
// A session of a client that acknowledges outlives its socket ([Session.Detach])
// and its node ([Router.Resume]). Until a reply is acknowledged it is in at least
// one place that a crash does not take: its record, whose offset is not committed;
// the owner's inbox; or the session's held list. Session.unacked is a copy beside
// that place, and a [Receipt] is how the place learns that it may forget.
//
// A kept request ([Router.Keep]) is one whose answer nobody waits for at a socket of
// its own: it is a session without an owner, so that replies to it are held by whoever
// consumes them, and read ([Router.Collect], [Router.Await]) by whoever of its subject
// asks, at any node. A request with an idempotency key is a kept one, which all that
// show the key follow; a session follows one too where its client attaches it.
//
// # Files
//
// request.go, session.go, caller.go, errors.go and table.go are the nouns and the
// interfaces that others fill. submit.go is the way in, deliver.go and relay.go the way back,
// ack.go, hold.go, resume.go, look.go and reclaim.go what makes it survive. order.go
// puts the parts of a streamed answer in order, trail.go, inherit.go and handing.go where they have no
// numbers, feedorder.go and afield.go events that are pushed; stream.go lets them wait for a client
// that is not ready. entity.go is for services that events answer, cancel.go tells services that nobody waits any longer. fence.go
// keeps a process silent that slept. kept.go has the nouns of kept requests, keep.go
// makes them, join.go has others with the same key wait for Kafka's word, await.go and
// follow.go bring their answers. affinity.go makes ids that hash home, wheel.go keeps
// the deadlines.
//
// # Non-obvious
//
// Lock order: Session.mu, then wheel.mu; Session.mu, then whatever a Sink
// locks. A sink must therefore never call into its session with its own lock
// held. No lock is held while the table or the producer is called, except that
// the methods of [Rows] (which only append to a queue) run under Session.mu, so
// that a row's claim always precedes its release.
//
// A reply can be faster than the acknowledgement of its own request: the
// consumer and the producer are different connections. Request.Produced for a
// request that is no longer open is normal and does nothing.
//
// A client that asks is told that its request is accepted once Kafka and the table
// have it, so that after a crash right then the next node knows what it waits for. The
// row is on its way beside the produce, and mostly there first. Where the table is away
// Kafka's word is enough.
//
// Every reply carries a Receipt, told exactly once that the place it came
// from need not keep it any longer. A receipt that is never told holds up that
// partition's commits for ever, so every path out of Deliver ends in one:
// written, acknowledged, relayed, held, or dropped under a name.
//
// A row is released when its outcome is acknowledged, not when it is delivered:
// between the two the node may die, and the next owner must know that the client
// still waits.
//
// A reply to a request that this node never made is not a stray one, as long as
// the table has not said so: the session may have been taken over and be back, or
// be elsewhere without this node having heard of it. So it is routed, and only the
// table's word ([Here]) makes it unknown.
//
// The same record may come twice while its first copy is unacknowledged: its
// partition moved, or its node was thought dead. One of the places that it came from
// may be gone then, so both are told, and only when it is acknowledged or held.
//
// A session goes from node to node and back. Only an epoch that is one more than
// the node's own says that nobody had it in between; otherwise what this node
// remembers of it is compared with its rows. RequestIDs of different owners
// do not collide, since an owner counts on from its epoch, shifted left, plus a random
// number: when Redis loses a take-over, an epoch is given twice.
//
// A kept request is in the table before it is in the topic, and its key is claimed in
// between. So a node that dies there leaves a key whose request was never made: who
// joins it waits in vain, which is better than a second request. Only where the
// produce certainly failed is the key given up, before the caller is told. Where an event
// answers it, the table knows of its wait before the produce too, and that is taken back
// before the key is given up.
//
// A follower's replies have no receipt and are never held for its session: the kept
// request has them. Its row names that request, and a new owner follows it from the
// start; a client drops what it had by request id and position.
//
// A process that slept does not know whether it still is a node. Until the table
// does ([Fence]) it takes no requests, for which doors wait a while ([Router.Awake]),
// delivers nothing, and lets no deadline pass: the outcome may be with another node
// already.
//
// A session whose client knows more requests than the table may have been taken over
// before its former owner's queue was written. Replies to what is not known yet wait
// for the second look.
//
// A request that a client lists when it resumes, and nobody knows, is not in Kafka,
// for certain, where this node knows of all that any node has taken from the client
// (Session.whole), and where none can take any more: what the old socket's reader has
// in hand is refused by SubmitFrom. Each node that had the session before says so of its
// own time, by [Rows.Left], also when it has slept through its own removal; a dead one
// cannot, and leaves it unknown.
//
// Parts of one answer stand in one partition and come in its order, as long as one
// node hands them on. When a session is taken over, or a node dies, some are on their
// way through an inbox while those behind them are consumed elsewhere, and overtake
// them. So a part whose number says that one is missing waits for it, for Limits.Gap,
// which is longer than a dead node's replies take to come back, and for as long as another
// node may have it, up to the request's deadline. Only then is it a gap:
// the request ends as internal, its outcome done if the final reply had come and
// unknown if not, and what came behind the gap is dropped by that name.
//
// Without numbers what tells is where parts stand. Whoever reads a partition notes on
// each part which one it has read before it ([Trail], Reply.After), and a part whose
// predecessor has not come waits for it in the same way, and with the same end; except
// where the client says that it has more than its node knows of, and so perhaps that one
// (Session.goOnWithoutLocked). Of the first part that
// a node reads of an answer, on a partition that it has just gained, nobody knows what
// stands before it; but that is settled, so it is with the client, held, or with a node
// that had the session. Such a part waits where the session was taken over
// (Session.inherits), until the table says that all has come which those nodes had
// ([Relay].Inherited): one that lives says so itself, behind all that it hands on
// ([Rows].HandedOver), even where it was this node in an earlier time; of one that is dead
// the inbox was routed again, and then this node's read. A single reply waits for none of
// that, unless its client has spoken of a stream.
//
// A node that is told of a take-over answers even where it knows nothing of its having had
// the session: the table's word on that may have been lost, or have come too late. What is
// answered is the take-over that it was told of and not its own, which it may not know.
// Notice or answer may be lost with a node or with Redis, so who waits for the answer
// reminds it ([Relay].Remind); without that, a first part would wait for the deadline.
//
// Which part is which must survive the node that counted. An acknowledgement notes in
// the request's row how many parts the client has and where the newest stands: the
// next owner counts on from there, and knows by its offset a part that comes again. A
// client that comes back says by itself what it has, as the node may have died before
// the row was written; nothing is called missing that the client has. A part without a
// number is settled only when that is noted: what its number is, is known by those before it. That is noted in
// the row too: such parts are dropped when they come again, and a client that has the
// end says nothing of the stream any more.
//
// Of a stream, what is held comes before what is not, so that the next owner, who gets
// what is held first, sees it in order: a delivery keeps the time at which it came,
// whether it waits for credit or for its acknowledgement. It is not always so, as who
// routes a dead node's inbox holds what it finds there when it does; so a node that has
// delivered them already goes by its own order.
//
// The same record is delivered once, but settled with every place that it came from, be it
// that one copy was put aside and another delivered: one may be from a time in which this
// node owned its partition, which means nothing any more.
//
// Events that are pushed are put in order like parts without numbers, a partition at a
// time, see feedorder.go. A subscriber that comes back says how far it is by the newest
// event that it has (Last-Event-ID), so one that came behind it would be missed.
//
// A part without credit waits with its request, not in Session.unacked: it counts
// neither for Limits.Unacked nor for the socket. After Limits.Patience it is held as
// well, so that it does not hold up commits, and stays in memory, where Limits.Stream
// bounds it. The outcome waits behind it, and no deadline runs while it does.
//
// A partition that comes to this node brings replies behind those that its former owner
// has relayed to this node, or held for a session that this node is about to take back.
// So the table catches up first ([Relay].CatchUp), or the parts of an answer without
// numbers would change places, and the first pass for ones that had been delivered.
// With the table away nobody waits for it: single replies, and parts that say what is
// before them, come at once. The first part that is read of an answer which was asked for
// before the partition came waits as it does after a take-over (Router.behind), or it
// would pass for the newest of all, and what comes later for had.
//
// A request that an event answers is produced by another goroutine (Router.sendAwaited), once
// the table has its wait: any node may consume the event, and at once. Its session may
// have left this node by then; it is produced all the same, for its next owner waits
// for it. Only a request that has its outcome is not.
//
// Between the table's naming a node the owner and the session's being there,
// replies for it arrive: so the session is filed, as resuming, before the table is
// asked.
//
// Or its session is there as it was before others had it, where the notice of their
// take-over is still unread: it knows nothing of what was asked there. So the table's
// word that a session is here ([Here]) comes with an epoch, and where that is newer than
// the session's, replies wait until it is resumed. A hold that is refused ([Moved]) means
// that the session has the reply only where it has asked for the hold itself. And a node
// that hears of a take-over before the table's own answer to an older one does not
// attach its client.
package routing
