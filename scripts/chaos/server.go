package main

import (
	"errors"
	"fmt"
	"net"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// server is a Kafka or a Redis that scripts/kafka or scripts/redis runs, at an
// address that stays the same when it is started again.
type server struct {
	name    string
	command []string
	env     []string
	logFile string
	address string

	script *process
	pid    int // of the server itself; the script is its parent
}

var pidOf = regexp.MustCompile(` pid (\d+) `)

// start runs the server, with more arguments than it always has, and waits until it is
// ready.
func (s *server) start(more ...string) error {
	script, line, err := startProcess(s.logFile, 3*time.Minute, s.env, slices.Concat(s.command, more)...)
	if err != nil {
		return fmt.Errorf("start %s: %w", s.name, err)
	}
	found := pidOf.FindStringSubmatch(line)
	if found == nil {
		script.stop(20 * time.Second)
		return fmt.Errorf("start %s: %q names no process (a server in a container cannot be frozen)", s.name, line)
	}
	s.script = script
	s.pid, _ = strconv.Atoi(found[1])
	return nil
}

// freeze stops servers in their tracks for a while.
func freeze(d time.Duration, some ...*server) {
	for _, s := range some {
		syscall.Kill(s.pid, syscall.SIGSTOP)
		defer syscall.Kill(s.pid, syscall.SIGCONT)
	}
	time.Sleep(d)
}

// kill ends the server the hard way, and waits for its end. Its data stay.
func (s *server) kill() {
	if s.lives() {
		syscall.Kill(s.pid, syscall.SIGKILL)
		<-s.script.ended
	}
}

func (s *server) lives() bool { return s.script != nil && s.script.lives() }

func (s *server) stop() {
	if s.script != nil {
		s.script.stop(20 * time.Second)
	}
}

// together starts servers at the same time: some need each other to become ready.
func together(some []*server) error {
	failed := make([]error, len(some))
	var starting sync.WaitGroup
	for i, s := range some {
		starting.Go(func() { failed[i] = s.start() })
	}
	starting.Wait()
	return errors.Join(failed...)
}

// stopAll stops servers at the same time.
func stopAll(some []*server) {
	var stopping sync.WaitGroup
	for _, s := range some {
		stopping.Go(s.stop)
	}
	stopping.Wait()
}

// nextPort walks through a range below the one that Linux hands to outgoing
// connections, which could take a port while its server is being started again.
var nextPort = 20000 + int(time.Now().UnixNano()/1000%11000)

func freePort() (int, error) {
	for range 1000 {
		nextPort++
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", nextPort))
		if err == nil {
			l.Close()
			return nextPort, nil
		}
	}
	return 0, fmt.Errorf("there is no free port below %d", nextPort)
}
