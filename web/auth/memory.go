package auth

import (
	"crypto/sha256"
	"sync"
	"time"

	"parley/routing"
)

const (
	rememberFor  = time.Minute // a key that is taken back counts for no longer
	rememberMost = 4096        // tokens a generation, of which there are two
)

// tokenName stands for a token, which is not kept.
type tokenName [sha256.Size]byte

func nameOf(token string) tokenName { return sha256.Sum256([]byte(token)) }

// memory knows whose tokens were verified a moment ago. It is bounded: when one
// generation is full the one before it is forgotten.
type memory struct {
	mu     sync.Mutex
	newest map[tokenName]verified
	before map[tokenName]verified
}

type verified struct {
	caller *routing.Caller
	until  time.Time
}

// find answers whose token it is, nil where that is to be found out.
func (m *memory) find(name tokenName, now time.Time) *routing.Caller {
	m.mu.Lock()
	defer m.mu.Unlock()
	found, ok := m.newest[name]
	if !ok {
		found = m.before[name]
	}
	if !now.Before(found.until) {
		return nil
	}
	return found.caller
}

func (m *memory) add(name tokenName, caller *routing.Caller, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.newest == nil || len(m.newest) >= rememberMost {
		m.newest, m.before = make(map[tokenName]verified), m.newest
	}
	until := now.Add(rememberFor)
	if caller.Until.Before(until) {
		until = caller.Until
	}
	m.newest[name] = verified{caller, until}
}
