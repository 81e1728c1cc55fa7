package tabletest

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"parley/routing"
	"parley/routing/table"
)

// mailbox stands for a router: it takes relayed replies, and knows the sessions
// that it was given.
type mailbox struct {
	mu       sync.Mutex
	settle   bool          // replies are settled as they come
	slow     time.Duration // to take what comes at a time
	got      []*routing.Reply
	sessions map[routing.SessionID]routing.SessionRow
	open     map[routing.SessionID][]routing.Row
	taken    map[routing.SessionID]uint64
	removed  int    // how often it was told so
	lets     func() // what it does then
	given    []*routing.Reply

	gone              []string // of Left: "<node> <boot> <member>"
	unable            bool     // to clean up
	changes, restores int
}

func (m *mailbox) DeliverRelayed(replies []*routing.Reply) {
	m.mu.Lock()
	defer m.mu.Unlock()
	time.Sleep(m.slow)
	for _, r := range replies {
		m.got = append(m.got, r)
		if m.settle {
			r.Receipt.Done(r.Token)
		}
	}
}

func (m *mailbox) EachSession(ready func() bool, take func(routing.SessionRow, []routing.Row)) {
	m.mu.Lock()
	ids := make([]routing.SessionID, 0, len(m.sessions))
	for id := range m.sessions {
		ids = append(ids, id)
	}
	m.mu.Unlock()
	for _, id := range ids {
		if !ready() {
			return
		}
		m.mu.Lock()
		take(m.sessions[id], m.open[id])
		m.mu.Unlock()
	}
}

func (m *mailbox) TakenOver(id routing.SessionID, epoch uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.taken == nil {
		m.taken = make(map[routing.SessionID]uint64)
	}
	m.taken[id] = epoch
	delete(m.sessions, id)
}

// takenUnder answers the epoch under which the node has heard that another has a
// session; 0 where it has not.
func (m *mailbox) takenUnder(s routing.SessionRow) uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.taken[s.ID]
}

func (m *mailbox) Removed() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.removed++
	m.sessions, m.open = nil, nil
	if m.lets != nil {
		m.lets()
	}
}

func (m *mailbox) Reclaimed(id routing.SessionID, epoch uint64, held []*routing.Reply) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if s, here := m.sessions[id]; here && s.Epoch == epoch {
		m.given = append(m.given, held...)
	}
}

// returned answers what was held for the node's sessions and is its again.
func (m *mailbox) returned() []*routing.Reply {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.given)
}

func (m *mailbox) Left(ctx context.Context, gone []table.Departed) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, d := range gone {
		m.gone = append(m.gone, fmt.Sprintf("%s %s %s", d.Node, d.Boot, d.Member))
	}
	if m.unable {
		return errUnable
	}
	return nil
}

var errUnable = errors.New("cannot clean up")

// cannot tells whether the node is unable to clean up after others from now on.
func (m *mailbox) cannot(so bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.unable = so
}

func (m *mailbox) Changed() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.changes++
}

func (m *mailbox) Restored() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.restores++
}

// told answers what the node has heard: how often that it was removed, that the
// nodes have changed and that Redis was restored, and whose remains are its.
func (m *mailbox) told() (removed, changes, restores int, gone []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.removed, m.changes, m.restores, slices.Clone(m.gone)
}

// hold makes a session one of the node's.
func (m *mailbox) hold(s routing.SessionRow, open ...routing.Row) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.sessions == nil {
		m.sessions = make(map[routing.SessionID]routing.SessionRow)
		m.open = make(map[routing.SessionID][]routing.Row)
	}
	m.sessions[s.ID], m.open[s.ID] = s, open
}

// forget makes a session one of the node's no more.
func (m *mailbox) forget(s routing.SessionRow) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.sessions, s.ID)
}

func (m *mailbox) replies() []*routing.Reply {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.got)
}

// await answers the first n replies, as soon as there are so many.
func (m *mailbox) await(t *testing.T, n int) []*routing.Reply {
	t.Helper()
	eventually(t, fmt.Sprintf("%d replies come", n), func() bool { return len(m.replies()) >= n })
	return m.replies()
}

func newSession() routing.SessionRow {
	var b [16]byte
	_, _ = rand.Read(b[:])
	return routing.SessionRow{
		ID:      routing.SessionID(base64.RawURLEncoding.EncodeToString(b[:])),
		Subject: "somebody", Secret: []byte("0123456789abcdef0123456789abcdef"), Epoch: 1,
	}
}

// replyTo makes the reply at offset to request n of a session, with every field set.
func replyTo(s routing.SessionRow, n int, offset int64) *routing.Reply {
	return &routing.Reply{
		ID: routing.RequestID(fmt.Sprintf("%s.%dab", s.ID, n)), Final: offset%2 == 0, Status: 201,
		Err:         &routing.ServiceError{Code: "no_stock", Message: "ausverkauft \u2603"},
		ContentType: "application/json",
		Headers:     []routing.Header{{Key: "x-a", Value: []byte{0, 255}}, {Key: "x-nil"}, {Key: "x-a", Value: []byte{}}},
		Body:        fmt.Appendf(nil, "{\"offset\":%d}\x00\xff", offset),
		From:        routing.RecordAt{Topic: "parley.replies", Partition: 7, Offset: offset},
		Stamp:       time.UnixMilli(1764000000123), Consumed: time.Now(), ConsumedBy: "consumer",
	}
}

// offsets tells replies apart.
func offsets(replies []*routing.Reply) []int64 {
	all := make([]int64, len(replies))
	for i, r := range replies {
		all[i] = r.From.Offset
	}
	return all
}

// fates are the verdicts in short.
func fates(verdicts []routing.Verdict) []routing.Fate {
	all := make([]routing.Fate, len(verdicts))
	for i, v := range verdicts {
		all[i] = v.Fate
	}
	return all
}

// series makes replies with offsets from a to below b, all to one request.
func series(s routing.SessionRow, a, b int64) []*routing.Reply {
	var all []*routing.Reply
	for offset := a; offset < b; offset++ {
		all = append(all, replyTo(s, 1, offset))
	}
	return all
}
