package routing

import (
	"encoding/json"
	"testing"
	"time"
)

// A trace shows what its owner knows of a request's way, and nothing else.
func TestTraceAsJSON(t *testing.T) {
	at := time.UnixMilli(1764000000000).Add(123 * time.Microsecond)
	full := &Trace{
		ID: "s.1abc", Node: "a", Service: "orders", Path: PathRelay, ConsumedBy: "b",
		Request: RecordAt{"orders.requests", 3, 12}, Reply: RecordAt{"parley.replies", 0, 99},
		Submitted: at, Accepted: at, Replied: at, Consumed: at, Relayed: at, Pushed: at,
	}
	timedOut := &Trace{
		ID: "s.2", Node: "a", Service: "orders", Submitted: at,
		Request: RecordAt{Partition: NoPartition}, Reply: RecordAt{Partition: NoPartition},
	}
	for _, c := range []struct {
		trace *Trace
		json  string
	}{
		{full, `{"request":"s.1abc","node":"a","service":"orders","path":"relay",` +
			`"requestRecord":{"topic":"orders.requests","partition":3,"offset":12},"replyRecord":{"topic":"parley.replies","partition":0,"offset":99},"consumedBy":"b",` +
			`"at":{"submitted":1764000000000.123,"accepted":1764000000000.123,"replied":1764000000000.123,"consumed":1764000000000.123,"relayed":1764000000000.123,"pushed":1764000000000.123}}`},
		{timedOut, `{"request":"s.2","node":"a","service":"orders","at":{"submitted":1764000000000.123}}`},
	} {
		got, err := json.Marshal(c.trace)
		if err != nil || string(got) != c.json {
			t.Errorf("got  %s, %v\nwant %s", got, err, c.json)
		}
	}
}
