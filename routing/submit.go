package routing

import "time"

// Submit makes a request of a service. It does not block and keeps call. The
// outcome goes to own, or to the session's sink where own is nil, unless Submit
// itself answers an error, which is then the outcome. A message that is sent
// again while its request is open is no error and no second request.
func (s *Session) Submit(call *Call, own Sink) (RequestID, *Error) {
	return s.counted(call, own, nil)
}

// SubmitFrom is Submit of a call whose outcome goes to the session's sink, for a
// door that read it from the socket of that sink. Where the session has another by
// now it is refused: that one may have been told already that it never came.
func (s *Session) SubmitFrom(from Sink, call *Call) (RequestID, *Error) {
	return s.counted(call, nil, from)
}

func (s *Session) counted(call *Call, own, from Sink) (RequestID, *Error) {
	id, err := s.submit(call, own, from)
	if err != nil {
		s.router.refused(call, err)
	}
	return id, err
}

func (s *Session) submit(call *Call, own, from Sink) (RequestID, *Error) {
	r := s.router
	service := r.services[call.Service]
	if service == nil {
		return "", refuse(UnknownService, false, "there is no service %q", call.Service)
	}
	now := time.Now()
	if r.table.Fenced(now) {
		return "", refuse(Unavailable, true, "this node has slept, and does not know yet whether it may go on")
	}
	if service.Allow != nil {
		if e := service.Allow.Refuse(s.callerOf(call), service.Name); e != nil {
			return "", e
		}
	}
	if e := service.fits(call); e != nil {
		return "", e
	}
	if service.View != nil {
		return s.consult(call, service, own, from, now)
	}
	if call.Notify {
		q := s.request(call, service, now)
		r.producer.Produce(&q)
		return "", nil
	}
	about := ""
	if call.IdempotencyKey == "" { // else the kept request that it follows waits for the event
		var err *Error
		if about, err = entityOf(service, call); err != nil {
			return "", err
		}
	}
	o, again, err := s.enter(call, service, about, own, from, now)
	switch {
	case err != nil:
		return "", err
	case again:
	case call.IdempotencyKey != "":
		if err := s.keepFor(o); err != nil {
			s.mu.Lock()
			defer s.mu.Unlock()
			if s.open[o.n] == o {
				s.dropLocked(o)
			}
			return "", err
		}
	case about != "":
		r.unsent.put(o)
	default:
		r.producer.Produce(&o.Request)
	}
	return o.ID, nil
}

// request describes a call to the producer.
func (s *Session) request(call *Call, service *Service, now time.Time) Request {
	timeout := service.Timeout
	if call.Timeout > 0 {
		timeout = call.Timeout
	}
	return Request{
		Session: s.id, Subject: s.callerOf(call).Name(), Service: service, Call: call,
		Deadline: now.Add(timeout), ReplyPartition: NoPartition, from: s.router,
	}
}

// callerOf is who makes a call: the session's caller, unless the call says otherwise.
func (s *Session) callerOf(call *Call) *Caller {
	if call.Caller != nil {
		return call.Caller
	}
	return s.caller.Load()
}

