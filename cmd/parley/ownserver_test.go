package main

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// ownServer is a Kafka or a Redis of a test's own, which can be killed, frozen
// and started again: on the same address, and with the same data unless the
// test says otherwise.
type ownServer struct {
	t       *testing.T
	kind    string // kafka or redis
	address string
	data    string
	args    []string

	pid    int // of the server itself; 0 while there is none
	cmd    *exec.Cmd
	output *lockedBuffer
	exited chan struct{} // the script has ended
}

// newOwnServer chooses an address for a server. It does not start it.
func newOwnServer(t *testing.T, kind string) *ownServer {
	s := &ownServer{t: t, kind: kind, data: t.TempDir(), output: &lockedBuffer{}}
	port := quietPort(t)
	s.address = fmt.Sprintf("127.0.0.1:%d", port)
	s.args = []string{"--port", fmt.Sprint(port)}
	if kind == "kafka" {
		s.args = append(s.args, "--controller-port", fmt.Sprint(quietPort(t)))
	}
	t.Cleanup(s.stop)
	return s
}

// quietPort finds a free port below the range from which outgoing connections
// get theirs: a client that tries an address of that range again and again, as
// one does whose server is away, ends up connected to itself.
func quietPort(t *testing.T) int {
	t.Helper()
	for range 100 {
		port := 20000 + rand.IntN(12000)
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			l.Close()
			return port
		}
	}
	t.Fatal("no port is free")
	return 0
}

// start starts the server and waits until it answers.
func (s *ownServer) start() {
	s.t.Helper()
	s.cmd = exec.Command("../../scripts/"+s.kind, append(s.args, "--data", s.data)...)
	s.cmd.Env = append(os.Environ(), "PARLEY_KAFKA=", "PARLEY_REDIS=", "KAFKA_HEAP_OPTS=-Xms128m -Xmx512m")
	s.cmd.Stderr = s.output
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	exited := make(chan struct{})
	s.exited = exited
	go func(cmd *exec.Cmd) { cmd.Wait(); close(exited) }(s.cmd)
	if err != nil {
		<-exited
		s.t.Fatalf("scripts/%s does not start its server: %s", s.kind, s.output)
	}
	_, rest, found := strings.Cut(line, " pid ")
	if _, err := fmt.Sscan(rest, &s.pid); !found || err != nil {
		s.t.Fatalf("scripts/%s does not say which process its server is: %s", s.kind, line)
	}
}

// kill ends the server as a crash does.
func (s *ownServer) kill() {
	s.t.Helper()
	s.signal(syscall.SIGKILL)
	<-s.exited
	s.pid = 0
}

// freeze stops the server without ending it: it keeps its connections and
// answers nothing until it is thawed.
func (s *ownServer) freeze() { s.t.Helper(); s.signal(syscall.SIGSTOP) }
func (s *ownServer) thaw()   { s.t.Helper(); s.signal(syscall.SIGCONT) }

func (s *ownServer) signal(sig syscall.Signal) {
	s.t.Helper()
	if err := syscall.Kill(s.pid, sig); err != nil {
		s.t.Fatalf("%v to %s: %v", sig, s.kind, err)
	}
}

// forget throws away what the server has kept; it must not run.
func (s *ownServer) forget() { s.data = s.t.TempDir() }

// stop ends the server at the end of its test.
func (s *ownServer) stop() {
	if s.pid == 0 {
		return
	}
	syscall.Kill(s.pid, syscall.SIGCONT)
	s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.exited:
	case <-time.After(20 * time.Second):
		s.t.Errorf("scripts/%s did not end within 20 s of SIGTERM", s.kind)
		syscall.Kill(s.pid, syscall.SIGKILL)
		<-s.exited
	}
}
