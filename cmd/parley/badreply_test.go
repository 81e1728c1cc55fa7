package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// byHand is a service that answers what its test tells it to.
type byHand struct {
	t        *testing.T
	c        *cluster
	client   *kgo.Client
	requests chan *kgo.Record
}

// byHand makes such a service of the cluster's.
func (c *cluster) byHand(name string) *byHand {
	c.t.Helper()
	client, err := kgo.NewClient(
		kgo.SeedBrokers(c.kafka), kgo.ConsumeTopics(c.topic(name)), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchMaxBytes(8<<20), kgo.ProducerLinger(0),
	)
	if err != nil {
		c.t.Fatal(err)
	}
	h := &byHand{t: c.t, c: c, client: client, requests: make(chan *kgo.Record, 1000)}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for ctx.Err() == nil {
			client.PollFetches(ctx).EachRecord(func(r *kgo.Record) { h.requests <- r })
		}
	}()
	c.t.Cleanup(func() { cancel(); <-ended; client.Close() })
	return h
}

// createTopic makes a topic with settings of its own.
func (c *cluster) createTopic(name string, partitions int32, settings map[string]string) {
	c.t.Helper()
	configs := make(map[string]*string)
	for key, value := range settings {
		configs[key] = &value
	}
	ctx, cancel := context.WithTimeout(c.t.Context(), 30*time.Second)
	defer cancel()
	if _, err := kadm.NewClient(c.client).CreateTopic(ctx, partitions, 1, configs, name); err != nil {
		c.t.Fatal(err)
	}
}

// next waits for a request.
func (h *byHand) next() *kgo.Record {
	h.t.Helper()
	select {
	case r := <-h.requests:
		return r
	case <-time.After(30 * time.Second):
		h.t.Error("no request reached the service")
		return &kgo.Record{}
	}
}

// none wants no request to be there that its test did not expect.
func (h *byHand) none() {
	h.t.Helper()
	select {
	case r := <-h.requests:
		h.t.Errorf("the service got a request that it should not: %s", r.Value)
	default:
	}
}

