package web

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"parley/routing"
)

// streamWindow is for how many parts a stream is ready that it has not written yet.
const streamWindow = 32

// stream submits a call and answers with its parts as they come, and the outcome, in
// the form that its client asked for. It gives the router credit for what it has
// written, so that a client which reads slowly holds up nobody but itself.
func (s *Server) stream(w http.ResponseWriter, r *http.Request, call *routing.Call, wait string, form form) {
	call.Limited, call.Credit = true, streamWindow
	f := newFlow()
	session, id, e := s.submit(r, call, f)
	if e != nil {
		s.logProblem(r, e, "")
		s.writeProblem(w, 0, e, "")
		return
	}
	if wait != "" {
		w.Header()["Preference-Applied"] = []string{wait}
	}
	out := streaming{server: s, w: w, form: form, id: id}
	silence := time.NewTimer(s.keepAlive)
	defer silence.Stop()
	expired, stop := s.expiry(r)
	defer stop()
	for {
		select {
		case <-f.came:
			ended, err := out.writeAll(f)
			if err == nil && !ended {
				session.Ready(id, out.written)
				silence.Reset(s.keepAlive)
				continue
			}
			if err != nil {
				s.abandonStream(session, f, id, err)
			}
			return
		case <-silence.C:
			if err := out.comment(); err != nil {
				s.abandonStream(session, f, id, err)
				return
			}
			silence.Reset(s.keepAlive)
		case <-expired:
			s.abandonStream(session, f, id, errExpired)
			_, _ = out.writeBatch([]routing.Delivery{{ID: id, Err: hasExpired()}}, time.Now()) // its caller may have left
			return
		case <-r.Context().Done():
			s.abandonStream(session, f, id, context.Cause(r.Context()))
			return
		}
	}
}

// abandonStream frees what a stream holds whose client has left.
func (s *Server) abandonStream(session *routing.Session, f *flow, id routing.RequestID, why error) {
	session.Abandon(id)
	left, _ := f.take(nil)
	for _, d := range left {
		s.lost(d, why)
		d.Written()
	}
	s.log.Info("stream abandoned", "request", string(id), "err", why)
}

// streaming is a response that goes out part by part.
type streaming struct {
	server  *Server
	w       http.ResponseWriter
	form    form
	id      routing.RequestID
	again   bool // its caller has parts of it: an error is one more event
	begun   bool // the status has been written
	written int  // parts, by the last writeAll
	batch   []routing.Delivery
	buf     []byte
}

// writeAll writes and flushes what has come, and tells whether that was the end.
func (o *streaming) writeAll(f *flow) (ended bool, err error) {
	var at time.Time
	o.batch, at = f.take(o.batch)
	defer func() { clear(o.batch) }()
	return o.writeBatch(o.batch, at)
}

// writeBatch writes and flushes deliveries, of which the newest came at some time, and
// tells whether the outcome was among them.
func (o *streaming) writeBatch(batch []routing.Delivery, at time.Time) (ended bool, err error) {
	boundWrite(o.w)
	o.written = 0
	for i := range batch {
		d := &batch[i]
		switch {
		case d.Part:
			o.written++
		case !o.begun && !o.again && d.Err != nil: // as if it had been parked
			o.server.writeFailure(o.w, d)
			d.Written()
			return true, nil
		default:
			ended = true
		}
		if !o.begun {
			o.begin(d)
		}
		if err = o.write(d); err != nil {
			break
		}
	}
	if err == nil && len(batch) > 0 {
		err = flush(o.w)
	}
	if ended {
		end := &batch[len(batch)-1]
		if err == nil && end.Reply != nil {
			o.server.observer.Stage(routing.StagePush, time.Since(at))
		} else if err != nil {
			o.server.lost(*end, err)
		}
		end.Written()
	}
	return ended, err
}

// begin writes the status and the headers: those of the first part.
func (o *streaming) begin(d *routing.Delivery) {
	h, status := o.w.Header(), http.StatusOK
	if d.Reply != nil {
		setIdentity(h, d)
		o.server.writeServiceHeaders(h, d)
		if c := d.Reply.Status; c >= 200 && c <= 599 && c != http.StatusNoContent && c != http.StatusNotModified {
			status = c
		}
	} else {
		h["Parley-Request-Id"] = []string{string(o.id)}
	}
	delete(h, "Etag") // one part's is not the stream's
	h["Content-Type"] = []string{o.form.contentType()}
	if h["Cache-Control"] == nil {
		h["Cache-Control"] = []string{"no-store"}
	}
	h["X-Accel-Buffering"] = []string{"no"} // a proxy in front is not to wait for more
	h["X-Content-Type-Options"] = nosniff
	h["Content-Security-Policy"] = sandbox
	o.w.WriteHeader(status)
	o.begun = true
}

// write writes a part or the outcome.
func (o *streaming) write(d *routing.Delivery) error {
	switch {
	case d.Part:
		o.buf = o.form.part(o.buf[:0], d)
	case d.Err != nil:
		if d.Err.Word != routing.FromService {
			o.server.log.Info("stream ends in an error", "request", string(d.ID), "code", string(d.Err.Word), "detail", d.Err.Message)
		}
		o.buf = o.form.failure(o.buf[:0], d, o.server.problemText(d.Err, d.ID))
	default:
		o.buf = o.form.result(o.buf[:0], d)
	}
	if len(o.buf) == 0 {
		return nil
	}
	if _, err := o.w.Write(o.buf); err != nil {
		return fmt.Errorf("write stream: %w", err)
	}
	return nil
}

// comment keeps a silent connection from being taken for dead, where the form has
// something that says nothing.
func (o *streaming) comment() error {
	text := o.form.comment()
	if text == "" {
		return nil
	}
	boundWrite(o.w)
	if !o.begun {
		o.begin(&routing.Delivery{})
	}
	if _, err := o.w.Write([]byte(text)); err != nil {
		return fmt.Errorf("write stream: %w", err)
	}
	return flush(o.w)
}

// comeBack answers a browser that comes back for a stream, which would otherwise make
// the same request again: it gets the rest, where the request is kept.
func (s *Server) comeBack(w http.ResponseWriter, r *http.Request, last string, form form) {
	id, _ := splitEventID(last)
	s.replay(w, r, routing.Collection{ID: id, Subject: s.subject(r)}, form)
}
