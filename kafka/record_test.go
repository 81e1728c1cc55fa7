package kafka

import (
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"parley/routing"
)

func orders() *routing.Service {
	return &routing.Service{Name: "orders", Topic: "orders.requests", Timeout: 30 * time.Second, MaxTimeout: time.Minute, Partitioner: routing.Murmur2}
}

var deadline = time.UnixMilli(1764000000123)

func request() *routing.Request {
	return &routing.Request{
		ID: "aaaaaaaaaaaaaaaaaaaaaa.17xyz", Session: "aaaaaaaaaaaaaaaaaaaaaa", Subject: "alice", Service: orders(),
		Deadline: deadline, ReplyPartition: 7,
		Call: &routing.Call{
			Door: routing.DoorHTTP, Service: "orders", Body: []byte(`{"sku":1}`), ContentType: "application/json",
			Method: "PUT", Path: "/a/b", Query: "c=d",
			Headers: []routing.Header{{Key: "traceparent", Value: []byte("00-1-2-01")}, {Key: "content-type", Value: []byte("text/plain")}},
		},
	}
}

func text(headers []kgo.RecordHeader) string {
	var all []string
	for _, h := range headers {
		all = append(all, h.Key+"="+string(h.Value))
	}
	return strings.Join(all, "\n")
}

// A service sees exactly the headers that the contract names.
func TestEncode(t *testing.T) {
	p := encode(request(), "parley.replies", deadline)
	defer p.free()
	const want = `parley-request-id=aaaaaaaaaaaaaaaaaaaaaa.17xyz
parley-reply-topic=parley.replies
parley-reply-partition=7
parley-idempotency-key=aaaaaaaaaaaaaaaaaaaaaa.17xyz
parley-service=orders
parley-deadline=1764000000123
parley-subject=alice
parley-method=PUT
parley-path=/a/b
parley-query=c=d
content-type=application/json
traceparent=00-1-2-01`
	if got := text(p.record.Headers); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	r := &p.record
	if string(r.Key) != "aaaaaaaaaaaaaaaaaaaaaa" || string(r.Value) != `{"sku":1}` || r.Topic != "orders.requests" {
		t.Errorf("key %q, value %q, topic %q", r.Key, r.Value, r.Topic)
	}
}

// The end of a request goes where the request went, names it, and asks for nothing.
func TestEncodeCancel(t *testing.T) {
	q := request()
	q.ID, q.Cancels = "", q.ID
	q.Call.Key = []byte("customer-1")
	p := encode(q, "parley.replies", deadline)
	defer p.free()
	const want = `parley-cancel=aaaaaaaaaaaaaaaaaaaaaa.17xyz
parley-service=orders`
	if got := text(p.record.Headers); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if r := &p.record; string(r.Key) != "customer-1" || r.Value != nil || r.Topic != "orders.requests" {
		t.Errorf("key %q, value %q, topic %q", r.Key, r.Value, r.Topic)
	}
}

// The call's own key is the record's. What is absent has no header.
func TestEncodeLittle(t *testing.T) {
	q := request()
	q.Subject, q.ReplyPartition = "", routing.NoPartition
	q.Call = &routing.Call{Service: "orders", Key: []byte("customer-1")}
	p := encode(q, "parley.replies", q.Deadline)
	defer p.free()
	const want = `parley-request-id=aaaaaaaaaaaaaaaaaaaaaa.17xyz
parley-reply-topic=parley.replies
parley-idempotency-key=aaaaaaaaaaaaaaaaaaaaaa.17xyz
parley-service=orders
parley-deadline=1764000000123`
	if got := text(p.record.Headers); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if string(p.record.Key) != "customer-1" || len(p.record.Value) != 0 {
		t.Errorf("key %q, value %q", p.record.Key, p.record.Value)
	}
}

// Nobody waits for a notification, so nothing in it says where to answer.
func TestEncodeNotification(t *testing.T) {
	q := request()
	q.ID, q.ReplyPartition, q.Call = "", routing.NoPartition, &routing.Call{Service: "orders", Notify: true}
	p := encode(q, "parley.replies", q.Deadline)
	defer p.free()
	const want = "parley-service=orders\nparley-deadline=1764000000123\nparley-subject=alice"
	if got := text(p.record.Headers); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// Values that outgrow the slab, and more headers than are set aside, change
// nothing but the cost.
func TestEncodeMuch(t *testing.T) {
	q := request()
	q.Call.Path = strings.Repeat("p", 2000)
	q.Call.Headers = nil
	for range 32 {
		q.Call.Headers = append(q.Call.Headers, routing.Header{Key: "x-h", Value: []byte("v")})
	}
	p := encode(q, "parley.replies", q.Deadline)
	got := text(p.record.Headers)
	for _, want := range []string{"parley-request-id=" + string(q.ID), "parley-subject=alice", "parley-path=" + q.Call.Path, "parley-query=c=d"} {
		if !strings.Contains(got, want) {
			t.Errorf("%s is missing in\n%s", want, got)
		}
	}
	if strings.Count(got, "x-h=v") != 32 || string(p.record.Key) != string(q.Session) {
		t.Errorf("key %q, headers\n%s", p.record.Key, got)
	}
	p.free()
	if again := encode(request(), "r", deadline); len(again.record.Headers) != 12 {
		t.Errorf("after reuse: %s", text(again.record.Headers))
	}
}

// Building a record is on every request's path.
func TestEncodeAllocatesNothing(t *testing.T) {
	q := request()
	if got := testing.AllocsPerRun(1000, func() { encode(q, "parley.replies", q.Deadline).free() }); got > 0 {
		t.Errorf("%.1f allocations", got)
	}
}

// Clients may set what no dialect uses.
func TestReservedHeader(t *testing.T) {
	for _, name := range []string{
		RequestIDHeader, "Parley-Anything", "parley_x", "kafka_correlationId", "kafka_nest-err", "zilla:reply-to", ":path", "REPLY_TOPIC",
		"reply_to", "reply-to", "correlation_id", "correlationId", "correlation-id", "spring_json_header_types", "__TypeId__", "cancel",
	} {
		if !ReservedHeader(name) {
			t.Errorf("%s is free", name)
		}
	}
	for _, name := range []string{"traceparent", "tracestate", "x-demo-delay", "content-type", "accept", "parley", "replies", "kafka", "cancellation"} {
		if ReservedHeader(name) {
			t.Errorf("%s is reserved", name)
		}
	}
}

func BenchmarkEncode(b *testing.B) {
	q := request()
	b.ReportAllocs()
	for b.Loop() {
		encode(q, "parley.replies", q.Deadline).free()
	}
}
