package routing

import (
	"encoding/json"
	"time"
)

// Trace tells how a request travelled, as far as its owner knows. Zero times
// and partitions of -1 are unknown.
type Trace struct {
	ID         RequestID
	Node       NodeID
	Service    string
	Request    RecordAt
	Reply      RecordAt
	ConsumedBy NodeID
	Path       Path

	Submitted, Accepted, Replied, Consumed, Relayed, Pushed time.Time
}

// MarshalJSON writes the trace as clients see it, through every door: what is
// not known is left out, and times are Unix milliseconds with a fraction.
//
//	{"request":"…","node":"a","service":"orders","path":"relay",
//	 "requestRecord":{"topic":"orders.requests","partition":3,"offset":12},
//	 "replyRecord":{"topic":"parley.replies","partition":7,"offset":99},
//	 "consumedBy":"b",
//	 "at":{"submitted":1764000000000.123,"accepted":…,"replied":…,"consumed":…,"relayed":…,"pushed":…}}
func (t *Trace) MarshalJSON() ([]byte, error) {
	return json.Marshal(traceJSON{
		ID: t.ID, Node: t.Node, Service: t.Service, Path: t.Path, ConsumedBy: t.ConsumedBy,
		Request: t.Request.json(), Reply: t.Reply.json(),
		At: momentsJSON{
			Submitted: unixMillis(t.Submitted), Accepted: unixMillis(t.Accepted), Replied: unixMillis(t.Replied),
			Consumed: unixMillis(t.Consumed), Relayed: unixMillis(t.Relayed), Pushed: unixMillis(t.Pushed),
		},
	})
}

type traceJSON struct {
	ID         RequestID   `json:"request"`
	Node       NodeID      `json:"node"`
	Service    string      `json:"service"`
	Path       Path        `json:"path,omitempty"`
	Request    *recordJSON `json:"requestRecord,omitempty"`
	Reply      *recordJSON `json:"replyRecord,omitempty"`
	ConsumedBy NodeID      `json:"consumedBy,omitempty"`
	At         momentsJSON `json:"at"`
}

type recordJSON struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Offset    int64  `json:"offset"`
}

type momentsJSON struct {
	Submitted float64 `json:"submitted,omitempty"`
	Accepted  float64 `json:"accepted,omitempty"`
	Replied   float64 `json:"replied,omitempty"`
	Consumed  float64 `json:"consumed,omitempty"`
	Relayed   float64 `json:"relayed,omitempty"`
	Pushed    float64 `json:"pushed,omitempty"`
}

// json is the record as a trace shows it; nil where it is not known.
func (r RecordAt) json() *recordJSON {
	if r.Partition == NoPartition {
		return nil
	}
	return &recordJSON{r.Topic, r.Partition, r.Offset}
}

// unixMillis is a time in Unix milliseconds, 0 for the zero time.
func unixMillis(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMicro()) / 1000
}
