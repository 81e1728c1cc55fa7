package ws

import (
	"encoding/json"
	"net/http"
	"strconv"
	"unicode/utf8"

	"parley/routing"
)

const head = `{"jsonrpc":"2.0",`

// appendDelivery appends what a session delivers: a part of a streamed answer,
// or the outcome of a request. Only parley.v1 has a seq.
func (s *Server) appendDelivery(dst []byte, d *routing.Delivery, v1 bool) []byte {
	isJSON := true
	switch {
	case d.Push != nil:
		dst, isJSON = appendPush(dst, d)
	case d.Part:
		dst = append(dst, head+`"method":"$/reply","params":{"id":`...)
		dst = appendID(dst, d.ClientID)
		dst = append(dst, `,"n":`...)
		dst = strconv.AppendInt(dst, int64(d.N), 10)
		dst = append(dst, `,"data":`...)
		dst, isJSON = appendPayload(dst, d.Reply.Body)
		dst = append(dst, '}')
	case d.Err != nil:
		dst = append(dst, head+`"id":`...)
		dst = appendID(dst, d.ClientID)
		dst = append(dst, `,"error":`...)
		dst = s.appendErrorObject(dst, d.Err)
	default:
		dst = append(dst, head+`"id":`...)
		dst = appendID(dst, d.ClientID)
		dst = append(dst, `,"result":`...)
		dst, isJSON = appendPayload(dst, d.Reply.Body)
	}
	if v1 && d.Seq > 0 {
		dst = append(dst, `,"seq":`...)
		dst = strconv.AppendUint(dst, d.Seq, 10)
	}
	dst = appendMeta(dst, d, isJSON)
	return append(dst, '}')
}

// appendID appends an id's JSON text.
func appendID[T ~string | ~[]byte](dst []byte, id T) []byte {
	if len(id) == 0 {
		return append(dst, "null"...)
	}
	return append(dst, id...)
}

// appendMeta appends ,"meta":{…} where there is something to say.
func appendMeta(dst []byte, d *routing.Delivery, isJSON bool) []byte {
	start := len(dst)
	sep := `,"meta":{`
	if !isJSON && d.Reply.ContentType != "" {
		dst = append(append(dst, sep...), `"contentType":`...)
		dst = appendText(dst, d.Reply.ContentType)
		sep = ","
	}
	if d.Reply != nil && d.Reply.Status == http.StatusNotModified {
		dst = append(append(dst, sep...), `"unchanged":true`...)
		sep = ","
	}
	if d.WantHeaders && d.Reply != nil {
		dst = append(append(dst, sep...), `"headers":`...)
		dst = appendHeaders(dst, d.Reply.Headers)
		sep = ","
	}
	if d.Trace != nil {
		if trace, err := d.Trace.MarshalJSON(); err == nil {
			dst = append(append(dst, sep...), `"trace":`...)
			dst = append(dst, trace...)
		}
	}
	if len(dst) == start {
		return dst
	}
	return append(dst, '}')
}

// appendHeaders appends a reply's record headers as an object: of several with
// one name the last.
func appendHeaders(dst []byte, headers []routing.Header) []byte {
	last := make(map[string]int, len(headers))
	for i := range headers {
		last[headers[i].Key] = i
	}
	dst = append(dst, '{')
	empty := len(dst)
	for i, h := range headers {
		if last[h.Key] != i {
			continue
		}
		if len(dst) > empty {
			dst = append(dst, ',')
		}
		dst = append(appendText(dst, h.Key), ':')
		if utf8.Valid(h.Value) {
			dst = appendText(dst, h.Value)
		} else {
			dst = appendBytes(dst, h.Value)
		}
	}
	return append(dst, '}')
}

// appendResult appends a response of the gateway's own.
func appendResult(dst, id, result []byte) []byte {
	dst = append(dst, head+`"id":`...)
	dst = appendID(dst, id)
	dst = append(dst, `,"result":`...)
	return append(append(dst, result...), '}')
}

