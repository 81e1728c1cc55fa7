package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
)

// Subprotocol is the door at which a client says hello and acknowledges.
const Subprotocol = "parley.v1"

// Gateway is the Transport over WebSocket to one or several gateway nodes.
type Gateway struct {
	URLs    []string // ws://host:port/ws; lanes take turns
	Service string   // which service is called
	Plain   bool     // the door without subprotocol: no hello, no acknowledgement
	Token   string   // sent in $/hello, "" for none

	turn atomic.Uint64
}

// Open dials the next node and, under parley.v1, says hello.
func (g *Gateway) Open(ctx context.Context) (Lane, error) {
	url := g.URLs[int(g.turn.Add(1)-1)%len(g.URLs)]
	options := &websocket.DialOptions{Subprotocols: []string{Subprotocol}}
	if g.Plain {
		options.Subprotocols = nil
	}
	conn, _, err := websocket.Dial(ctx, url, options)
	if err != nil {
		return nil, fmt.Errorf("open a socket: %w", err)
	}
	conn.SetReadLimit(-1)
	s := &socket{conn: conn, plain: g.Plain, tail: []byte(`,"method":"` + g.Service + `","params":`)}
	if g.Plain {
		return s, nil
	}
	if err := s.hello(ctx, g.Token); err != nil {
		conn.CloseNow()
		return nil, fmt.Errorf("say hello to %s: %w", url, err)
	}
	return s, nil
}

// socket is a Lane over one WebSocket.
type socket struct {
	conn  *websocket.Conn
	plain bool
	tail  []byte // what stands between a request's id and its payload

	out []byte // Send's: the request being written

	// Receive's.
	in    bytes.Buffer
	ack   []byte
	acked uint64        // the highest seq that was acknowledged
	when  time.Time     // then
	seq   atomic.Uint64 // the highest that was received; Close reads it
}

// A client acknowledges every so many messages or so often, whichever is
// sooner. There is no timer for it: a lane that receives nothing has little to
// acknowledge, and Close does the rest.
const (
	ackEvery = 32
	ackAfter = 250 * time.Millisecond
)

// background is what a live socket reads and writes with: a context that can
// be cancelled would cost the library an allocation and a lock each time.
var background = context.Background()

func (s *socket) hello(ctx context.Context, token string) error {
	hello := `{"jsonrpc":"2.0","method":"$/hello","params":{}}`
	if token != "" {
		hello = `{"jsonrpc":"2.0","method":"$/hello","params":{"token":` + strconv.Quote(token) + `}}`
	}
	if err := s.conn.Write(ctx, websocket.MessageText, []byte(hello)); err != nil {
		return err
	}
	for {
		f, err := s.read(ctx)
		if err != nil {
			return err
		}
		if string(f.method) == `"$/welcome"` {
			s.when = time.Now()
			return nil
		}
		if f.failure != nil {
			return errors.New(f.word())
		}
	}
}

func (s *socket) Send(id uint64, body []byte) error {
	s.out = append(s.out[:0], `{"jsonrpc":"2.0","id":`...)
	s.out = strconv.AppendUint(s.out, id, 10)
	s.out = append(s.out, s.tail...)
	s.out = append(s.out, body...)
	s.out = append(s.out, '}')
	return s.conn.Write(background, websocket.MessageText, s.out)
}

func (s *socket) Receive() (Answer, error) {
	for {
		f, err := s.read(background)
		if err != nil {
			return Answer{}, err
		}
		if seq, ok := number(f.seq); ok {
			s.seq.Store(seq)
			if err := s.acknowledge(seq, time.Now()); err != nil {
				return Answer{}, err
			}
		}
		if f.method != nil {
			continue // nothing that a request waits for
		}
		id, ok := number(f.id)
		if !ok && f.failure == nil {
			return Answer{}, fmt.Errorf("message without a number for an id: %.200s", s.in.Bytes())
		}
		if f.failure != nil {
			return Answer{ID: id, Word: f.word()}, nil
		}
		return Answer{ID: id, Body: f.result}, nil
	}
}

// read reads the next message. The frame points into s.in.
func (s *socket) read(ctx context.Context) (frame, error) {
	_, reader, err := s.conn.Reader(ctx)
	if err != nil {
		return frame{}, err
	}
	s.in.Reset()
	if _, err := io.Copy(&s.in, reader); err != nil {
		return frame{}, err
	}
	f, ok := parse(s.in.Bytes())
	if !ok {
		return frame{}, fmt.Errorf("not a message: %.200s", s.in.Bytes())
	}
	return f, nil
}

// acknowledge tells the gateway what has arrived, when that is due.
func (s *socket) acknowledge(seq uint64, now time.Time) error {
	if s.plain || seq == s.acked || seq-s.acked < ackEvery && now.Sub(s.when) < ackAfter {
		return nil
	}
	s.acked, s.when = seq, now
	s.ack = appendAck(s.ack[:0], seq)
	return s.conn.Write(background, websocket.MessageText, s.ack)
}

func appendAck(b []byte, seq uint64) []byte {
	b = append(b, `{"jsonrpc":"2.0","method":"$/ack","params":{"seq":`...)
	b = strconv.AppendUint(b, seq, 10)
	return append(b, "}}"...)
}

// Close acknowledges what has arrived and ends the session, so that the
// gateway need not keep it, and then the socket. The handshake of a polite
// close would wait for the peer, each lane in turn.
func (s *socket) Close() error {
	if !s.plain {
		ctx, cancel := context.WithTimeout(background, time.Second)
		defer cancel()
		if seq := s.seq.Load(); seq > 0 {
			s.conn.Write(ctx, websocket.MessageText, appendAck(nil, seq))
		}
		s.conn.Write(ctx, websocket.MessageText, []byte(`{"jsonrpc":"2.0","method":"$/bye"}`))
	}
	if err := s.conn.CloseNow(); !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil // the gateway has closed it, as it was asked to
}
