package ws

// Control frames as clients send them: the first byte, and the bit of the second that is
// not their length.
const (
	pingFromClient = 0x89
	pongFromClient = 0x8a
	masked         = 0x80
	// controlMost is how long the payload of a control frame may be.
	controlMost = 125
)

// awaitMessage waits until a frame begins that is no ping and no pong. The library would do
// that too, and they are nearly all that idle sockets have to say; but a reader that waits
// in the library can neither park its socket, nor do with a small stack.
func (c *conn) awaitMessage() error {
	w := c.wire
	for {
		w.line.between = w.frames.Buffered() == 0
		head, err := w.frames.Peek(2)
		w.line.between = false
		switch {
		case err == errQuiet && w.frames.Buffered() > 0:
			continue // but a byte has come
		case err != nil:
			return err
		}
		size := int(head[1]) - masked
		if head[0] != pingFromClient && head[0] != pongFromClient || size < 0 || size > controlMost {
			if c.brief {
				c.stay()
			}
			return nil
		}
		if err := c.takeEcho(size); err != nil {
			return err
		}
		if c.brief && w.frames.Buffered() == 0 {
			return errQuiet
		}
	}
}

// takeEcho deals with a ping, or with the pong that answers one of ours, that has so many
// bytes of payload.
func (c *conn) takeEcho(size int) error {
	const head = 2 + 4 // and the mask
	frame, err := c.wire.frames.Peek(head + size)
	if err != nil {
		return err
	}
	if frame[0] == pongFromClient {
		c.pong()
	} else {
		c.send(item{kind: control, text: appendPong(nil, frame[head:], frame[2:head])})
	}
	_, err = c.wire.frames.Discard(head + size)
	return err
}
