package routing

import (
	"encoding/json"
	"testing"
	"testing/synctest"
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

// A client that wants a trace or headers gets them although its session has gone to
// another node meanwhile, twice, the second time with the reply unacknowledged. The
// node does not know when the request was made, and does not invent it.
func TestWantsGoAlong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		a, _ := w.start(t, "a", &topic{ack: true}, Limits{})
		b, kill := w.start(t, "b", &topic{ack: true}, Limits{})
		s, _ := a.Open(t.Context(), OpenSession{Sink: &client{}, Acks: true})
		curious := call("1")
		curious.WantTrace, curious.WantHeaders = true, true
		id, _ := s.Submit(curious, nil)
		plain, _ := s.Submit(call("2"), nil)
		moved, c, _ := resume(t, b, s, "1", "2")
		b.Deliver(t.Context(), []*Reply{answer(id, 0), answer(plain, 1)})
		look := func(node NodeID) {
			t.Helper()
			got := c.outcomes()
			want(t, "outcomes", len(got), 2)
			if tr := got[0].Trace; tr == nil || tr.ID != id || tr.Node != node || !tr.Submitted.IsZero() || !got[0].WantHeaders {
				t.Errorf("with a trace and headers: %+v", got[0])
			}
			if got[1].Trace != nil || got[1].WantHeaders {
				t.Errorf("without: %+v", got[1])
			}
		}
		look("b")
		synctest.Wait()
		a.EachSession(func() bool { return true }, func(SessionRow, []Row) { t.Error("a has a session") })
		b.EachSession(func() bool { return true }, func(_ SessionRow, rows []Row) {
			for _, row := range rows {
				want(t, "wants of "+row.ClientID, []bool{row.WantTrace, row.WantHeaders}, []bool{row.ClientID == "1", row.ClientID == "1"})
			}
		})
		kill()
		_, c, _ = resume(t, a, moved, "1", "2")
		a.Deliver(t.Context(), []*Reply{answer(id, 0), answer(plain, 1)})
		look("a")
	})
}
