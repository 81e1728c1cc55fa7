package main

import (
	"context"
	"net"
	"time"
)

// dialer connects to a server.
type dialer func(ctx context.Context, network, addr string) (net.Conn, error)

// anyway makes a dialer that does not fail: in place of a connection that cannot be
// had, it answers one on which nothing works, with the same error.
//
// go-redis counts the dials that fail. After as many as the pool may have connections
// it answers all who want one with the last error, and looks once a second whether the
// server is back. An outage would last up to a second longer for that. Whoever wants a
// connection here has its own pauses between its tries, so there is nothing to spare.
func (d dialer) anyway(ctx context.Context, network, addr string) (net.Conn, error) {
	conn, err := d(ctx, network, addr)
	if err != nil {
		return noConn{err}, nil
	}
	return conn, nil
}

// noConn is a connection that could not be made.
type noConn struct{ err error }

func (c noConn) Read([]byte) (int, error)       { return 0, c.err }
func (c noConn) Write([]byte) (int, error)      { return 0, c.err }
func (noConn) Close() error                     { return nil }
func (noConn) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (noConn) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (noConn) SetDeadline(time.Time) error      { return nil }
func (noConn) SetReadDeadline(time.Time) error  { return nil }
func (noConn) SetWriteDeadline(time.Time) error { return nil }