// appendError appends a response that says error.
func (s *Server) appendError(dst, id []byte, e *routing.Error) []byte {
	dst = append(dst, head+`"id":`...)
	dst = appendID(dst, id)
	dst = append(dst, `,"error":`...)
	return append(s.appendErrorObject(dst, e), '}')
}

// appendErrorObject appends {"code":…,"message":…,"data":{…}}.
func (s *Server) appendErrorObject(dst []byte, e *routing.Error) []byte {
	number, ok := numbers[e.Word]
	if !ok {
		number = numbers[routing.Internal]
	}
	dst = append(dst, `{"code":`...)
	dst = strconv.AppendInt(dst, int64(number), 10)
	dst = append(dst, `,"message":`...)
	dst = appendText(dst, e.Message)
	dst = append(dst, `,"data":{"code":`...)
	dst = appendText(dst, e.Word)
	dst = append(dst, `,"outcome":`...)
	dst = appendText(dst, e.Outcome)
	dst = append(dst, `,"retry":`...)
	dst = strconv.AppendBool(dst, e.Retry)
	if e.Reply != nil {
		dst = append(dst, `,"service":`...)
		dst = appendServiceError(dst, e.Reply)
	}
	if e.Faults != nil {
		faults, _ := json.Marshal(e.Faults)
		dst = append(append(dst, `,"errors":`...), faults...)
	}
	if teaches(e.Word) {
		dst = append(append(dst, `,"example":`...), s.example...)
	}
	return append(dst, "}}"...)
}

// appendServiceError appends what the service itself says went wrong.
func appendServiceError(dst []byte, reply *routing.Reply) []byte {
	dst = append(dst, `{"code":`...)
	dst = appendText(dst, reply.Err.Code)
	dst = append(dst, `,"message":`...)
	dst = appendText(dst, reply.Err.Message)
	if reply.Status != 0 {
		dst = append(dst, `,"status":`...)
		dst = strconv.AppendInt(dst, int64(reply.Status), 10)
	}
	dst = append(dst, `,"body":`...)
	dst, isJSON := appendPayload(dst, reply.Body)
	if !isJSON && reply.ContentType != "" {
		dst = append(dst, `,"contentType":`...)
		dst = appendText(dst, reply.ContentType)
	}
	return append(dst, '}')
}

func appendAccepted(dst []byte, clientID string, id routing.RequestID) []byte {
	dst = append(dst, head+`"method":"$/accepted","params":{"id":`...)
	dst = appendID(dst, clientID)
	dst = append(dst, `,"request":`...)
	dst = appendText(dst, id)
	return append(dst, "}}"...)
}

func (s *Server) appendWelcome(dst []byte, session *routing.Session, resumed bool) []byte {
	dst = append(dst, head+`"method":"$/welcome","params":{"session":`...)
	dst = appendText(dst, session.ID())
	dst = append(dst, `,"secret":`...)
	dst = appendText(dst, session.Secret())
	dst = append(dst, `,"resumed":`...)
	dst = strconv.AppendBool(dst, resumed)
	dst = append(dst, `,"node":`...)
	dst = appendText(dst, s.o.Router.Node())
	dst = append(dst, `,"limits":{"frame":`...)
	dst = strconv.AppendInt(dst, s.o.Frame, 10)
	dst = append(dst, `,"open":`...)
	dst = strconv.AppendInt(dst, int64(s.o.OpenRequests), 10)
	dst = append(dst, `,"resume":`...)
	dst = strconv.AppendInt(dst, s.o.Resume.Milliseconds(), 10)
	return append(dst, "}}}"...)
}

// example is a request that works as it is.
func example(services []*routing.Service) []byte {
	method := "rpc.discover"
	for i, service := range services {
		if i == 0 || service.Name == "echo" {
			method = service.Name
		}
	}
	text, _ := json.Marshal(method)
	dst := append([]byte(head+`"id":1,"method":`), text...)
	return append(dst, `,"params":{"hello":"world"}}`...)
}
