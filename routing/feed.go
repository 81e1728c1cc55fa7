package routing

import (
	"context"
	"hash/fnv"
	"strconv"
	"time"
)

// Feed is what a session subscribes to: the events of a topic about a key, or all of
// them where the key is "".
type Feed struct{ Topic, Key string }

// whole is all of a feed's topic.
func (f Feed) whole() Feed { return Feed{Topic: f.Topic} }

// Subscription is a session's.
type Subscription struct {
	Session SessionID
	Feed    Feed
}

const (
	// maxFeeds is how many feeds a session may follow.
	maxFeeds = 64
	// maxPushes is how many pushes of a session may be unacknowledged; more are
	// dropped, and the next that is not says how many were. So are those beyond
	// Limits.Unacked for a client that does not acknowledge: for others they are held.
	maxPushes = 1000
	// pushOverhead is what a push counts for in Session.bytes besides its body.
	pushOverhead = 256
)

// feeds is what a session that has subscribed to something knows of it. It belongs
// to session.mu.
type feeds struct {
	of     map[Feed]bool // true once the table has it
	past   map[stretch]*past
	missed int // dropped since the last that was delivered

	waits, bytes int   // pushes that wait for others, and their size
	gap          timer // fires when these have been missing for too long
}

// PushKey is the header of a push in which its event's key travels.
const PushKey = "parley-key"

// pushBit is set in n of a push, which no request has: requests are counted.
const pushBit = 1 << 63

// PushID names the push of an event to a session, as if it were a reply: so it is
// relayed, held and acknowledged like one. It follows from the event's record, so
// that the same event is the same push whoever consumes it.
func PushID(session SessionID, event RecordAt) RequestID {
	h := fnv.New64a()
	_, _ = h.Write(appendRecord(make([]byte, 0, 64), event))
	return RequestID(session) + "." + RequestID(strconv.FormatUint(h.Sum64()|pushBit, 10))
}

// String is how clients see an event's place: "<topic>/<partition>/<offset>".
func (r RecordAt) String() string { return string(appendRecord(nil, r)) }

func appendRecord(dst []byte, at RecordAt) []byte {
	dst = append(append(dst, at.Topic...), '/')
	dst = append(strconv.AppendInt(dst, int64(at.Partition), 10), '/')
	return strconv.AppendInt(dst, at.Offset, 10)
}

func isPush(n uint64) bool { return n&pushBit != 0 }

// Push is what a delivery that no request asked for is about.
type Push struct {
	Feed   Feed
	Missed int // pushes before it that were dropped, as too many waited for the client
}

// subscribing is a wish of a client's, on its way to the table.
type subscribing struct {
	session *Session
	feed    Feed
	done    func(*Error)
}

// MayFollow tells why the session may not subscribe to a feed; nil where it may.
func (s *Session) MayFollow(feed Feed) *Error {
	rule, offered := s.router.feeds[feed.Topic]
	if !offered {
		return refuse(Forbidden, false, "there are no subscriptions to the topic %q", feed.Topic)
	}
	if e := rule.Refuse(s.caller.Load(), feed.Topic); e != nil {
		return e
	}
	switch {
	case feed.Key == "" && !s.router.whole[feed.Topic]:
		return refuse(InvalidParams, false, "say whose events: there are no subscriptions to all of the topic %q", feed.Topic)
	case len(feed.Key) > maxEntity:
		return refuse(InvalidParams, false, "a key has from 1 to %d bytes", maxEntity)
	}
	return nil
}