// enter makes a call an open request, or finds the one that it repeats.
func (s *Session) enter(call *Call, service *Service, about string, own, from Sink, now time.Time) (o *open, again bool, err *Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != live {
		return nil, false, refuse(SessionGone, true, "the session has ended")
	}
	if from != nil && s.sink != from {
		return nil, false, refuse(SessionGone, true, "the session goes on with another socket")
	}
	if twin := s.byClient[call.ClientID]; twin != nil && call.ClientID != "" {
		return twin, true, s.repeatLocked(twin, call)
	}
	// One with an idempotency key is kept: its answer may have come, and may come later.
	if !service.Wait && call.IdempotencyKey == "" && s.router.responders != nil && s.router.responders.Absent(service.Name) {
		return nil, false, refuse(NoResponders, true, "nobody serves %q now: try again later", service.Name)
	}
	if err := s.roomLocked(own); err != nil {
		return nil, false, err
	}
	s.counter++
	o = &open{Request: s.request(call, service, now), session: s, n: s.counter, own: own, submitted: now}
	o.Request.open = o
	if about == "" {
		o.ID, o.ReplyPartition = s.router.minter.mint(s.id, o.n, service.Partitioner)
	} else {
		o.ID, o.Entity, o.unsent = bareID(s.id, o.n), about, true
	}
	if call.Limited {
		o.streamed().limit(call.Credit)
	}
	switch {
	case o.unkept():
	case call.WantSafe:
		o.unsafe = s.router.table.Claim(o.row(), o)
	default:
		s.router.table.Claim(o.row(), nil)
	}
	s.rememberLocked(o, o.Deadline)
	return o, false, nil
}

// repeatLocked answers a message whose id is that of an open request.
func (s *Session) repeatLocked(twin *open, call *Call) *Error {
	if twin.Call.Digest != call.Digest {
		return refuse(DuplicateID, false, "request %s is still open, and was not the same", call.ClientID)
	}
	twin.tellAcceptedLocked()
	return nil
}

// unackedPerOpen is how many unacknowledged outcomes a session may have for each
// open request that it may have.
const unackedPerOpen = 4

// roomLocked admits one more open request, counted in, or says why not.
func (s *Session) roomLocked(own Sink) *Error {
	limit := s.router.limits.OpenRequests
	switch {
	case own != nil: // bounded by the node's limit alone
	case len(s.open) >= limit:
		return refuse(Overloaded, true, "the session has %d requests open, which is its limit", limit)
	case len(s.open)+len(s.unacked) >= limit*unackedPerOpen:
		return refuse(Overloaded, true, "the session has %d outcomes unacknowledged, which is too many", len(s.unacked))
	}
	if !s.router.admit() {
		return refuse(Overloaded, true, "this node has as many requests in flight as it may")
	}
	return nil
}

// rememberLocked files an open request everywhere that it is looked for. It times
// out when it is due.
func (s *Session) rememberLocked(o *open, due time.Time) {
	if s.open == nil {
		s.open = make(map[uint64]*open)
	}
	s.open[o.n] = o
	if o.Entity != "" {
		s.router.awaiting.Add(1)
	}
	if o.Call.ClientID != "" {
		if s.byClient == nil {
			s.byClient = make(map[string]*open)
		}
		s.byClient[o.Call.ClientID] = o
	}
	o.deadline.target = o
	s.router.wheel.arm(&o.deadline, due)
}

// forgetLocked undoes rememberLocked: the request has its outcome. Its row stays
// until that is acknowledged, where the client acknowledges: should the node die
// before, the next owner must know that the client still waits.
func (s *Session) forgetLocked(o *open, outcome Word) {
	s.dropLocked(o)
	o.over = true
	if outcome != OK && outcome != FromService {
		s.router.unwait(o)
		s.late[s.lateAt%lateMemory] = o.n
		s.lateAt++
	}
	if !s.acks || o.own != nil || defectReleaseEarly {
		s.router.table.Release(s.id, o.n)
	}
	s.router.observer.Finished(o.Service.Name, o.Call.Door, outcome, time.Since(o.submitted))
}

// dropLocked takes a request out of where rememberLocked filed it.
func (s *Session) dropLocked(o *open) {
	delete(s.open, o.n)
	if o.Call.ClientID != "" && s.byClient[o.Call.ClientID] == o {
		delete(s.byClient, o.Call.ClientID)
	}
	s.router.wheel.disarm(&o.deadline)
	s.unfollowLocked(o)
	if o.unwatch != nil {
		o.unwatch()
	}
	s.router.inFlight.Add(-1)
	if o.Entity != "" {
		s.router.awaiting.Add(-1)
	}
}
