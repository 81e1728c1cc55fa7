package web

import (
	"net/http"
	"strconv"
	"strings"

	"parley/routing"
)

// form is how a streamed answer is written: as server-sent events or as lines.
type form interface {
	contentType() string
	part(dst []byte, d *routing.Delivery) []byte
	result(dst []byte, d *routing.Delivery) []byte
	failure(dst []byte, d *routing.Delivery, problem []byte) []byte
	comment() string // what says nothing; "" where there is no such thing
}

const (
	typeEvents = "text/event-stream"
	typeLines  = "application/x-ndjson"

	// endMark stands in an event's id for the number of a part.
	endMark = "end"
)

// streamForm answers the form that an Accept header asks for, nil for a whole
// answer: the type with the highest q, of several the first.
func streamForm(accept []string) (best form) {
	var most float64
	for _, line := range accept {
		for item := range strings.SplitSeq(line, ",") {
			kind, parameters, _ := strings.Cut(item, ";")
			kind = strings.ToLower(strings.TrimSpace(kind))
			q := quality(parameters)
			if strings.HasSuffix(kind, "/*") || q <= most {
				continue
			}
			switch most = q; kind {
			case typeEvents:
				best = events{}
			case typeLines:
				best = lines{}
			default:
				best = nil
			}
		}
	}
	return best
}

// quality reads the q among a media type's parameters.
func quality(parameters string) float64 {
	for parameter := range strings.SplitSeq(parameters, ";") {
		name, value, _ := strings.Cut(parameter, "=")
		if strings.EqualFold(strings.TrimSpace(name), "q") {
			q, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			if err != nil || !(q >= 0 && q <= 1) {
				return 0
			}
			return q
		}
	}
	return 1
}

// events are server-sent events, as HTML defines them: part, result or error. The id is
// the request's with the part's number, so that a browser that comes back does
// not make the request again.
type events struct{}

func (events) contentType() string { return typeEvents }

func (events) part(dst []byte, d *routing.Delivery) []byte {
	dst = appendEventHead(dst, "part", d.ID, strconv.Itoa(d.N))
	return append(appendOneLine(dst, d.Reply.Body), "\n\n"...)
}

func (events) result(dst []byte, d *routing.Delivery) []byte {
	dst = appendEventHead(dst, "result", d.ID, endMark)
	return append(appendOneLine(dst, d.Reply.Body), "\n\n"...)
}

func (events) failure(dst []byte, d *routing.Delivery, problem []byte) []byte {
	if d.Err.Word == routing.Unauthorized { // not the request's end: who comes back goes on where it was
		dst = append(dst, "event: error\ndata: "...)
	} else {
		dst = appendEventHead(dst, "error", d.ID, endMark)
	}
	return append(append(dst, problem...), "\n\n"...)
}

func (events) comment() string { return ":\n\n" }

func appendEventHead(dst []byte, name string, id routing.RequestID, n string) []byte {
	dst = append(append(dst, "event: "...), name...)
	dst = append(append(dst, "\nid: "...), id...)
	dst = append(append(dst, '/'), n...)
	return append(dst, "\ndata: "...)
}

// lines are JSON values, one a line; an error is the last one: {"$error":{…}}. An
// empty final reply has no line.
type lines struct{}

func (lines) contentType() string { return typeLines }

func (lines) part(dst []byte, d *routing.Delivery) []byte {
	return append(appendOneLine(dst, d.Reply.Body), '\n')
}

func (lines) result(dst []byte, d *routing.Delivery) []byte {
	if len(d.Reply.Body) == 0 {
		return dst
	}
	return append(appendOneLine(dst, d.Reply.Body), '\n')
}

func (lines) failure(dst []byte, _ *routing.Delivery, problem []byte) []byte {
	dst = append(append(dst, `{"$error":`...), problem...)
	return append(dst, "}\n"...)
}

func (lines) comment() string { return "" }

// appendOneLine appends a payload as a JSON value without line breaks: in JSON they can
// only stand between values.
func appendOneLine(dst, body []byte) []byte {
	start := len(dst)
	dst = appendJSON(dst, body)
	for i := start; i < len(dst); i++ {
		if dst[i] == '\n' || dst[i] == '\r' {
			dst[i] = ' '
		}
	}
	return dst
}

// flush sends what has been written on its way.
func flush(w http.ResponseWriter) error {
	return http.NewResponseController(w).Flush()
}