// Subscribe has events of a feed pushed to the session's sink from the moment that done
// is called without an error. It does not block; done is called once, from another
// goroutine, with no lock held. A feed that the session follows already is none more.
func (s *Session) Subscribe(feed Feed, done func(*Error)) *Error {
	if e := s.MayFollow(feed); e != nil {
		return e
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != live {
		return refuse(SessionGone, true, "the session has ended")
	}
	if s.feeds == nil {
		s.feeds = &feeds{of: make(map[Feed]bool)}
	}
	if !s.hasFeedLocked(feed) {
		if len(s.feeds.of) >= maxFeeds {
			return refuse(Overloaded, false, "the session has %d subscriptions, which is its limit", maxFeeds)
		}
		if s.router.following.Add(1) > int64(s.router.limits.Feeds) {
			s.router.following.Add(-1)
			return refuse(Overloaded, true, "this node has as many subscriptions as it may")
		}
		s.feeds.of[feed] = false
	}
	s.router.wishes.put(subscribing{s, feed, done})
	return nil
}

// Unsubscribe ends a subscription, and tells whether there was one. What is on its way
// may still come.
func (s *Session) Unsubscribe(feed Feed) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.feeds == nil {
		return false
	}
	if _, follows := s.feeds.of[feed]; !follows {
		return false
	}
	s.unfeedLocked(feed)
	s.router.table.Unsubscribe(Subscription{s.id, feed})
	return true
}

// follow has the table know of subscriptions, until ctx ends.
func (r *Router) follow(ctx context.Context) {
	for {
		select {
		case <-r.wishes.wakeup:
		case <-ctx.Done():
			return
		}
		for batch := r.wishes.take(relayBatch); len(batch) > 0; batch = r.wishes.take(relayBatch) {
			subs := make([]Subscription, len(batch))
			for i, w := range batch {
				subs[i] = Subscription{w.session.id, w.feed}
			}
			for i, err := range r.table.Subscribe(ctx, subs) {
				batch[i].done(batch[i].session.subscribed(batch[i].feed, err))
			}
		}
	}
}

// subscribed notes whether the table has a subscription.
func (s *Session) subscribed(feed Feed, err error) *Error {
	s.mu.Lock()
	defer s.mu.Unlock()
	wanted := s.feeds != nil && s.hasFeedLocked(feed)
	switch {
	case s.state == live && !wanted, s.state == ended:
		s.router.table.Unsubscribe(Subscription{s.id, feed}) // it has changed its mind meanwhile, or left
		return refuse(Cancelled, true, "the subscription has ended meanwhile")
	case err != nil:
		if !s.feeds.of[feed] {
			s.unfeedLocked(feed)
		}
		s.router.log.Warn("a subscription is not in the table", "session", string(s.id), "topic", feed.Topic, "err", err)
		e := refuse(Unavailable, true, "subscriptions cannot be made at the moment")
		e.Cause = err
		return e
	}
	s.feeds.of[feed] = true
	return nil
}

// feedsLocked is what the table keeps of the session's subscriptions.
func (s *Session) feedsLocked() (all []Feed) {
	if s.feeds == nil {
		return nil
	}
	for feed := range s.feeds.of {
		all = append(all, feed)
	}
	return all
}

// adoptFeedsLocked takes over what the session has subscribed to elsewhere.
func (s *Session) adoptFeedsLocked(all []Feed) {
	if len(all) == 0 {
		return
	}
	if s.feeds == nil {
		s.feeds = &feeds{}
	}
	s.router.following.Add(-int64(len(s.feeds.of)))
	s.feeds.of = make(map[Feed]bool, len(all))
	for _, feed := range all {
		s.feeds.of[feed] = true
	}
	s.router.following.Add(int64(len(s.feeds.of))) // more than may be, rather than fewer than were
}

// dropForbiddenLocked ends subscriptions that the session's caller may not have any
// longer: it has come back with less than it had.
func (s *Session) dropForbiddenLocked(caller *Caller) {
	for _, feed := range s.feedsLocked() {
		if !s.router.feeds[feed.Topic].Allows(caller) {
			s.unfeedLocked(feed)
			s.router.table.Unsubscribe(Subscription{s.id, feed})
		}
	}
}

func (s *Session) unfeedLocked(feed Feed) {
	delete(s.feeds.of, feed)
	s.router.following.Add(-1)
}

