// Package kafka writes requests to the topics of services and reads their
// replies: the [Producer] is routing.Producer over a topic per service,
// [Replies] feeds one topic, the reply topic of the whole gateway, to
// routing.Router.Deliver, and [Events] those events of other topics that answer.
//
//	routing.Request ──▶ Producer ──▶ (orders.requests)      record.go, headers.go
//	routing.Reply  ◀── decodeReply ◀── Replies.Run ◀── (parley.replies)
//	                       │                                decode.go, replies.go, consumer.go
//	routing.Reply  ◀── Condition ◀── Events.Run ◀── (orders.events)
//	                       │                                condition.go, events.go, flights.go, begin.go
//	     Receipt.Done ──▶ partition ──▶ commit              line.go, partition.go, owned.go, commits.go
//	     table lost ──▶ Rewind        full ──▶ wait         rewind.go, flow.go
//	     node dead ──▶ RemoveMembers ──▶ Nudge              remove.go, member.go
//	routing.Backlog ◀── History.Since ◀── (orders.events)   history.go, historyread.go
//	     groups of services ──▶ Responders.Absent           responders.go, survey.go, readers.go
//
// # Non-obvious
//
// An offset is committed only when every earlier record of its partition is
// done, and only for partitions that this node owns at that moment. Kafka does
// not check the second half for a current member of the group: a commit that
// was computed before a rebalance and sent after it would rewind the next
// owner. So commits are made one at a time, each under the lock that a
// rebalance waits for (consumer.committing), the one lock here that is held
// across I/O.
//
// Even an owner may be mistaken: classic franz-go joins anew under another member
// id, when the group does not know the old one, without saying that anything was
// lost, and then asks for what moved meanwhile to be revoked. The broker takes a
// commit from any member. So each commit names the member id that its partitions
// were assigned under, and is checked against the request itself, just before it
// is sent (disown in commits.go).
//
// Rewind begins an ownership anew at an earlier offset, with an empty line. Old
// receipts are void then as after a rebalance. What the group has committed is
// learned first, so that commits do not follow the line back down.
//
// Nudges are told after the request that makes the news was written, since asking
// the group too early finds nothing (member.go). A join that still waits for the
// other members has them told again.
//
// A receipt belongs to one ownership of one partition. What is told to a
// receipt of a former ownership changes nothing, because nobody commits from
// it any longer; no epoch has to be compared.
//
// An event may answer several requests, and is committed once all of them have it; the
// wait of each is removed from the table only then. Were it removed when the event
// is handed on, a node that dies right after would leave an event that nobody is found
// to wait for. For the same reason a later event must not answer a request that an
// earlier one is about to answer, or has answered while the table still says that it
// waits (flights.go). This holds for events about one thing
// that are in one partition, where their key takes them.
//
// A topic of events is not read from its start, so where a partition was begun is
// committed before anything is read of it (begin.go): the next owner must not begin
// later.
//
// History asks where a partition ends after its clients have subscribed. What stands
// before that end it reads; what stands behind it was consumed by the group, whose
// member looks for subscribers, after they were there. So nothing falls in between, and
// what comes both ways is known by its offset.
//
// Polled records are counted before rebalances are allowed again, and
// delivered after. A delivery that waits for the table therefore never holds up
// the group, and a record never counts for an ownership that did not poll it.
package kafka
