package client

import (
	"encoding/binary"
	"math/rand/v2"
)

// A client's text frames are made here, many in one buffer and one system call,
// where the library would make a call for each. Control frames are the library's,
// but for the close frame that says that we move.
const (
	opText  = 0x81 // final, text
	opClose = 0x88
	masked  = 0x80
)

// appendFrame appends a payload as one masked frame.
func appendFrame(dst []byte, op byte, payload []byte) []byte {
	return appendMasked(dst, op, payload, rand.Uint32())
}

func appendMasked(dst []byte, op byte, payload []byte, key uint32) []byte {
	switch n := len(payload); {
	case n < 126:
		dst = append(dst, op, masked|byte(n))
	case n <= 0xffff:
		dst = binary.BigEndian.AppendUint16(append(dst, op, masked|126), uint16(n))
	default:
		dst = binary.BigEndian.AppendUint64(append(dst, op, masked|127), uint64(n))
	}
	dst = binary.LittleEndian.AppendUint32(dst, key)
	start := len(dst)
	dst = append(dst, payload...)
	mask(dst[start:], key)
	return dst
}

// mask applies the key in place, eight bytes at a time.
func mask(b []byte, key uint32) {
	twice := uint64(key)<<32 | uint64(key)
	for ; len(b) >= 8; b = b[8:] {
		binary.LittleEndian.PutUint64(b, binary.LittleEndian.Uint64(b)^twice)
	}
	for i := range b {
		b[i] ^= byte(key >> (8 * i % 32))
	}
}