// dropFeedsLocked forgets all subscriptions of a session that leaves this node.
func (s *Session) dropFeedsLocked() {
	if s.feeds != nil {
		s.router.following.Add(-int64(len(s.feeds.of)))
		s.router.wheel.disarm(&s.feeds.gap)
		s.feeds = nil
	}
}

// feedOf answers what a push is about.
func feedOf(push *Reply) Feed {
	feed := Feed{Topic: push.From.Topic}
	for _, h := range push.Headers {
		if h.Key == PushKey {
			feed.Key = string(h.Value)
		}
	}
	return feed
}

// takePushLocked takes an event that the session has subscribed to.
func (s *Session) takePushLocked(reply *Reply, path Path) {
	r := s.router
	switch {
	case s.keepBothLocked(reply):
		r.observer.Count(Drops, string(DropDuplicate))
		return
	case s.findLocked(reply) != nil, s.findWaitingLocked(reply) != nil, s.hadLocked(reply.From):
		r.drop(reply, DropDuplicate)
		return
	case s.feeds == nil:
		s.unwantedLocked(reply)
		return
	}
	_, n, _ := reply.ID.Split()
	now := time.Now()
	e := earlyPush{unacked{n: n, from: reply.From, since: now, at: now, bytes: len(reply.Body) + pushOverhead}, path}
	e.Delivery = Delivery{ID: reply.ID, Reply: reply}
	p := s.pastLocked(reply.From)
	if next := p.behind(reply.From.Offset); next < len(p.ahead) {
		e.since = p.ahead[next].since // those are not to be held before it
	}
	if s.missesPushLocked(p, reply) || s.feeds.waits > 0 && s.crowdedLocked() {
		s.keepPushLocked(p, e)
		return
	}
	s.givePushLocked(p, e)
	s.closePushesLocked(p)
}

// givePushLocked hands the sink an event whose turn it is, and tells whether the session
// may have it.
func (s *Session) givePushLocked(p *past, e earlyPush) bool {
	r, reply := s.router, e.Reply
	feed := feedOf(reply)
	p.pass(reply.From.Offset)
	var why Drop
	switch {
	case !s.hasFeedLocked(feed) && !s.hasFeedLocked(feed.whole()):
		s.unwantedLocked(reply)
		return false
	case defectDropPush && reply.From.Offset%7 == 0:
		r.drop(reply, DropUnread)
		return false
	case len(reply.Body) > r.limits.Reply:
		why = DropTooLarge
	case s.crowdedLocked():
		why = DropUnread
	}
	if why != "" {
		s.feeds.missed++
		r.drop(reply, why)
		return false
	}
	r.observer.Count(Replies, string(e.path))
	e.at, e.Push = time.Now(), &Push{feed, s.feeds.missed}
	s.feeds.missed = 0
	p.add(reply.From.Offset)
	s.seq++
	e.Seq = s.seq
	s.awaitAckLocked(e.unacked)
	if s.sink != nil {
		s.sink.Deliver(e.Delivery)
	}
	return true
}

// unwantedLocked drops an event that the session has not subscribed to, or does not any
// longer.
func (s *Session) unwantedLocked(reply *Reply) {
	r, feed := s.router, feedOf(reply)
	r.drop(reply, DropUnsubscribed)
	r.table.Unsubscribe(Subscription{s.id, feed})
	if r.whole[feed.Topic] {
		r.table.Unsubscribe(Subscription{s.id, feed.whole()})
	}
}

func (s *Session) hasFeedLocked(feed Feed) bool {
	_, follows := s.feeds.of[feed]
	return follows
}

// endFeedsLocked ends all subscriptions of a session that ends.
func (s *Session) endFeedsLocked() {
	for _, feed := range s.feedsLocked() {
		s.router.table.Unsubscribe(Subscription{s.id, feed})
	}
}
