package ws

import (
	"os"
	"syscall"
)

// poller tells when sockets can be read: an epoll, beside the runtime's, which wakes
// goroutines only. The runtime's in turn tells when this one has something to say, so that
// no thread waits for it.
type poller struct {
	fd   int
	file *os.File // the same
}

func newPoller() (*poller, error) {
	fd, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	if err := syscall.SetNonblock(fd, true); err != nil { // else the runtime does not poll it
		_ = syscall.Close(fd)
		return nil, os.NewSyscallError("fcntl", err)
	}
	return &poller{fd, os.NewFile(uintptr(fd), "epoll")}, nil
}

// arm asks to be told once of a socket that can be read, or whose peer has closed it. A
// socket that is closed here is forgotten by the kernel itself.
func (p *poller) arm(socket syscall.RawConn, id uint64, again bool) error {
	op := syscall.EPOLL_CTL_ADD
	if again {
		op = syscall.EPOLL_CTL_MOD
	}
	event := syscall.EpollEvent{
		Events: syscall.EPOLLIN | syscall.EPOLLRDHUP | syscall.EPOLLONESHOT,
		Fd:     int32(id), Pad: int32(id >> 32), // no more than what it is told of with
	}
	var err error
	// Within Control no other socket can get this one's number.
	if gone := socket.Control(func(fd uintptr) { err = syscall.EpollCtl(p.fd, op, int(fd), &event) }); gone != nil {
		return gone
	}
	return os.NewSyscallError("epoll_ctl", err)
}

// run tells of sockets until close is called.
func (p *poller) run(tell func(id uint64)) {
	raw, err := p.file.SyscallConn()
	if err != nil {
		return
	}
	events := make([]syscall.EpollEvent, 128)
	for {
		n := 0
		if raw.Read(func(fd uintptr) bool { n = ready(int(fd), events); return n > 0 }) != nil {
			return
		}
		for _, e := range events[:n] {
			tell(uint64(uint32(e.Fd)) | uint64(uint32(e.Pad))<<32)
		}
	}
}

// ready asks for what there is to tell, and does not wait.
func ready(fd int, events []syscall.EpollEvent) int {
	for {
		n, err := syscall.EpollWait(fd, events, 0)
		if err != syscall.EINTR {
			return n
		}
	}
}

func (p *poller) close() { _ = p.file.Close() }
