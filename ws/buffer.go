package ws

import (
	"io"
	"sync"
)

// buffer is what a message is read into, while it is being read and dealt with:
// an idle socket has none.
type buffer struct{ b []byte }

var frames = sync.Pool{New: func() any { return &buffer{make([]byte, 0, 4096)} }}

const keepBuffer = 64 << 10 // a buffer that has grown larger is not kept

func (b *buffer) release() {
	if cap(b.b) <= keepBuffer {
		b.b = b.b[:0]
		frames.Put(b)
	}
}

// fill reads all of r, and calls tooBig once when that is more than limit
// bytes, of which the rest is thrown away.
func (b *buffer) fill(r io.Reader, limit int, tooBig func()) error {
	for {
		if len(b.b) == cap(b.b) {
			b.b = append(b.b, 0)[:len(b.b)]
		}
		n, err := r.Read(b.b[len(b.b):cap(b.b)])
		b.b = b.b[:len(b.b)+n]
		if len(b.b) > limit {
			tooBig()
			_, err = io.Copy(io.Discard, r)
			return err
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
