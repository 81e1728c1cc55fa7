package table

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"parley/routing"
)

// entryVersion is the first byte of a reply in an inbox or a held list. A node
// refuses versions that it does not know, so that two releases can run side by
// side during an upgrade without misreading each other.
//
// After it come, in this order: a byte of flags; the request id; its place in a
// stream (if flagPlace); the status;
// the service's error code and message (if flagErr); content type; how many
// headers, and key and value of each; the body; topic, partition and offset of
// the record; its timestamp; when and by whom it was consumed; what is before it (if
// flagAfter). Numbers are
// varints (those that can be negative zigzag), texts a length and bytes, values
// that can be absent a length plus one (0: absent), times nanoseconds since
// 1970 (if their flag is set).
const entryVersion = 1

const (
	flagFinal = 1 << iota
	flagErr
	flagStamp
	flagConsumed
	flagPlace
	flagAfter
)

var errEntry = errors.New("not a reply")

// AppendReply appends a reply's encoding to buf, with consumed for when it was,
// by Redis's clock. Relayed, Receipt and Token are the reader's own and stay behind.
func AppendReply(buf []byte, r *routing.Reply, consumed time.Time) []byte {
	var flags byte
	if r.Final {
		flags |= flagFinal
	}
	if r.Err != nil {
		flags |= flagErr
	}
	if !r.Stamp.IsZero() {
		flags |= flagStamp
	}
	if !r.Consumed.IsZero() {
		flags |= flagConsumed
	}
	if r.Place > 0 {
		flags |= flagPlace
	}
	if r.After > 0 {
		flags |= flagAfter
	}
	buf = append(buf, entryVersion, flags)
	buf = appendText(buf, r.ID)
	if r.Place > 0 {
		buf = binary.AppendUvarint(buf, uint64(r.Place))
	}
	buf = binary.AppendVarint(buf, int64(r.Status))
	if r.Err != nil {
		buf = appendText(appendText(buf, r.Err.Code), r.Err.Message)
	}
	buf = appendText(buf, r.ContentType)
	buf = binary.AppendUvarint(buf, uint64(len(r.Headers)))
	for _, h := range r.Headers {
		buf = appendValue(appendText(buf, h.Key), h.Value)
	}
	buf = appendValue(buf, r.Body)
	buf = appendText(buf, r.From.Topic)
	buf = binary.AppendVarint(buf, int64(r.From.Partition))
	buf = binary.AppendVarint(buf, r.From.Offset)
	if flags&flagStamp != 0 {
		buf = binary.AppendVarint(buf, r.Stamp.UnixNano())
	}
	if flags&flagConsumed != 0 {
		buf = binary.AppendVarint(buf, consumed.UnixNano())
	}
	buf = appendText(buf, r.ConsumedBy)
	if r.After > 0 {
		buf = binary.AppendUvarint(buf, uint64(r.After))
	}
	return buf
}

func appendText[T ~string](buf []byte, text T) []byte {
	return append(binary.AppendUvarint(buf, uint64(len(text))), text...)
}

func appendValue(buf, value []byte) []byte {
	if value == nil {
		return append(buf, 0)
	}
	return append(binary.AppendUvarint(buf, uint64(len(value))+1), value...)
}

// DecodeReply undoes AppendReply, and leaves the clock as it is. The reply's body and headers point into data.
// The error says that data is no reply, or one of a release that this one does
// not know.
func DecodeReply(data []byte) (*routing.Reply, error) {
	if len(data) < 2 {
		return nil, errEntry
	}
	if data[0] != entryVersion {
		return nil, fmt.Errorf("%w of a version that this node knows: %d", errEntry, data[0])
	}
	flags, d := data[1], decoder{rest: data[2:]}
	r := &routing.Reply{Final: flags&flagFinal != 0}
	r.ID = routing.RequestID(d.text())
	if flags&flagPlace != 0 {
		r.Place = int(min(d.unsigned(), 1<<30))
	}
	r.Status = int(d.signed())
	if flags&flagErr != 0 {
		r.Err = &routing.ServiceError{Code: d.text(), Message: d.text()}
	}
	r.ContentType = d.text()
	r.Headers = d.headers()
	r.Body = d.value()
	r.From = routing.RecordAt{Topic: d.text(), Partition: int32(d.signed()), Offset: d.signed()}
	if flags&flagStamp != 0 {
		r.Stamp = time.Unix(0, d.signed())
	}
	if flags&flagConsumed != 0 {
		r.Consumed = time.Unix(0, d.signed())
	}
	r.ConsumedBy = routing.NodeID(d.text())
	if flags&flagAfter != 0 {
		r.After = int64(d.unsigned())
	}
	if d.bad || len(d.rest) > 0 {
		return nil, errEntry
	}
	return r, nil
}

// decoder takes values off the front of rest. After the first that is not
// there, bad is set and all others are empty.
type decoder struct {
	rest []byte
	bad  bool
}

func (d *decoder) unsigned() uint64 {
	v, n := binary.Uvarint(d.rest)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.rest = d.rest[n:]
	return v
}

func (d *decoder) signed() int64 {
	v, n := binary.Varint(d.rest)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.rest = d.rest[n:]
	return v
}

// bytes takes the next length bytes. Their capacity ends with them, so that who
// appends to them does not overwrite what follows.
func (d *decoder) bytes(length uint64) []byte {
	if length > uint64(len(d.rest)) {
		d.fail()
		return nil
	}
	b := d.rest[:length:length]
	d.rest = d.rest[length:]
	return b
}

func (d *decoder) text() string { return string(d.bytes(d.unsigned())) }

func (d *decoder) value() []byte {
	length := d.unsigned()
	if length == 0 {
		return nil
	}
	return d.bytes(length - 1)
}

func (d *decoder) headers() []routing.Header {
	count := d.unsigned()
	if count > uint64(len(d.rest))/2 { // each takes two bytes at least
		d.fail()
		return nil
	}
	if count == 0 {
		return nil
	}
	headers := make([]routing.Header, count)
	for i := range headers {
		headers[i] = routing.Header{Key: d.text(), Value: d.value()}
	}
	return headers
}

func (d *decoder) fail() { d.rest, d.bad = nil, true }
