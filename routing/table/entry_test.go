package table

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
	"time"

	"parley/routing"
)

// Every reply comes back as it was, the empty and the absent told apart.
func TestReplyComesBack(t *testing.T) {
	for name, r := range map[string]routing.Reply{
		"empty": {},
		"full": {
			ID: "s.1", Final: true, Status: -1, Err: &routing.ServiceError{Code: "c", Message: "m"}, ContentType: "text/plain",
			Headers: []routing.Header{{Key: "a", Value: []byte("b")}, {Key: "nil"}, {Value: []byte{}}}, Body: []byte{0, 1, 255},
			From: routing.RecordAt{Topic: "t", Partition: -1, Offset: 1 << 60}, Stamp: time.UnixMilli(-5), Consumed: time.Unix(0, 7), ConsumedBy: "b",
		},
		"part":       {ID: "s.1", Place: 1 << 30, Body: []byte("b")},
		"plain part": {ID: "s.1", After: 1 << 62, From: routing.RecordAt{Topic: "t", Offset: 1 << 62}, ConsumedBy: "b"},
		"empty body": {Body: []byte{}},
	} {
		got, err := DecodeReply(AppendReply([]byte{}, &r, r.Consumed))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !reflect.DeepEqual(*got, r) {
			t.Errorf("%s:\n got %+v\nwant %+v", name, *got, r)
		}
	}
}

// Nothing that stands in Redis can make a node panic, and what is read as a
// reply is one that can be written again.
func FuzzDecodeReply(f *testing.F) {
	whole := AppendReply(nil, &routing.Reply{ID: "s.1", Err: &routing.ServiceError{}, Headers: []routing.Header{{Key: "k"}}, Body: []byte("b"), Stamp: time.Unix(1, 0)}, time.Time{})
	f.Add(whole)
	f.Add(whole[:len(whole)-3])
	f.Add([]byte{entryVersion, 0xff})
	f.Add([]byte{2})
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := DecodeReply(data)
		if err != nil {
			return
		}
		again := AppendReply(nil, r, r.Consumed)
		twice, err := DecodeReply(again)
		if err != nil {
			t.Fatalf("what was read cannot be read again: %v", err)
		}
		if !bytes.Equal(again, AppendReply(nil, twice, twice.Consumed)) {
			t.Fatal("what was read twice differs")
		}
	})
}

// The same for what stands in a held list, behind what the scripts see of it.
func FuzzDecodeHeld(f *testing.F) {
	whole := appendHeld(nil, &routing.Reply{ID: "abcdefghijklmnopqrstuv.7ab", From: routing.RecordAt{Topic: "t", Partition: 1, Offset: 2}, Body: []byte(" ")}, time.Time{})
	if !bytes.HasPrefix(whole, []byte("7 t/1/2 \x01")) {
		f.Fatalf("%q", whole)
	}
	f.Add(whole)
	f.Add([]byte("7 "))
	f.Add([]byte("7 t/1/2 "))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := DecodeHeld(data)
		if err != nil {
			return
		}
		again, err := DecodeHeld(appendHeld(nil, r, r.Consumed))
		if strings.Contains(r.From.Topic, " ") {
			return // which no topic's name does
		}
		if err != nil || !bytes.Equal(AppendReply(nil, again, again.Consumed), AppendReply(nil, r, r.Consumed)) {
			t.Fatalf("what was read twice differs: %v", err)
		}
	})
}

// A row comes back as it was, whatever its client calls it.
func FuzzRow(f *testing.F) {
	f.Add("r:1", "orders 2025-11-24T16:00:00.123Z 00000000000000ff 1")
	f.Add("r:2", "orders;trace;headers 2025-11-24T16:00:00.123Z 00000000000000ff \"two\"")
	f.Add("r:18446744073709551615", "a 2025-11-24T16:00:00.123Z ffffffffffffffff a b ")
	f.Add("r:2", "orders 2025-11-24T16:00:00.123Z 00000000000000ff;3;replies/2/99 1")
	f.Add("r:2", "orders 2025-11-24T16:00:00.123Z 00000000000000ff;3+5;replies/2/99 1")
	f.Add("x", "")
	f.Fuzz(func(t *testing.T, field, text string) {
		row, err := parseRow("s", field, text)
		if err != nil {
			return
		}
		again, err := parseRow("s", rowField(row.N), rowText(row, row.Deadline))
		if err != nil || !reflect.DeepEqual(again, row) {
			t.Fatalf("%v, %v: not %v", again, err, row)
		}
	})
}
