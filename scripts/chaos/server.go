package main

import (
	"fmt"
	"net"
	"path/filepath"
	"regexp"
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
	logFile string
	address string

	script *process
	pid    int        // of the server itself; the script is its parent
	busy   sync.Mutex // held while something is done to it
}

func newKafka(scripts, dir string, nodes []*proxy) (*server, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	controller, err := freePort()
	if err != nil {
		return nil, err
	}
	s := &server{
		name: "kafka", logFile: filepath.Join(dir, "kafka.log"), address: fmt.Sprintf("127.0.0.1:%d", port),
		command: []string{
			filepath.Join(scripts, "kafka"), "--port", strconv.Itoa(port), "--controller-port", strconv.Itoa(controller),
			"--data", filepath.Join(dir, "kafka"),
		},
	}
	// Kafka tells its clients where to connect. Each node has a listener of its
	// own, which tells it to come by way of its own proxy.
	listeners := "PLAINTEXT://" + s.address + ",CONTROLLER://127.0.0.1:" + strconv.Itoa(controller)
	advertised, protocols := "PLAINTEXT://"+s.address, "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT"
	for i, p := range nodes {
		own, err := freePort()
		if err != nil {
			return nil, err
		}
		p.target = fmt.Sprintf("127.0.0.1:%d", own)
		name := fmt.Sprintf("NODE%d", i)
		listeners += "," + name + "://" + p.target
		advertised += "," + name + "://" + p.address()
		protocols += "," + name + ":PLAINTEXT"
	}
	for _, setting := range []string{
		"listeners=" + listeners, "advertised.listeners=" + advertised, "listener.security.protocol.map=" + protocols,
		"inter.broker.listener.name=PLAINTEXT",
	} {
		s.command = append(s.command, "--set", setting)
	}
	return s, nil
}

func newRedis(scripts, dir string) (*server, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	return &server{
		name: "redis", logFile: filepath.Join(dir, "redis.log"), address: fmt.Sprintf("127.0.0.1:%d", port),
		command: []string{filepath.Join(scripts, "redis"), "--port", strconv.Itoa(port)},
	}, nil
}

var pidOf = regexp.MustCompile(` pid (\d+) `)

// start runs the server and waits until it is ready.
func (s *server) start() error {
	script, line, err := startProcess(s.logFile, 3*time.Minute, nil, s.command...)
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

// freeze stops the server in its tracks for a while.
func (s *server) freeze(d time.Duration) {
	syscall.Kill(s.pid, syscall.SIGSTOP)
	time.Sleep(d)
	syscall.Kill(s.pid, syscall.SIGCONT)
}

// kill ends the server the hard way, and waits for its end. Kafka's data stays.
func (s *server) kill() {
	if s.script.lives() {
		syscall.Kill(s.pid, syscall.SIGKILL)
		<-s.script.ended
	}
}

func (s *server) stop() {
	if s != nil && s.script != nil {
		s.script.stop(20 * time.Second)
	}
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
