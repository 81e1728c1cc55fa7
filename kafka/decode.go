package kafka

import (
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"

	"parley/routing"
)

// decodeReply reads a record of the reply topic into reply, whose other fields
// (who consumed it, and when) are the caller's. The request is named by the
// correlation header, else by the record's key; a record with neither answers
// DropNoCorrelation, and "" is good. The reply shares the record's memory. A
// header that makes no sense is ignored: the service's answer is worth more
// than its form.
func decodeReply(record *kgo.Record, reply *routing.Reply) routing.Drop {
	reply.Final, reply.Body, reply.Stamp = true, record.Value, record.Timestamp
	reply.From = routing.RecordAt{Topic: record.Topic, Partition: record.Partition, Offset: record.Offset}
	for i := range record.Headers {
		h := &record.Headers[i]
		switch {
		case strings.HasPrefix(h.Key, ownPrefix):
			own(reply, h)
		case len(h.Key) == len(ContentTypeHeader) && strings.EqualFold(h.Key, ContentTypeHeader):
			reply.ContentType = string(h.Value)
		default:
			if reply.Headers == nil {
				reply.Headers = make([]routing.Header, 0, len(record.Headers)-i)
			}
			reply.Headers = append(reply.Headers, routing.Header{Key: h.Key, Value: h.Value})
		}
	}
	if reply.ID == "" {
		reply.ID = routing.RequestID(record.Key)
	}
	if reply.ID == "" {
		return routing.DropNoCorrelation
	}
	if reply.Err != nil {
		reply.Final = true
	}
	return ""
}

// own reads a header whose name starts with "parley-". Those of a request, which
// a service may have copied, mean nothing here.
func own(reply *routing.Reply, h *kgo.RecordHeader) {
	switch h.Key {
	case RequestIDHeader:
		reply.ID = routing.RequestID(h.Value)
	case FinalHeader:
		reply.Final = string(h.Value) != "false"
	case PartHeader:
		if n, err := strconv.ParseUint(string(h.Value), 10, 30); err == nil {
			reply.Place = int(n) + 1
		}
	case StatusHeader:
		if n, err := strconv.Atoi(string(h.Value)); err == nil && n >= 200 && n <= 599 {
			reply.Status = n
		}
	case ErrorCodeHeader:
		serviceError(reply).Code = string(h.Value)
	case ErrorMessageHeader:
		serviceError(reply).Message = string(h.Value)
	}
}

func serviceError(reply *routing.Reply) *routing.ServiceError {
	if reply.Err == nil {
		reply.Err = &routing.ServiceError{}
	}
	return reply.Err
}
