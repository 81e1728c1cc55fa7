package worker

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"

	"parley/kafka/service"
)

// A streamed body is taken apart into parts:
//
//   - text/event-stream: an event is a part, its data the body. Its name and id become
//     the part's headers x-event and x-event-id. Comments and retry are dropped, as is
//     an event that the body's end cuts off.
//   - application/x-ndjson, application/jsonl, application/json-seq: a line that is not
//     blank is a part.
//
// Status and headers of the response are those of the first part. The end is an empty
// answer.

// part is one element of a streamed body.
type part struct {
	body     []byte
	name, id string // of an event
}

// splitter reads the next part. ok is false where what was read made none.
type splitter interface {
	line(text []byte) (p part, ok bool)
}

// splitterOf answers what takes a response apart; nil for a body that is one answer.
func splitterOf(response *http.Response, most int) splitter {
	if response.StatusCode != http.StatusOK {
		return nil
	}
	switch kind, _, _ := mime.ParseMediaType(response.Header.Get("Content-Type")); kind {
	case "text/event-stream":
		return &events{most: most}
	case "application/x-ndjson", "application/jsonl", "application/json-seq":
		return jsonLines{}
	}
	return nil
}

// stream answers with the parts of a body as they come, until it ends.
func (f *forwarder) stream(r *service.Request, response *http.Response, split splitter) error {
	first := true
	err := eachLine(bufio.NewReader(response.Body), f.Body, func(text []byte) error {
		p, ok := split.line(text)
		if !ok {
			return nil
		}
		if len(p.body) > f.Body {
			return bufio.ErrTooLong
		}
		a := service.Answer{}
		if first {
			a = answerOf(response, nil)
			first = false
		}
		a.Body, a.ContentType = p.body, "text/plain; charset=utf-8"
		if json.Valid(p.body) {
			a.ContentType = "application/json"
		}
		for _, h := range []service.Header{{Key: "x-event", Value: []byte(p.name)}, {Key: "x-event-id", Value: []byte(p.id)}} {
			if len(h.Value) > 0 {
				a.Headers = append(a.Headers, h)
			}
		}
		return r.Part(a)
	})
	switch {
	case errors.Is(err, bufio.ErrTooLong):
		return &service.Failure{Code: "too_large", Status: http.StatusBadGateway, Message: fmt.Sprintf("a part of the service's answer has more than %d bytes", f.Body)}
	case err != nil:
		return broken(response.Request.Context(), err)
	}
	return nil
}

// eachLine calls take for each line, without its end, which is \n, \r\n or the body's.
// A line that is longer than most is bufio.ErrTooLong.
func eachLine(in *bufio.Reader, most int, take func([]byte) error) error {
	var line []byte
	for {
		piece, err := in.ReadSlice('\n')
		line = append(line, piece...)
		switch {
		case errors.Is(err, bufio.ErrBufferFull) && len(line) <= most:
			continue
		case errors.Is(err, bufio.ErrBufferFull), len(line) > most+2:
			return bufio.ErrTooLong
		case err != nil && len(line) == 0:
			return ended(err)
		}
		if e := take(bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))); e != nil {
			return e
		}
		if err != nil {
			return ended(err)
		}
		line = nil // parts keep what they were made of
	}
}

// ended is the error of a body that did not end as it should.
func ended(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// jsonLines makes a part of each line.
type jsonLines struct{}

func (jsonLines) line(text []byte) (part, bool) {
	text = bytes.Trim(text, " \t\x1e") // RS begins a text of json-seq
	return part{body: text}, len(text) > 0
}

// events makes a part of the lines of each event, as the WHATWG's standard says.
type events struct {
	most    int // bytes of data; what has more is given at once, to be refused
	data    []byte
	hasData bool
	name    string
	id      string
}

func (e *events) line(text []byte) (p part, ok bool) {
	if len(text) == 0 {
		p, ok = part{e.data, e.name, e.id}, e.hasData
		e.data, e.hasData, e.name = nil, false, ""
		return p, ok
	}
	field, value, _ := bytes.Cut(text, []byte(":"))
	value = bytes.TrimPrefix(value, []byte(" "))
	switch string(field) {
	case "data":
		if e.hasData {
			e.data = append(e.data, '\n')
		}
		e.data, e.hasData = append(e.data, value...), true
		if len(e.data) > e.most {
			return part{body: e.data}, true
		}
	case "event":
		e.name = string(value)
	case "id":
		if !bytes.Contains(value, []byte{0}) {
			e.id = string(value)
		}
	}
	return part{}, false
}
