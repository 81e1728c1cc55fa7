package client

import (
	"encoding/base64"

	"github.com/go-json-experiment/json/jsontext"
)

// Bytes is the JSON that stands for bytes, as params: {"$bytes":"…"}. The service
// gets the bytes themselves.
func Bytes(b []byte) []byte {
	dst := make([]byte, 0, 13+base64.StdEncoding.EncodedLen(len(b)))
	dst = append(dst, `{"$bytes":"`...)
	dst = base64.StdEncoding.AppendEncode(dst, b)
	return append(dst, `"}`...)
}

// FromBytes answers the bytes that a result or a part stands for, and whether it
// stands for bytes at all.
func FromBytes(json []byte) ([]byte, bool) {
	p := newParser()
	defer p.release()
	var name, value []byte
	members := 0
	err := p.each(json, func(n, v []byte) { name, value, members = n, v, members+1 })
	if err != nil || members != 1 || string(unquote(name)) != "$bytes" || jsontext.Value(value).Kind() != '"' {
		return nil, false
	}
	b, err := base64.StdEncoding.AppendDecode(nil, unquote(value))
	return b, err == nil
}
