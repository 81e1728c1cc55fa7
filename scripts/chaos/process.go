package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// process is one that this program has started, and is therefore its to stop,
// freeze and kill. Its methods may be called from any goroutine.
type process struct {
	cmd   *exec.Cmd
	log   *os.File
	ended chan struct{} // closed when it has been waited for
}

// startProcess runs a command, its standard error (and, without ready, its
// standard output) appended to a file. With ready it waits for the first line of
// the output, and answers that.
func startProcess(logFile string, ready time.Duration, env []string, command ...string) (*process, string, error) {
	log, err := os.OpenFile(logFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, "", err
	}
	p := &process{cmd: exec.Command(command[0], command[1:]...), log: log, ended: make(chan struct{})}
	p.cmd.Stderr = log
	p.cmd.Env = append(os.Environ(), env...)
	// A Ctrl-C in the terminal is ours to hand on, in the right order.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	var out io.ReadCloser
	if ready > 0 {
		if out, err = p.cmd.StdoutPipe(); err != nil {
			return nil, "", err
		}
	} else {
		p.cmd.Stdout = log
	}
	if err := p.cmd.Start(); err != nil {
		log.Close()
		return nil, "", err
	}
	line := make(chan string, 1)
	go p.wait(out, line)
	if ready == 0 {
		return p, "", nil
	}
	select {
	case first, ok := <-line:
		if ok {
			return p, first, nil
		}
	case <-time.After(ready):
	}
	p.kill()
	return nil, "", fmt.Errorf("%s did not become ready; its log is %s", command[0], logFile)
}

// wait reads what the process prints and waits for its end.
func (p *process) wait(out io.Reader, first chan<- string) {
	var reading sync.WaitGroup
	if out != nil {
		lines := bufio.NewScanner(out)
		if lines.Scan() {
			first <- lines.Text()
		}
		close(first)
		reading.Go(func() { io.Copy(io.Discard, out) })
	}
	reading.Wait()
	p.cmd.Wait()
	p.log.Close()
	close(p.ended)
}

func (p *process) lives() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

func (p *process) signal(s syscall.Signal) {
	if p.lives() {
		p.cmd.Process.Signal(s)
	}
}

// kill ends the process the hard way and waits for its end.
func (p *process) kill() {
	p.signal(syscall.SIGKILL)
	<-p.ended
}

// stop asks the process to end, waits, and kills it when that takes too long.
func (p *process) stop(patience time.Duration) {
	p.signal(syscall.SIGCONT)
	p.signal(syscall.SIGTERM)
	select {
	case <-p.ended:
	case <-time.After(patience):
		p.kill()
	}
}
