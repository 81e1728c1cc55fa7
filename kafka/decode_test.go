package kafka

import (
	"reflect"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"parley/routing"
)

func headers(pairs ...string) (all []kgo.RecordHeader) {
	for i := 0; i < len(pairs); i += 2 {
		all = append(all, kgo.RecordHeader{Key: pairs[i], Value: []byte(pairs[i+1])})
	}
	return all
}

// A reply says what its headers say; what makes no sense is ignored.
func TestDecode(t *testing.T) {
	for name, c := range map[string]struct {
		record kgo.Record
		want   routing.Reply
		drop   routing.Drop
	}{
		"by header": {
			record: kgo.Record{Key: []byte("other"), Value: []byte("b"), Headers: headers(RequestIDHeader, "id", "Content-Type", "text/plain", "x-a", "1", "x-b", "2")},
			want: routing.Reply{ID: "id", Final: true, Body: []byte("b"), ContentType: "text/plain",
				Headers: []routing.Header{{Key: "x-a", Value: []byte("1")}, {Key: "x-b", Value: []byte("2")}}},
		},
		"by key":          {record: kgo.Record{Key: []byte("id")}, want: routing.Reply{ID: "id", Final: true}},
		"part":            {record: kgo.Record{Key: []byte("id"), Headers: headers(FinalHeader, "false")}, want: routing.Reply{ID: "id"}},
		"numbered part":   {record: kgo.Record{Key: []byte("id"), Headers: headers(FinalHeader, "false", PartHeader, "0")}, want: routing.Reply{ID: "id", Place: 1}},
		"numbered final":  {record: kgo.Record{Key: []byte("id"), Headers: headers(PartHeader, "7")}, want: routing.Reply{ID: "id", Final: true, Place: 8}},
		"negative part":   {record: kgo.Record{Key: []byte("id"), Headers: headers(FinalHeader, "false", PartHeader, "-1")}, want: routing.Reply{ID: "id"}},
		"huge part":       {record: kgo.Record{Key: []byte("id"), Headers: headers(FinalHeader, "false", PartHeader, "1073741824")}, want: routing.Reply{ID: "id"}},
		"final":           {record: kgo.Record{Key: []byte("id"), Headers: headers(FinalHeader, "true")}, want: routing.Reply{ID: "id", Final: true}},
		"strange final":   {record: kgo.Record{Key: []byte("id"), Headers: headers(FinalHeader, "?")}, want: routing.Reply{ID: "id", Final: true}},
		"status":          {record: kgo.Record{Key: []byte("id"), Headers: headers(StatusHeader, "418")}, want: routing.Reply{ID: "id", Final: true, Status: 418}},
		"bad status":      {record: kgo.Record{Key: []byte("id"), Headers: headers(StatusHeader, "teapot")}, want: routing.Reply{ID: "id", Final: true}},
		"huge status":     {record: kgo.Record{Key: []byte("id"), Headers: headers(StatusHeader, "600")}, want: routing.Reply{ID: "id", Final: true}},
		"interim status":  {record: kgo.Record{Key: []byte("id"), Headers: headers(StatusHeader, "101")}, want: routing.Reply{ID: "id", Final: true}},
		"copied headers":  {record: kgo.Record{Key: []byte("id"), Headers: headers(ServiceHeader, "orders", DeadlineHeader, "1")}, want: routing.Reply{ID: "id", Final: true}},
		"neither":         {record: kgo.Record{Value: []byte("lost")}, drop: routing.DropNoCorrelation},
		"empty header":    {record: kgo.Record{Headers: headers(RequestIDHeader, "")}, drop: routing.DropNoCorrelation},
		"header over key": {record: kgo.Record{Key: []byte("k"), Headers: headers(RequestIDHeader, "")}, want: routing.Reply{ID: "k", Final: true}},
		"error, which is final": {
			record: kgo.Record{Key: []byte("id"), Headers: headers(ErrorCodeHeader, "sold_out", ErrorMessageHeader, "none left", FinalHeader, "false")},
			want:   routing.Reply{ID: "id", Final: true, Err: &routing.ServiceError{Code: "sold_out", Message: "none left"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var got routing.Reply
			if drop := decodeReply(&c.record, &got); drop != c.drop {
				t.Fatalf("drop %q, want %q", drop, c.drop)
			}
			if got.From = (routing.RecordAt{}); c.drop == "" && !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
}

// Where a reply stands, and its time, are the record's.
func TestDecodePlace(t *testing.T) {
	at := time.UnixMilli(1764000000123)
	var got routing.Reply
	decodeReply(&kgo.Record{Key: []byte("id"), Topic: "t", Partition: 3, Offset: 9, Timestamp: at}, &got)
	if got.From != (routing.RecordAt{Topic: "t", Partition: 3, Offset: 9}) || !got.Stamp.Equal(at) {
		t.Errorf("got %+v", got)
	}
}

// No record, however strange, breaks the decoder, and none without a name gets
// through.
func FuzzDecodeReply(f *testing.F) {
	f.Add([]byte("id"), []byte("body"), RequestIDHeader, []byte("id"), StatusHeader, []byte("200"))
	f.Add([]byte(nil), []byte(nil), FinalHeader, []byte("false"), ErrorCodeHeader, []byte("x"))
	f.Add([]byte{0, 255}, []byte{255}, "", []byte(nil), "CONTENT-TYPE", []byte{0})
	f.Fuzz(func(t *testing.T, key, value []byte, h1 string, v1 []byte, h2 string, v2 []byte) {
		var r routing.Reply
		drop := decodeReply(&kgo.Record{Key: key, Value: value, Headers: []kgo.RecordHeader{{Key: h1, Value: v1}, {Key: h2, Value: v2}}}, &r)
		switch {
		case (drop == "") != (r.ID != ""):
			t.Errorf("drop %q and id %q", drop, r.ID)
		case string(r.Body) != string(value):
			t.Errorf("the body changed")
		case r.Status != 0 && (r.Status < 200 || r.Status > 599):
			t.Errorf("status %d", r.Status)
		case r.Err != nil && !r.Final && drop == "":
			t.Errorf("an error that is not final")
		}
		for _, h := range r.Headers {
			if ReservedHeader(h.Key) && h.Key[:min(7, len(h.Key))] == ownPrefix {
				t.Errorf("%s leaked", h.Key)
			}
		}
	})
}