// reply puts records into the reply topic, in order.
func (h *byHand) reply(records ...*kgo.Record) {
	h.t.Helper()
	for _, r := range records {
		r.Topic = h.c.prefix + ".replies"
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := h.client.ProduceSync(ctx, records...).FirstErr(); err != nil {
		h.t.Errorf("the service cannot answer: %v", err)
	}
}

// answerTo makes a proper reply to a request.
func answerTo(request *kgo.Record, body string, more ...kgo.RecordHeader) *kgo.Record {
	r := &kgo.Record{Value: []byte(body), Headers: append(more, header("parley-request-id", headerOf(request, "parley-request-id")))}
	fmt.Sscan(headerOf(request, "parley-reply-partition"), &r.Partition)
	return r
}

func header(key, value string) kgo.RecordHeader {
	return kgo.RecordHeader{Key: key, Value: []byte(value)}
}

var deeper = strings.Repeat("[", 2*deepest) + strings.Repeat("]", 2*deepest)

const notText = "\x00\xff{" // neither JSON nor UTF-8

// badReplies are what a service may answer instead of a proper reply: what each
// client gets, and under which name what it does not get is counted.
var badReplies = []struct {
	name    string
	replies func(request *kgo.Record) []*kgo.Record
	socket  string // what a client gets over a socket
	status  int    // and over HTTP
	body    string // or the error's word
	drops   string
}{
	{"not JSON", oneReply(`{"a":`), `1 {"$bytes":"eyJhIjo="}`, 200, `{"a":`, ""},
	{"no UTF-8", oneReply(notText), `1 {"$bytes":"` + base64.StdEncoding.EncodeToString([]byte(notText)) + `"}`, 200, notText, ""},
	{"two JSON values", oneReply(`1 2`), `1 {"$bytes":"MSAy"}`, 200, `1 2`, ""},
	{"a tombstone", func(q *kgo.Record) []*kgo.Record { r := answerTo(q, ""); r.Value = nil; return []*kgo.Record{r} }, `1 null`, 200, ``, ""},
	{"nested deep", oneReply(deep[deepest/2 : deepest*3/2]), `1 ` + deep[deepest/2:deepest*3/2], 200, deep[deepest/2 : deepest*3/2], ""},
	{"nested deeper than parsers go", oneReply(deeper), `1 {"$bytes":"` + base64.StdEncoding.EncodeToString([]byte(deeper)) + `"}`, 200, deeper, ""},
	{"5 MB", oneReply(strings.Repeat("x", fiveMB)), `1 -32006 too_large done`, 413, "too_large", "too_large"},
	{"a status of 99999", oneReply(`1`, header("parley-status", "99999")), `1 1`, 200, `1`, ""},
	{"a status that is no number", oneReply(`1`, header("parley-status", "\xff")), `1 1`, 200, `1`, ""},
	{"a second reply", func(q *kgo.Record) []*kgo.Record {
		return []*kgo.Record{answerTo(q, `"first"`), answerTo(q, `"second"`)}
	}, `1 "first"`, 200, `"first"`, "duplicate"},
	{"a reply for an unknown session before", strayBefore(func(q *kgo.Record) *kgo.Record {
		return &kgo.Record{Headers: []kgo.RecordHeader{header("parley-request-id", "AAAAAAAAAAAAAAAAAAAAAA.1")}, Value: []byte(`"stray"`)}
	}), `1 "mine"`, 200, `"mine"`, "unknown_request"},
	{"a reply for an id that is none before", strayBefore(func(q *kgo.Record) *kgo.Record {
		return &kgo.Record{Key: []byte("\xff\x00 no id"), Value: []byte(`"stray"`)}
	}), `1 "mine"`, 200, `"mine"`, "unknown_request"},
	{"a reply for a request that the session did not make before", strayBefore(func(q *kgo.Record) *kgo.Record {
		session, _, _ := strings.Cut(headerOf(q, "parley-request-id"), ".")
		return &kgo.Record{Key: []byte(session + ".999999999"), Value: []byte(`"stray"`)}
	}), `1 "mine"`, 200, `"mine"`, "unknown_request"},
	{"a record without key and headers before", strayBefore(func(q *kgo.Record) *kgo.Record {
		return &kgo.Record{Value: []byte(`"stray"`)}
	}), `1 "mine"`, 200, `"mine"`, "no_correlation"},
	{"garbage headers", func(q *kgo.Record) []*kgo.Record { return []*kgo.Record{answerTo(q, `1`, garbage()...)} }, `1 1`, 200, `1`, ""},
}

// oneReply makes a single reply of whatever body.
func oneReply(body string, more ...kgo.RecordHeader) func(*kgo.Record) []*kgo.Record {
	return func(q *kgo.Record) []*kgo.Record { return []*kgo.Record{answerTo(q, body, more...)} }
}

// strayBefore makes a stray record that stands before the reply in its partition.
func strayBefore(stray func(*kgo.Record) *kgo.Record) func(*kgo.Record) []*kgo.Record {
	return func(q *kgo.Record) []*kgo.Record {
		s, mine := stray(q), answerTo(q, `"mine"`)
		s.Partition = mine.Partition
		return []*kgo.Record{s, mine}
	}
}

// garbage is what no client of a service should set: names and values that are
// empty, binary, contradictory, many, large, or would split an HTTP response.
func garbage() []kgo.RecordHeader {
	all := []kgo.RecordHeader{
		header("", ""), header("\x00\xff", "\xff"), {Key: "x-null"}, header("x-bytes", "\xff\x00"), header("x-\r\nset-cookie", "a=b"),
		header("x-split", "1\r\nSet-Cookie: a=b"), header("content-type", "text/html\r\nSet-Cookie: a=b"), header("content-length", "1"),
		header("parley-final", "\xff"), header("parley-status", "-1"), header("parley-reply-partition", "99"), header("parley-unknown", "x"),
		header("connection", "close"), header("transfer-encoding", "chunked"), header("x-large", strings.Repeat("x", 64<<10)),
	}
	for i := range 500 {
		all = append(all, header(fmt.Sprintf("x-%d", i), "1"))
	}
	return all
}

// Whatever a service puts into the reply topic, the client that waits gets an
// outcome, what nobody waits for is dropped under its name, nothing holds up
// the topic, and a bystander is served as before.
func TestBadReplies(t *testing.T) {
	c, hand := badNode(t)
	p := c.nodes[0]
	c.watched(func() {
		for _, bad := range badReplies {
			for _, door := range []string{"plain", "v1"} {
				t.Run(door+"/"+bad.name, func(t *testing.T) {
					counted := p.countsDrop(t, bad.drops)
					s := p.talk(t, door)
					s.say(`{"jsonrpc":"2.0","id":1,"method":"hand","params":1}`)
					hand.reply(bad.replies(hand.next())...)
					s.wants(s.hear(), bad.socket)
					counted()
					s.wants(s.ask(call+`"params":2}`), "1 2") // nothing else came
				})
			}
			t.Run("http/"+bad.name, func(t *testing.T) {
				counted := p.countsDrop(t, bad.drops)
				go func() { hand.reply(bad.replies(hand.next())...) }()
				status, header, body := p.do(t, "POST", "/services/hand", nil, "1")
				if bad.status != http.StatusOK {
					wantProblem(t, status, body, bad.status, bad.body, "done")
				} else if status != bad.status || body != bad.body {
					t.Errorf("status %d with %q, want %d with %q", status, tail(body, 200), bad.status, tail(bad.body, 200))
				}
				if header.Get("Set-Cookie") != "" || header.Get("X-Large") != "" {
					t.Errorf("the service smuggled in a header: %v", header)
				}
				counted()
			})
		}
		t.Run("headers that are asked for", func(t *testing.T) { garbageWanted(t, p, hand) })
		t.Run("an error of no kind", func(t *testing.T) { oddError(t, p, hand) })
		t.Run("a late reply", func(t *testing.T) { lateReply(t, p, hand) })
	})
	hand.none()
}

// countsDrop wants one more reply to be counted as dropped under this name, and
// none under another, when what it answers is called. "" stands for no drop.
func (p *process) countsDrop(t *testing.T, want string) (counted func()) {
	t.Helper()
	reasons := []string{"late", "duplicate", "unknown_request", "no_correlation", "too_large", "session_gone"}
	count := func() (now []float64) {
		text := p.metrics(t)
		for _, reason := range reasons {
			now = append(now, metricIn(t, text, `parley_drops_total{reason="`+reason+`"}`))
		}
		return now
	}
	was := count()
	for i, reason := range reasons {
		if reason == want {
			was[i]++
		}
	}
	return func() {
		t.Helper()
		p.await(t, "one that has counted "+want, func() bool { return fmt.Sprint(count()) == fmt.Sprint(was) })
	}
}

// garbageWanted asks for a reply's headers, which are then part of valid JSON.
func garbageWanted(t *testing.T, p *process, hand *byHand) {
	s := p.talk(t, "plain")
	s.say(`{"jsonrpc":"2.0","id":1,"method":"hand","params":1,"meta":{"want":["headers"]}}`)
	hand.reply(answerTo(hand.next(), `1`, garbage()...))
	got := s.hear()
	s.wants(got, "1 1")
	if h := got.Meta.Headers; string(h["x-499"]) != `"1"` || !bytes.Contains(h["x-bytes"], []byte(`{"$bytes":"/wA="}`)) {
		t.Errorf("the headers are not what the service set: %.300v", h)
	}
	if _, own := got.Meta.Headers["parley-unknown"]; own {
		t.Error("Parley's own names are shown")
	}
}

// oddError answers an error whose code and message are no text.
func oddError(t *testing.T, p *process, hand *byHand) {
	odd := func(q *kgo.Record) *kgo.Record {
		return answerTo(q, notText, header("parley-error-code", "\xff"), header("parley-error-message", "\x00"), header("parley-status", "200"), header("parley-final", "false"))
	}
	s := p.talk(t, "plain")
	s.say(`{"jsonrpc":"2.0","id":1,"method":"hand","params":1}`)
	hand.reply(odd(hand.next()))
	got := s.hear()
	s.wants(got, "1 -32010 service_error done")
	if service := got.Error.Data.Service; service.Code != "\ufffd" || service.Message != "\x00" || service.Status != 200 {
		t.Errorf("the service's words: %+v", service)
	}
	go func() { hand.reply(odd(hand.next())) }()
	status, _, body := p.do(t, "POST", "/services/hand", nil, "1")
	wantProblem(t, status, body, 500, "service_error", "done")
}

// lateReply answers a request that has timed out.
func lateReply(t *testing.T, p *process, hand *byHand) {
	counted := p.countsDrop(t, "late")
	s := p.talk(t, "v1")
	s.say(`{"jsonrpc":"2.0","id":1,"method":"hand","params":1,"meta":{"timeout":50}}`)
	request := hand.next()
	s.wants(s.hear(), "1 -32001 timeout unknown")
	hand.reply(answerTo(request, `"late"`))
	counted()
	s.wants(s.ask(call+`"params":2}`), "1 2")
}
