package bench

import (
	"bytes"
	"fmt"
	"strings"
)

// Payload is what requests carry: a JSON object with a nonce, padded to a
// size.
//
//	{"nonce":"9f86d081884c7d65","pad":"xxxxxxxx"}
//
// It is written and recognised without parsing: the nonce alone differs.
type Payload struct {
	template []byte
	seed     uint64
}

const (
	nonceAt = len(`{"nonce":"`)
	nonceTo = nonceAt + 16
	// MinPayload is the size of a payload without padding.
	MinPayload = nonceTo + len(`","pad":""}`)
)

// NewPayload makes payloads of a size in bytes. Two seeds make different ones.
func NewPayload(size int, seed uint64) (*Payload, error) {
	if size < MinPayload {
		return nil, fmt.Errorf("a payload of %d bytes has no room for a nonce: %d at least", size, MinPayload)
	}
	pad := strings.Repeat("x", size-MinPayload)
	return &Payload{[]byte(`{"nonce":"0000000000000000","pad":"` + pad + `"}`), seed}, nil
}

// Write puts the payload of a lane's request into b, which it makes longer
// where it is too short.
func (p *Payload) Write(b []byte, lane int, id uint64) []byte {
	b = append(b[:0], p.template...)
	p.nonce(b[nonceAt:nonceTo], lane, id)
	return b
}

// Is tells whether b is the payload of this request of this lane.
func (p *Payload) Is(b []byte, lane int, id uint64) bool {
	if len(b) != len(p.template) {
		return false
	}
	var want [16]byte
	p.nonce(want[:], lane, id)
	return bytes.Equal(b[nonceAt:nonceTo], want[:]) &&
		bytes.Equal(b[:nonceAt], p.template[:nonceAt]) &&
		bytes.Equal(b[nonceTo:], p.template[nonceTo:])
}

// nonce writes 16 hexadecimal digits that no other request of the run has: a
// bijection (the finish of splitmix64) of lane and id.
func (p *Payload) nonce(b []byte, lane int, id uint64) {
	z := p.seed + uint64(lane)<<40 + id
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	z ^= z >> 31
	for i := range b {
		b[i] = "0123456789abcdef"[z>>60]
		z <<= 4
	}
}
