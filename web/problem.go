package web

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"

	"parley/routing"
)

// kind is how an error word looks over HTTP.
type kind struct {
	status int
	title  string
	after  int // seconds of Retry-After; 0 for no such header
}

var kinds = map[routing.Word]kind{
	routing.ParseError:     {400, "The request cannot be read", 0},
	routing.InvalidRequest: {400, "The request is not valid", 0},
	routing.InvalidParams:  {400, "A parameter is not valid", 0},
	routing.Unauthorized:   {401, "Authentication is required", 0},
	routing.Forbidden:      {403, "This is not allowed", 0},
	routing.UnknownService: {404, "There is no such service", 0},
	routing.UnknownRequest: {404, "There is no such request", 0},
	routing.DuplicateID:    {409, "The id is in use", 0},
	routing.TooLarge:       {413, "There are too many bytes", 0},
	routing.RateLimited:    {429, "There are too many requests", 1},
	routing.Cancelled:      {499, "The request was cancelled", 0},
	routing.Internal:       {500, "The gateway has failed", 0},
	routing.FromService:    {500, "The service answers an error", 0},
	routing.Overloaded:     {503, "The gateway is overloaded", 1},
	routing.Unavailable:    {503, "The gateway cannot serve now", 2},
	routing.SessionGone:    {503, "The session has ended", 1},
	routing.NoResponders:   {503, "Nobody serves now", 5},
	routing.Timeout:        {504, "The service did not answer in time", 0},
}

// problem is the body of every error, as RFC 9457 has it; from code on, the
// members are Parley's.
type problem struct {
	Type   string `json:"type"` // urn:parley:problem:<code>
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`

	Code    routing.Word      `json:"code"`
	Outcome routing.Certainty `json:"outcome"`
	Retry   bool              `json:"retry"`
	Request routing.RequestID `json:"request,omitempty"`
	Service *serviceWords     `json:"service,omitempty"`
	Errors  []routing.Fault   `json:"errors,omitempty"` // what is wrong with the body, where there is a schema
}

// serviceWords is what a service said went wrong.
type serviceWords struct {
	Code        string          `json:"code,omitempty"`
	Message     string          `json:"message,omitempty"`
	ContentType string          `json:"contentType,omitempty"`
	Body        json.RawMessage `json:"body"`
}

// writeProblem answers with e; status 0 stands for the word's own.
func (s *Server) writeProblem(w http.ResponseWriter, status int, e *routing.Error, id routing.RequestID) {
	p, k := newProblem(status, e, id)
	h := w.Header()
	if k.after > 0 {
		h["Retry-After"] = []string{strconv.Itoa(k.after)}
	}
	if e.Word == routing.Unauthorized && h["Www-Authenticate"] == nil {
		h["Www-Authenticate"] = []string{realm}
	}
	delete(h, "Etag") // a reply's is not this body's
	h["Content-Type"] = []string{"application/problem+json"}
	h["Cache-Control"] = []string{"no-store"}
	_ = send(w, p.Status, s.marshalProblem(&p)) // a client that has left needs no problem
}

// newProblem makes the problem of e; status 0 stands for the word's own.
func newProblem(status int, e *routing.Error, id routing.RequestID) (problem, kind) {
	k, known := kinds[e.Word]
	if !known {
		k = kinds[routing.Internal]
	}
	p := problem{
		Type: "urn:parley:problem:" + string(e.Word), Title: k.title, Status: status, Detail: e.Message,
		Code: e.Word, Outcome: e.Outcome, Retry: e.Retry, Request: id,
	}
	if status == 0 {
		p.Status = k.status
	}
	if e.Faults != nil {
		p.Errors = *e.Faults
		p.Status, p.Title = http.StatusUnprocessableEntity, "The body is not as the service's schema has it"
	}
	if e.Word == routing.FromService && e.Reply != nil {
		p.fromService(e.Reply)
	}
	return p, k
}

// problemText is e as JSON, for a response that has begun.
func (s *Server) problemText(e *routing.Error, id routing.RequestID) []byte {
	p, _ := newProblem(0, e, id)
	return s.marshalProblem(&p)
}

func (s *Server) marshalProblem(p *problem) []byte {
	body, err := json.Marshal(p)
	if err != nil {
		s.log.Error("problem cannot be written as JSON", "request", string(p.Request), "err", err)
	}
	return body
}

// fromService puts in what the service itself said.
func (p *problem) fromService(reply *routing.Reply) {
	if reply.Status >= 400 && reply.Status <= 599 {
		p.Status = reply.Status
	}
	p.Service = &serviceWords{ContentType: reply.ContentType, Body: appendJSON(nil, reply.Body)}
	if reply.Err != nil {
		p.Service.Code, p.Service.Message = reply.Err.Code, reply.Err.Message
	}
}

// refuse answers a request that is no call with a problem, counted and logged.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, status int, e *routing.Error) {
	s.observer.Count(routing.Refusals, string(e.Word))
	s.logProblem(r, e, "")
	s.writeProblem(w, status, e, "")
}

// refuseCall answers a call that never reached the router, and counts it as the
// router counts those that it refuses. service is nil where it is not known.
func (s *Server) refuseCall(w http.ResponseWriter, r *http.Request, service *routing.Service, e *routing.Error) {
	name := "unknown" // a client must not be able to grow a metric's labels
	if service != nil {
		name = service.Name
	}
	if s.calls.isDraining() {
		w.Header().Set("Connection", "close")
	}
	status := 0
	if e.Cause == errSlowBody {
		status = http.StatusRequestTimeout
	}
	s.observer.Finished(name, routing.DoorHTTP, e.Word, 0)
	if e.Word == routing.TooLarge {
		w.Header().Set("Connection", "close")
		defer linger(w, r)
	}
	s.refuse(w, r, status, e)
}

func (s *Server) logProblem(r *http.Request, e *routing.Error, id routing.RequestID) {
	s.log.Info("request refused", "code", string(e.Word), "method", clip(r.Method), "path", clip(r.URL.Path),
		"request", string(id), "detail", e.Message)
}

func invalidRequest(format string, args ...any) *routing.Error {
	return refusal(routing.InvalidRequest, format, args...)
}

func invalidParams(format string, args ...any) *routing.Error {
	return refusal(routing.InvalidParams, format, args...)
}

// refusal makes the error of a request that was never sent to a service, and
// would be refused again.
func refusal(word routing.Word, format string, args ...any) *routing.Error {
	return &routing.Error{Word: word, Message: fmt.Sprintf(format, args...), Outcome: routing.NotSent}
}

// clip shortens what a client sent, to be quoted to it and in the log.
func clip(s string) string {
	if len(s) > 128 {
		return s[:128] + "…"
	}
	return s
}
