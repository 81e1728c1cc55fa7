package table

import (
	"context"
	"crypto/subtle"
	"maps"
	"slices"
	"sync"
	"time"

	"parley/routing"
)

// Memory is the table of a single node without Redis. All that it keeps is whose
// sessions there are, and kept requests: the router itself knows the rest, so that a
// reply for any other session is for nobody. Sessions cannot be resumed after the node has ended.
// Its methods may be called from any goroutine and do not block.
type Memory struct {
	mu       sync.Mutex
	sessions map[routing.SessionID]routing.SessionRow // those that may be resumed

	kept  memoryKept
	waits map[routing.Entity]map[routing.RequestID]bool
	feeds map[routing.Feed]map[routing.SessionID]bool
}

var _ routing.Table = (*Memory)(nil)

// NewMemory makes a table for a single node.
func NewMemory() *Memory {
	m := &Memory{sessions: make(map[routing.SessionID]routing.SessionRow), waits: make(map[routing.Entity]map[routing.RequestID]bool), feeds: make(map[routing.Feed]map[routing.SessionID]bool)}
	m.kept.init()
	return m
}

// SharedTime answers t: a single node shares its clock with nobody.
func (*Memory) SharedTime(t time.Time) time.Time { return t }

// Run blocks until ctx ends. There is nothing to do.
func (*Memory) Run(ctx context.Context, _ Node) error {
	<-ctx.Done()
	return nil
}

// Ping answers nil: memory is always there.
func (*Memory) Ping(context.Context) error { return nil }

// Stats answers the zero Stats.
func (*Memory) Stats() Stats { return Stats{} }

// Open notes a session.
func (m *Memory) Open(_ context.Context, s routing.SessionRow) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sessions[s.ID] = s
	return nil
}

// Resume checks secret and subject, and raises the epoch.
func (m *Memory) Resume(_ context.Context, r routing.Resumption) (routing.Resumed, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s, known := m.sessions[r.ID]
	if !known || s.Subject != r.Subject || subtle.ConstantTimeCompare(s.Secret, r.Secret) == 0 {
		return routing.Resumed{}, routing.ErrSessionGone
	}
	s.Epoch++
	m.sessions[r.ID] = s
	return routing.Resumed{Epoch: s.Epoch}, nil
}

// Look knows of no rows.
func (*Memory) Look(context.Context, routing.SessionID) (routing.Looked, error) {
	return routing.Looked{}, nil
}

// Owns answers whether the session has not ended.
func (m *Memory) Owns(_ context.Context, id routing.SessionID, epoch uint64) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.sessions[id].Epoch == epoch, nil
}

// End forgets a session.
func (m *Memory) End(id routing.SessionID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.sessions, id)
}

// Announce, Release, Left and Unhold have nothing to do.
func (*Memory) Announce(routing.SessionRow)           {}
func (*Memory) Release(routing.SessionID, uint64)     {}
func (*Memory) Left(_ routing.SessionID, _, _ uint64) {}
func (*Memory) Unhold(routing.RequestID)              {}

// Claim has nothing to do: what this node knows is all there is.
func (*Memory) Claim(routing.Row, routing.Claimed) bool { return false }

// CatchUp has nothing to wait for: there are no other nodes.
func (*Memory) CatchUp(context.Context) bool { return true }

// HandedOver does nothing: nobody else could have a session.
func (*Memory) HandedOver(routing.SessionID, uint64) {}

// Remind does nothing either.
func (*Memory) Remind(context.Context, []routing.SessionID) {}

// Inherited answers that nobody else has had any.
func (*Memory) Inherited(_ context.Context, sessions []routing.SessionID) []routing.Legacy {
	return slices.Repeat([]routing.Legacy{{Whole: true}}, len(sessions))
}

// Fenced answers false: there is nobody who could take this node for dead.
func (*Memory) Fenced(time.Time) bool { return false }

// Hold leaves all replies with the router.
func (*Memory) Hold(_ context.Context, held []routing.Holding) []routing.Verdict {
	verdicts := make([]routing.Verdict, len(held))
	for i := range verdicts {
		verdicts[i] = routing.Verdict{Fate: routing.Here}
	}
	return verdicts
}

// Route keeps replies to kept requests, and calls all others unknown.
func (m *Memory) Route(_ context.Context, replies []*routing.Reply) []routing.Verdict {
	verdicts := make([]routing.Verdict, len(replies))
	for i, reply := range replies {
		verdicts[i] = m.kept.hold(reply)
	}
	return verdicts
}

// Await notes waits. Each is taken back when its request ends.
func (m *Memory) Await(_ context.Context, waits []routing.Wait) []error {
	m.mu.Lock()
	defer m.mu.Unlock()
	errs := make([]error, len(waits))
	for i, w := range waits {
		if m.waits[w.Entity] == nil {
			m.waits[w.Entity] = make(map[routing.RequestID]bool)
		}
		if len(m.waits[w.Entity]) >= maxWaiters {
			errs[i] = routing.ErrCrowded
			continue
		}
		m.waits[w.Entity][w.Request] = true
	}
	return errs
}

// Waiting answers who waits for an event about each entity.
func (m *Memory) Waiting(_ context.Context, about []routing.Entity) ([][]routing.RequestID, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	found := make([][]routing.RequestID, len(about))
	for i, entity := range about {
		found[i] = slices.Collect(maps.Keys(m.waits[entity]))
	}
	return found, nil
}

// Unwait forgets a wait.
func (m *Memory) Unwait(about routing.Entity, id routing.RequestID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if delete(m.waits[about], id); len(m.waits[about]) == 0 {
		delete(m.waits, about)
	}
}

// Subscribe notes subscriptions. Each is taken back when its session ends.
func (m *Memory) Subscribe(_ context.Context, subs []routing.Subscription) []error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range subs {
		if m.feeds[s.Feed] == nil {
			m.feeds[s.Feed] = make(map[routing.SessionID]bool)
		}
		m.feeds[s.Feed][s.Session] = true
	}
	return make([]error, len(subs))
}

// Unsubscribe forgets a subscription.
func (m *Memory) Unsubscribe(s routing.Subscription) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if delete(m.feeds[s.Feed], s.Session); len(m.feeds[s.Feed]) == 0 {
		delete(m.feeds, s.Feed)
	}
}

// Subscribers answers who has subscribed to each feed.
func (m *Memory) Subscribers(_ context.Context, feeds []routing.Feed) ([][]routing.SessionID, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	found := make([][]routing.SessionID, len(feeds))
	for i, feed := range feeds {
		found[i] = slices.Collect(maps.Keys(m.feeds[feed]))
	}
	return found, nil
}

// unknown is the verdict on a reply whose session is not in the table. Nodes without
// Redis share reply topics: most of such replies are others'.
var unknown = routing.Verdict{Fate: routing.Dropped, Drop: routing.DropUnknownRequest, Foreign: true}
