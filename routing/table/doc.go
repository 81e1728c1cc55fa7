// Package table is the cluster's shared memory in Redis: which node holds which
// session, what each session waits for, and the replies on their way between
// nodes. [Memory] stands in for it where there is one node and no Redis.
//
//	key                    kind        content
//	parley:{S}             hash        owner, boot, epoch, state, secret, subject; r:<n> per open request; s:<topic> <key> per subscription;
//	                                   held, the bytes that are held, and h:<n>, the records held to request n;
//	                                   taken and earlier, the newest take-over and the two owners before it;
//	                                   left, the epoch up to which all owners have written all their rows and are gone,
//	                                   and behind, from which to which epoch later ones have;
//	                                   past:<boot> <node>, of an owner before that may still have replies, its last epoch and when that ended
//	parley:{S}:held        list        held replies, oldest first: "<n> <record> <reply>"
//	parley:idem:<hash>     string      an idempotency key's "<request id> <digest>", see routing/kept.go
//	parley:kept            sorted set  the session of each kept request by when its time is over
//	parley:{s:<topic>}     set         keys of the topic that somebody has subscribed to;
//	parley:{s:<topic>}:<key>  hash     session -> Unix ms, until when it has
//	parley:{w:<service>:<entity>}  hash  RequestID -> Unix ms, until when it waits for an event about the entity
//	parley:inbox:<node>    stream      what other nodes send: b, the boot that it is meant for, and
//	                                   e and r, an epoch and a reply, or k, a notice
//	parley:nodes           sorted set  node by the end of its lease, Unix ms of Redis's clock
//	{parley:nodes}:members hash        node -> boot and what its lease carries
//	{parley:nodes}:removed hash        boot and node that were taken for dead -> when
//	{parley:nodes}:graves  hash        boot and node whose inbox is to be routed again -> boot of who does
//	{parley:nodes}:departed  hash      boot and node that are gone without leaving -> boot of who cleans up after them, since when,
//	                                   and what the lease carried
//	{parley:nodes}:restated  hash      node -> boot, and since when all that the node has is in Redis
//
// A person reads a session with redis-cli HGETALL 'parley:{…}'. A row's value
// is "<service> <deadline> <digest>[@<entity>] <client id>"; one that follows a kept request has
// "<service>@<request id>", and ";trace" and ";headers" behind that say what the client
// asked for besides. Times are by Redis's clock. How a reply is written stands in
// entry.go. Redis 6.2 or newer is needed.
//
// # What is written when
//
// Claims, releases, unholds, announcements, ends and notices to other nodes are
// appended to a queue (queue.go), which one goroutine writes behind in pipelines
// (writer.go). A claim whose release is in the same pipeline is not written at
// all. No delivery depends on a row: Route needs only the session's owner. Rows
// are for people, for resuming and for deadlines, so what a crash can cost is the
// row of a request that was made in the last millisecond or two.
//
// The table keeps no copy of what it has written. When Redis was away, was
// emptied, or writes did not fit the queue, it asks the router for its sessions
// and writes them anew (restate.go). While that goes on, a session that Redis
// does not know is not called unknown.
//
// # Who owns a session
//
// A node keeps its name when it restarts, but not its sessions. So an owner is a
// node and a boot: a session that an earlier boot left is owned by a dead node,
// and its replies are held. Inbox entries name the boot too: those for another
// boot are routed again by whoever reads the inbox.
//
// # Kept requests
//
// A kept request is a session whose owner is "": nobody can resume it, as it has no
// secret, and all replies to it are held. Its state is kept, then answered once the
// final reply is held, or ended where the field outcome has an outcome that is no
// reply. The field key is its record's, where its service is told of its end; heard is
// what Kafka has said of one with a client's key, and is not there before. Everything
// about it expires together. It is recorded before its key is claimed, in another slot,
// so that whoever joins it finds it; a claim that was not answered in time is refused by
// Redis's clock when it is come to later.
//
// # Take-over
//
// Resume first waits until all that this node has queued is written, so that it
// sees its own rows, and so that no end of an earlier time can follow it. Many that come
// at once go to Redis together (crowd.go). The script raises the epoch. The former owner is sent the notice "taken <session>
// <epoch>" by way of the queue, for as long as it takes. Should this process die
// before, the next owner tells it: the one before the former is sent the notice too,
// and whoever has heard it before does not mind. Should nobody come, or die as well,
// the former owner finds out by itself: when it wants a reply held, which
// is after routing's Limits.Patience where one is unacknowledged, or when it
// prolongs the session's life, once in Options.Resume.
//
// A session is ended under the epoch by which its node had it (standing.go): from
// a to b and back to a, what a meant for its first time does nothing to its
// second. A take-over that stood in the buffer of a connection that was given up
// long ago is refused by Redis's clock.
//
// # Nodes that come, go and die
//
// Each renewal of a lease (lease.lua) reads who is there, too, and removes those
// whose lease has ended. The script runs for one node at a time, so exactly one
// removes. It must have had its own lease for as long as a lease lasts: when
// Redis comes back from a stall all leases have ended, and every node gets the
// time to return. Until it is removed, a node counts as alive.
//
// A renewal also says when the next lease ends, and who knows that looks then and not
// at its own next renewal.
//
// Who removes a node has the others look (the notice "nodes"; each would see it at its
// next renewal, a quarter of a lease later), and has two things to do. It is told to
// clean up (Watcher.Left), until it says that it has: until then the dead one is among
// the departed. And it keeps the dead one's grave: it routes the inbox again, and
// deletes the entries that are safe elsewhere. Either is noted in Redis before it is
// begun, and may be done twice. So a node that dies in the midst of it costs no more
// than its own lease: what is left is taken up by the next node that renews once its
// keeper is no member any more. Nor does cleaning up wait for a keeper that lives and
// cannot, as Kafka may be away from it alone: after a lease another begins as well.
//
// A process that finds itself among the removed goes on as a new boot. What it
// does about its sessions depends on what it did meanwhile, which it knows by its
// own pulse (pulse.go). If it slept, it forgets what it had in mind and tells its
// router (Removed), whose clients must resume; until it has heard from Redis it is
// fenced. If it was awake and could not reach Redis, it has served its clients all
// along: it writes its sessions anew, under the epochs that it has them by, and
// hands the router what others have held for them (Reclaimed, giveback.go). A
// session that another node has taken over stays there.
//
// A process that finds no trace of itself at all knows that Redis was emptied; it,
// and one that finds another server than before (run_id), tell the watcher so
// (Restored), and write their sessions anew. Until all nodes have, nobody can say that a
// session, or one who waits for an event, is not there. So a node gives its word that
// all it has is in Redis (restated): with each renewal, but for the first after it was
// away, which is the one that tells it what Redis has lost. Others believe it when it
// was given after a renewal that is later than their own first one. For a node that does
// not come they wait no longer than Options.Grace. A session whose owner has not given its
// word cannot be taken over: its last rows may be where only its owner has them.
//
// # Non-obvious
//
// All keys of one script share a hash slot: parley:nodes hashes as
// {parley:nodes} does. So a look-up and the relay that follows from it are two
// steps, and the world may change between them. Every such race ends well: a
// hold compares owner, boot and epoch; a relay goes only into an inbox that
// exists, and a node that leaves or is removed takes its inbox away once it is
// empty; a relay into the inbox of a node that has died is routed again by who
// inherits that inbox.
//
// A claim is a plain HSET, because a script would cost Redis four times as much.
// In the moment after Redis was emptied it can make a hash without an owner,
// which counts as no session and is replaced when the session is written anew.
//
// A relay whose answer was lost is done again, so an entry can be there twice.
// The inbox drops the second by the place of its record in Kafka, and by the
// epoch under which the owner was found: a reply that was here before, went along
// with its session and comes back with it must not be taken for a second one.
//
// A held list knows its records too: the same one is held once, whether it was sent
// again, consumed by two nodes, or found in an inbox by two.
//
// Rows that another living node has queued are not seen by a take-over: a client may
// send a request and resume elsewhere within a millisecond or two, before its claim is
// written. So the router looks again (Look). That does not help against an owner
// that cannot reach Redis: what was asked of it meanwhile only it knows, and a client
// that leaves it before it is back is told that those requests are unknown.
//
// An owner that lives says when it has given a session up (Left), by the queue that its
// claims went through. From then on a request without a row is one that no node has
// taken. What is said is the epoch that the owner itself had, not the one that it heard
// of: a third node may have the session by then, and another's rows be on their way. A
// node that Redis has refused a write, or that had too many of them, says nothing until
// it has written its sessions anew; nor does anybody believe it while sessions are
// written anew after Redis was emptied.
//
// Who takes a session over is asked for replies that others had of it (Inherited): the
// take-over notes every owner that loses a session, and it is struck off when it says that
// it has handed all on that it had before a take-over: the one that it was told of, as it
// may not have learned under which epoch it had the session last. Who has waited for that
// sends the notice once more (Remind), to all that are noted. One that died is done with
// when nobody keeps its grave, and its inbox has nothing of that boot's: one that was
// started again before its lease ended has no grave, and routes by itself what it finds.
// Graves are read after the nodes, and the own inbox last, as things go the other way.
//
// A session that is taken back keeps its epoch: of one take-over there is only one
// process, whatever its boots. The change of boot is what makes others' holds and
// relays that were meant for the dead one fail, to be tried again.
//
// Until a session's held replies are back nothing that was relayed to its new boot
// may be delivered, or parts of an answer would change places: Redis.turn.
package table
