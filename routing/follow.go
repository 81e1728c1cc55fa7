package routing

import "time"

// A follower is an open request whose outcome is that of another, kept one: of the
// request that the client asked to attach, or of the one that its idempotency key
// belongs to. It takes what the table keeps of it, as it comes, and needs to keep
// nothing itself: whichever node resumes its session follows anew, by its row.

// attachService stands for $/attach where a request's service is named.
var attachService = &Service{Name: "$/attach"}

// Attach has the outcome of a request that was made elsewhere, and its parts,
// delivered to the session's sink, as those of a new request. call has the client's id
// for it, and its Timeout where the client has one. from is as for SubmitFrom. It does
// not block.
func (s *Session) Attach(from Sink, call *Call, id RequestID) *Error {
	call.Service = attachService.Name
	if call.Timeout <= 0 {
		call.Timeout = s.router.limits.Keep
	}
	err := s.attachTo(from, call, id)
	if err != nil {
		s.router.refused(call, err)
	}
	return err
}

func (s *Session) attachTo(from Sink, call *Call, id RequestID) *Error {
	if _, _, ok := id.Split(); !ok {
		return refuse(UnknownRequest, false, "there is no such request")
	}
	now := time.Now()
	if s.router.table.Fenced(now) {
		return refuse(Unavailable, true, "this node has slept, and does not know yet whether it may go on")
	}
	o, again, err := s.enter(call, attachService, "", nil, from, now)
	if err == nil && !again {
		o.kept(id, nil)
	}
	return err
}

// keepFor has a request with an idempotency key kept: this one follows it.
func (s *Session) keepFor(o *open) *Error {
	k, err := s.router.newKeeping(o.Call, s.caller.Load())
	if err != nil {
		return err
	}
	k.Session, k.to = s.id, o // what one client asks of a service stays in order
	s.router.keep(k)
	return nil
}

// kept implements keeper: it tells which request to follow.
func (o *open) kept(id RequestID, err *Error) {
	s := o.session
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != live || s.open[o.n] != o {
		return
	}
	if err != nil {
		s.failLocked(o, err)
		return
	}
	o.follows, o.accepted = id, time.Now()
	s.router.table.Claim(o.row(), nil)
	if to := s.sinkLocked(o); to != nil && o.Service != attachService {
		to.Accepted(o.Call.ClientID, id)
	}
	s.followLocked(o)
}

// followLocked has the follower wait for what it does not have, if somebody is there
// to take it.
func (s *Session) followLocked(o *open) {
	if o.waiting != nil || s.sinkLocked(o) == nil {
		return
	}
	o.waiting = &waiter{Collection: Collection{ID: o.follows, Subject: s.subject(), From: o.collects}, to: o}
	if !s.router.waiters.add(o.waiting, s.router.limits.Waiters) {
		o.waiting = nil
		s.failLocked(o, s.router.tooManyWait())
	}
}

// followAllLocked has all followers of a session wait, which has a sink again.
func (s *Session) followAllLocked() {
	for _, o := range s.open {
		if o.follows != "" && s.followsLocked(o) {
			s.followLocked(o)
		}
	}
}

// unfollowLocked has a follower wait no longer.
func (s *Session) unfollowLocked(o *open) {
	if o.waiting != nil {
		s.router.waiters.remove(o.waiting)
		o.waiting = nil
	}
}

// collected implements collector: it takes what has come.
func (o *open) collected(c Collected) {
	s := o.session
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open[o.n] != o || o.waiting == nil {
		return
	}
	o.waiting = nil
	if s.sinkLocked(o) == nil {
		return // whoever attaches a socket has it follow again
	}
	if s.router.table.Fenced(time.Now()) {
		s.router.muted.put(o.followAgain)
		return
	}
	for _, reply := range c.Replies {
		o.collects++
		if s.takeKeptLocked(o, reply); !s.followsLocked(o) || s.sinkLocked(o) == nil {
			return
		}
	}
	switch {
	case c.Err != nil:
		s.endLocked(o, c.Err.Word, Delivery{Err: c.Err}, "")
	case c.State == Gone:
		s.failLocked(o, &Error{Word: UnknownRequest, Message: "there is no such request, or its time is over", Outcome: Unknown})
	default:
		s.followLocked(o)
	}
}

// followAgain goes on after the router was fenced.
func (o *open) followAgain() {
	s := o.session
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == live && s.followsLocked(o) {
		s.followLocked(o)
	}
}

// followsLocked tells whether a follower has no outcome yet.
func (s *Session) followsLocked(o *open) bool {
	return s.open[o.n] == o && (o.stream == nil || o.stream.outcome == "")
}

// takeKeptLocked takes a reply to the request that is followed. They were held in the
// order in which they came, which is not always that of their numbers.
func (s *Session) takeKeptLocked(o *open, reply *Reply) {
	switch {
	case o.hasHad(reply): // from the node that had the session before
	case o.overtakes(reply):
		s.keepAheadLocked(o, reply)
	default:
		s.acceptLocked(o, reply, PathHeld)
		s.closeRanksLocked(o, PathHeld)
	}
}
