package ws

import (
	"encoding/binary"
	"slices"
)

// A server's frames are so simple (no mask, no fragments) that they are made
// here: several messages go into one buffer and one system call, where the
// library would make a call for each.
const (
	opText  = 0x81 // final, text
	opClose = 0x88
	opPing  = 0x89
	opPong  = 0x8a

	headRoom = 4 // the length of the header of a frame from 126 to 65,535 bytes
)

var pingFrame = []byte{opPing, 0}

// appendFrame appends an item as a frame; nothing for an item that this client
// does not get.
func appendFrame(dst []byte, i *item, v1 bool, s *Server) []byte {
	dst = slices.Grow(dst, i.cost())
	start := len(dst)
	dst = append(dst, make([]byte, headRoom)...)
	switch i.kind {
	case control:
		return append(dst[:start], i.text...)
	case text:
		dst = append(dst, i.text...)
	case answers:
		dst = i.batch.append(dst, s)
	case delivery:
		if i.d.Part && !v1 {
			return dst[:start]
		}
		dst = s.appendDelivery(dst, &i.d, v1)
	}
	return seal(dst, start)
}

// seal gives the text from start on, before which headRoom is left, its header.
func seal(dst []byte, start int) []byte {
	n := len(dst) - start - headRoom
	switch {
	case n < 126:
		copy(dst[start+2:], dst[start+headRoom:])
		dst = dst[:len(dst)-2]
		dst[start+1] = byte(n)
	case n <= 0xffff:
		dst[start+1] = 126
		binary.BigEndian.PutUint16(dst[start+2:], uint16(n))
	default:
		dst = append(dst, 0, 0, 0, 0, 0, 0)
		copy(dst[start+10:], dst[start+headRoom:])
		dst[start+1] = 127
		binary.BigEndian.PutUint64(dst[start+2:], uint64(n))
	}
	dst[start] = opText
	return dst
}

// appendPong appends the answer to a ping with this payload, which its sender has masked.
func appendPong(dst, payload, mask []byte) []byte {
	dst = append(dst, opPong, byte(len(payload)))
	for i, b := range payload {
		dst = append(dst, b^mask[i%4])
	}
	return dst
}

// appendClose appends a close frame.
func appendClose(dst []byte, why *closing) []byte {
	dst = append(dst, opClose, byte(2+len(why.reason)))
	dst = binary.BigEndian.AppendUint16(dst, uint16(why.code))
	return append(dst, why.reason...)
}
