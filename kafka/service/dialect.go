package service

import (
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"parley/kafka"
)

// Dialect is how the records of requests and replies name things. [Parley] is the
// default; another one lets the same handlers serve requesters of another framework.
type Dialect interface {
	// Read reads a record. cancels is not "" where the record is no request but the
	// end of the one that it names. A record that makes no sense is a notification
	// with what could be read of it.
	Read(record *kgo.Record) (r *Request, cancels string)
	// Write makes a record of an answer, without its topic and partition, which the
	// request names. It is called for requests that want an answer only.
	Write(r *Request, a *Answer) *kgo.Record
}

// Parley is the dialect of that name: headers that begin with "parley-", as the
// documentation of the gateway lists them.
var Parley Dialect = parley{}

type parley struct{}

func (parley) Read(record *kgo.Record) (r *Request, cancels string) {
	r = &Request{Key: record.Key, Body: record.Value, ReplyPartition: anyPartition}
	for i := range record.Headers {
		h := &record.Headers[i]
		switch name := h.Key; {
		case name == kafka.CancelHeader:
			cancels = string(h.Value)
		case strings.HasPrefix(name, "parley-"):
			own(r, name, string(h.Value))
		case strings.EqualFold(name, kafka.ContentTypeHeader):
			r.ContentType = string(h.Value)
		default:
			r.Headers = append(r.Headers, Header{Key: name, Value: h.Value})
		}
	}
	return r, cancels
}

// own reads a header of Parley's.
func own(r *Request, name, value string) {
	switch name {
	case kafka.RequestIDHeader:
		r.ID = value
	case kafka.ReplyTopicHeader:
		r.ReplyTopic = value
	case kafka.ReplyPartitionHeader:
		if n, err := strconv.ParseInt(value, 10, 32); err == nil && n >= 0 {
			r.ReplyPartition = int32(n)
		}
	case kafka.ServiceHeader:
		r.Service = value
	case kafka.DeadlineHeader:
		if ms, err := strconv.ParseInt(value, 10, 64); err == nil && ms > 0 {
			r.Deadline = time.UnixMilli(ms)
		}
	case kafka.SubjectHeader:
		r.Subject = value
	case kafka.IdempotencyKeyHeader:
		r.IdempotencyKey = value
	case kafka.MethodHeader:
		r.Method = value
	case kafka.PathHeader:
		r.Path = value
	case kafka.QueryHeader:
		r.Query = value
	}
}

func (parley) Write(r *Request, a *Answer) *kgo.Record {
	record := &kgo.Record{Key: []byte(r.ID), Value: a.Body}
	set := func(name, value string) {
		record.Headers = append(record.Headers, kgo.RecordHeader{Key: name, Value: []byte(value)})
	}
	set(kafka.RequestIDHeader, r.ID)
	if !a.final {
		set(kafka.FinalHeader, "false")
	}
	if !a.final || a.n > 0 {
		set(kafka.PartHeader, strconv.Itoa(a.n))
	}
	if a.ContentType != "" {
		set(kafka.ContentTypeHeader, a.ContentType)
	}
	status := a.Status
	if f := a.Failure; f != nil {
		set(kafka.ErrorCodeHeader, f.Code)
		set(kafka.ErrorMessageHeader, f.Message)
		status = f.Status
	}
	if status != 0 {
		set(kafka.StatusHeader, strconv.Itoa(status))
	}
	for _, h := range a.Headers {
		record.Headers = append(record.Headers, kgo.RecordHeader{Key: h.Key, Value: h.Value})
	}
	return record
}
