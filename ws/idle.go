package ws

// A pong as clients send it: its first byte, and the bits of its second that are not its
// length.
const (
	pongFrame = 0x8a
	masked    = 0x80
	// controlMost is how long the payload of a control frame may be.
	controlMost = 125
)

// awaitMessage waits until a frame begins that is no pong. The library would do that too, and
// the pongs of idle sockets are nearly all that comes; but it waits on a stack that is twice
// as deep. The runtime gives back half of a stack of which less than a quarter is in use,
// guard included: idle sockets keep 4 KiB of it each in this way, else 8.
func (c *conn) awaitMessage() error {
	for {
		head, err := c.frames.Peek(2)
		if err != nil {
			return err
		}
		size := int(head[1]) - masked
		if head[0] != pongFrame || size < 0 || size > controlMost {
			return nil
		}
		// Two bytes, the mask of four, and what our ping had.
		if _, err := c.frames.Discard(2 + 4 + size); err != nil {
			return err
		}
		c.pong()
	}
}
