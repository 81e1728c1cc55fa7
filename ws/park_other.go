//go:build !linux

package ws

import (
	"errors"
	"syscall"
)

// poller is there on Linux only: elsewhere an idle socket keeps its reader.
type poller struct{}

func newPoller() (*poller, error) { return nil, errors.ErrUnsupported }

func (*poller) arm(syscall.RawConn, uint64, bool) error { return errors.ErrUnsupported }
func (*poller) run(func(uint64))                        {}
func (*poller) close()                                  {}
