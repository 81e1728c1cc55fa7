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
		s.state, s.asked = pinged, now
		l.control(item{text: []byte(pingText)})
		s.timer.Reset(l.c.o.Pong)
	}
}
