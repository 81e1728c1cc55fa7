// Package table is the cluster's shared memory in Redis: which node holds which
// session, what each session waits for, and the replies on their way between
// nodes. [Memory] stands in for it where there is one node and no Redis.
//
//	key                    kind        content
//	parley:{S}             hash        owner, boot, epoch, state, secret, subject, held, and r:<n> per open request
//	parley:{S}:held        list        held replies, oldest first
//	parley:inbox:<node>    stream      relayed replies: b, the boot that they are meant for, and r, the reply
//	parley:nodes           sorted set  node by the end of its lease, Unix ms of Redis's clock
//	{parley:nodes}:members hash        node -> boot and what its lease carries
//
// A person reads a session with redis-cli HGETALL 'parley:{…}'. A row's value
// is "<service> <deadline> <client id>". The values of the last three kinds are
// those of entry.go.
//
// # What is written when
//
// Claims, releases, announcements and ends are appended to a queue (queue.go),
// which one goroutine writes behind in pipelines (writer.go). A claim whose
// release is in the same pipeline is not written at all. No delivery depends
// on a row: Route needs only the session's owner. Rows are for people, for
// resuming and for deadlines, so what a crash can cost is the row of a request
// that was made in the last millisecond or two.
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
// The inbox drops the second by the place of its record in Kafka.
package table
