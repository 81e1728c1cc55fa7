package client

import (
	"errors"
	"time"
)

// goodbye is how long the gateway has to answer that we leave.
const goodbye = 2 * time.Second

// silence watches over how long the gateway says nothing.
type silence struct {
	link  *link
	timer *time.Timer
	state silenceState
	asked time.Duration // when, on line's clock
}

type silenceState uint8

const (
	unwelcomed silenceState = iota
	quiet
	pinged
	left
)

func (s *silence) welcomed() {
	if s.state == unwelcomed {
		s.state = quiet
		s.timer.Reset(s.link.c.o.Quiet)
	}
}

func (s *silence) leaving() {
	s.state = left
	s.timer.Reset(goodbye)
}

func (s *silence) expired() {
	l := s.link
	heard := time.Duration(l.line.heard.Load())
	now := time.Since(l.line.began)
	switch s.state {
	case unwelcomed:
		l.cut(errors.New("no welcome in time"))
	case left:
		l.cut(errors.New("no answer to our goodbye"))
	case pinged:
		if heard < s.asked {
			l.cut(errors.New("no answer to a ping"))
			return
		}
		s.state = quiet
		s.timer.Reset(max(0, l.c.o.Quiet-(now-heard)))
	case quiet:
		if rest := l.c.o.Quiet - (now - heard); rest > 0 {
			s.timer.Reset(rest)
			return
		}
		s.ask(now)
	}
}

func (s *silence) ask(now time.Duration) {
	l := s.link
	s.state, s.asked = pinged, now
	l.control(item{text: []byte(pingText)})
	s.timer.Reset(l.c.o.Pong)
}

// doubted asks whether the gateway is there where it has not said a word since a call was
// written a while ago.
func (s *silence) doubted() {
	l := s.link
	l.c.mu.Lock()
	unheard := l.line.unheard() // with the lock, or a call that is written now would be overlooked
	if l.doubting = unheard > 0 && unheard < l.c.o.Doubt; l.doubting {
		l.doubts.Reset(l.c.o.Doubt - unheard)
	}
	l.c.mu.Unlock()
	if unheard < l.c.o.Doubt {
		return
	}
	answered := time.Duration(l.line.heard.Load()) >= s.asked
	if s.state == quiet || s.state == pinged && answered {
		s.ask(time.Since(l.line.began))
	}
}

// spokeLocked notes that calls are written.
func (l *link) spokeLocked() {
	if l.line.spoke() && !l.doubting {
		l.doubting = true
		l.doubts.Reset(l.c.o.Doubt)
	}
}

// doubtsLocked tells whether calls are to wait until something is heard of the gateway:
// written to a socket that leads nowhere, they would be lost, and perhaps nobody could say
// so for certain.
func (l *link) doubtsLocked() bool {
	doubtful := func() bool { return l.line.unheard() >= l.c.o.Doubt }
	l.line.held.Store(doubtful())
	return l.line.held.Load() && doubtful() // whoever has read in between may not have known
}
